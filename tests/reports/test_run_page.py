"""The run page: curves in the page's own colours, every figure as text."""

import re

import pytest

from sightline.reports.curves import COLOURS, INK, RULE, drawn, panels_of
from sightline.reports.run_page import Run, run_page

ROWS = [{"train/loss": 1.5, "val/loss": 1.75}, {"train/loss": 0.5}, {"train/loss": 0.25, "val/loss": 0.875}]
HOSTILE = "<script>alert(1)</script>"


def page(**fields):
    return run_page(ROWS, Run(title="net", verdict="Good.", facts={}, recipe={}, best=3, **fields))


def test_a_panel_holds_what_was_measured_and_no_more():
    (panel,) = panels_of(ROWS)
    assert panel.title == "loss"
    assert [(curve.label, curve.epochs, curve.values) for curve in panel.curves] == [
        ("training", (1, 2, 3), (1.5, 0.5, 0.25)),
        ("validation", (1, 3), (1.75, 0.875)),
    ]


def test_abbreviations_keep_their_capitals_in_the_heading_of_a_panel():
    own = Run(title="net", verdict="Good.", facts={}, recipe={}, best=1)
    text = run_page([{"train/loss": 1.5, "val/mean AUROC": 0.5}], own)
    assert re.findall("<h3>(.*?)</h3>", text)[:2] == ["Loss", "Mean AUROC"]


def test_a_panel_says_its_values_at_the_kept_epoch():
    (panel,) = panels_of(ROWS)
    assert panel.at(3) == "Epoch 3: training 0.25, validation 0.875."
    assert panel.at(2) == "Epoch 2: training 0.5."
    assert panel.at(9) == ""


def test_drawings_take_their_colours_from_the_page_and_are_the_same_every_time():
    (panel,) = panels_of(ROWS)
    text = drawn(panel, 3)
    assert text == drawn(panel, 3)
    assert not [colour for colour in (INK, RULE, *COLOURS) if colour in text]
    assert {"var(--ink)", "var(--rule)", "var(--c1)", "var(--c2)"} <= set(re.findall(r"var\(--\w+\)", text))
    assert 'aria-label="loss over epochs"' in text


def test_points_lie_where_the_values_are():
    """The first curve's three points: equal steps across, heights in proportion to the values."""
    (panel,) = panels_of(ROWS)
    path = re.search(r'<path d="(M [^"]*)" clip-path="[^"]*" style="fill: none; stroke: var\(--c1\)', drawn(panel, 3))
    points = [tuple(map(float, pair)) for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path[1])]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.01)
    assert (points[1][1] - points[0][1]) / (points[2][1] - points[1][1]) == pytest.approx(1.0 / 0.25, rel=1e-3)


def test_a_training_without_figures_has_a_page_too():
    text = run_page([], Run(title="net", verdict="Good.", facts={"a": "b"}, recipe={}, best=1))
    assert "<h2>Curves</h2>" not in text
    assert "Good." in text


def test_texts_are_escaped():
    text = page(notes=[HOSTILE], headline=[(HOSTILE, HOSTILE, HOSTILE)], tables={HOSTILE: [[HOSTILE], [HOSTILE]]})
    assert HOSTILE not in text
    assert text.count("&lt;script&gt;") >= 7


def test_every_epoch_is_in_the_table():
    text = page()
    assert '<th scope="row">2</th><td class="number">0.5</td><td class="number"></td>' in text
