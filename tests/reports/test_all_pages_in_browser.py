"""Every page in a real Chromium: axe, both themes, wide and narrow."""

import pytest

from sightline.reports.comparison import Bar, Panel, comparison_page
from sightline.reports.run_page import Run, run_page
from sightline.tasks.attributes.audit.page import Row, Section, audit_page
from sightline.tasks.gate_search.report import search_page
from sightline.tasks.gate_search.search import search

from .browsing import THEMES, WIDTHS, broken_words, opened, overflow, violations

pytestmark = pytest.mark.browser
LONG = "a_name_without_any_space_that_is_longer_than_a_telephone_is_wide_0123456789.safetensors"


def run():
    rows = [
        {"train/loss": 2 / epoch, "val/loss": 2.2 / epoch, "train/accuracy": 0.2 * epoch, "val/precision": 0.5}
        for epoch in range(1, 5)
    ]
    return run_page(
        rows,
        Run(
            title="net: accuracy of a training",
            verdict="The network names the class of 90 % of 40 test images.",
            headline=[("test accuracy", "90.0 %", "share of test images whose class is right")],
            facts={"data": LONG, "training": "4 epochs, augmentation crop-flip, precision 32"},
            recipe={"lr": "0.1", "data": LONG},
            notes=["108 pictures are not square"],
            best=3,
            tables={"Groups of attributes": [["group", "right", "pictures"], ["has_upper_tail_color", "0.5", "12"]]},
            words={"Groups of attributes": "Exactly one value is right."},
        ),
    )


def comparison():
    bars = (
        Bar("gradcam", 0.6, 0.5, 0.7, 12, {"zero": 2}, control=False, level=True, beats_controls=True),
        Bar("layercam", 0.4, 0.3, 0.5, 12, {}, control=False, level=False, beats_controls=False),
        Bar("gaussian", 0.3, 0.2, 0.4, 12, {}, control=True, level=False, beats_controls=False),
        Bar("uniform", *(float("nan"),) * 3, 0, {"flat": 12}, control=True, level=False, beats_controls=False),
    )
    panels = [Panel("Energy in the mask", place, "higher", "all", bars, "0.2") for place in ("early", "late")]
    wins = {"gradcam": (2, 2), "layercam": (0, 2)}
    return comparison_page(panels, title="Which method?", verdict="gradcam wins.", facts={"model": LONG}, wins=wins)


def audit():
    row = Row("unused-1", "wing", f"{LONG[:40]} is hardly used", 0.4, 0.2, 0.6, 0.0, 0.012, {"pictures": 7})
    words = ("Which is hardly used?", "a share", "a rule")
    sections = [
        Section("unused", "network", *words, 40, 1, "", {"errors": 12, "long": "name, " * 60}, "again", (row,)),
        Section("constant", "data", *words, 40, 0, "", {}, "again", ()),
        Section("misread", "data", *words, 0, 0, "", {}, "again", ()),
        Section("background", "data", *words, 0, 0, "the data has no masks", {}, "again", ()),
    ]
    return audit_page(sections, title="Weaknesses", verdict="Findings: 1 unused.", facts={"data": LONG})


def gates():
    result = search(lambda scheme: 0.5 + 0.01 * sum(scheme.flat()), (2, 3), budget=6)
    return search_page(result, {"model": "tiny", "data": LONG})


PAGES = {"gates": gates, "run": run, "comparison": comparison, "audit": audit}


@pytest.fixture(scope="module", params=PAGES)
def path(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / f"{request.param}.html"
    path.write_text(PAGES[request.param](), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_and_everything_fits(browser, axe, path, theme, width):
    tab, complaints = opened(browser, path, theme=theme, width=width)
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert violations(tab, axe) == []
    assert overflow(tab) == 0
    assert broken_words(tab) == []
    assert complaints == []
    tab.close()


def test_what_was_found_stands_before_the_numbers(browser, path):
    tab, _ = opened(browser, path)
    tops = tab.evaluate(
        "['.verdict', 'table, svg, .facts'].map((one) => document.querySelector(one).getBoundingClientRect().top)"
    )
    assert tops[0] < tops[1]
    tab.close()
