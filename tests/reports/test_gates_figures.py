"""Figures of gates, and the plates of a page that carry them."""

import torch

from sightline.reports.figure import ExtraFigure
from sightline.reports.gate_figures import dependency_figure, depth_figure
from sightline.reports.page import page
from tests.reports.samples import explanation


def test_every_stage_has_its_rows_and_what_is_not_below_the_diagonal_is_empty():
    names = {1: ["a", "b", "c"], 2: ["d", "e"]}
    maps = {"forest": {1: torch.tensor([[9.0, 9, 9], [0.5, 9, 9], [0.25, 0.75, 9]])}, "other": {2: torch.ones(2, 2)}}
    figure = dependency_figure(maps, names)
    drawn = figure.axes[0].images[0].get_array()
    assert drawn.mask.tolist() == torch.ones(3, 3).triu().bool().tolist()
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.5", "0.25", "0.75"]
    assert figure.axes[0].images[0].get_clim() == (0, 0.75)
    assert not figure.axes[1].images
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names[1]


def test_the_scale_of_gates_reaches_from_zero_to_one_and_further_if_they_do():
    assert depth_figure({1: torch.full((2, 4), 0.25)}, {1: ["a", "b"]}, "dia").axes[0].images[0].get_clim() == (0, 1)
    wide = {1: torch.tensor([[-2.0, 3.0]])}
    assert depth_figure(wide, {1: ["a"]}, "gc").axes[0].images[0].get_clim() == (-2, 3)


def test_a_plate_stands_on_the_page_and_its_words_are_only_words():
    figure = depth_figure({1: torch.rand(2, 4)}, {1: ["a", "b"]}, "dia")
    drawn, bare = (
        ExtraFigure.of("Gates", "<script>alert(1)</script>", figure),
        ExtraFigure("Empty", "nothing to draw"),
    )
    text = page([explanation()], plates=[drawn, bare])
    assert drawn.address in text
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("<figcaption>") == 2
    assert text.count('class="plates"') == 1
    assert 'class="plates"' not in page([explanation()])
