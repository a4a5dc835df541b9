import pytest
import torch

from sightline.reports.trajectory import NINTHS, Region, Trajectory
from sightline.results import AttentionMap, Flow, Phrase

from .samples import explanation, flow, odd_flow


def corner_flow():
    """All evidence in the upper left corner, then half of it in the lower right, then all of it."""
    early, middle, late = torch.zeros(6, 6), torch.zeros(3, 3), torch.zeros(3, 3)
    early[0, 0], middle[0, 0], middle[2, 2], late[2, 2] = 5.0, 1.0, 1.0, 0.25
    maps = (AttentionMap(early, "early"), AttentionMap(middle, "middle"), AttentionMap(late, "late"))
    return Flow(maps, "gradcam")


def test_steps_lie_between_neighbours_and_say_how_much_moved():
    course = Trajectory(explanation(corner_flow()))
    assert [tuple(step.shape) for step in course.steps] == [(3, 3), (3, 3)]
    first = course.steps[0]
    assert float(first[0, 0]) == pytest.approx(-0.5)
    assert float(first[2, 2]) == pytest.approx(0.5)
    assert float(first.abs().sum()) == pytest.approx(1.0)


def test_centres_walk_from_corner_to_corner():
    centres = Trajectory(explanation(corner_flow())).centres
    assert [(round(one.x, 6), round(one.y, 6)) for one in centres] == [
        (round(1 / 12, 6), round(1 / 12, 6)),
        (0.5, 0.5),
        (round(5 / 6, 6), round(5 / 6, 6)),
    ]


def test_stages_without_evidence_are_gaps_and_no_step_crosses_them():
    course = Trajectory(explanation(odd_flow()))
    assert course.gaps == ("", "zero", "flat", "nan")
    assert course.steps == (None, None, None)
    assert [one is None for one in course.centres] == [False, True, True, True]
    assert all(row[1:] == (None, None, None) for row in course.shares)


def test_without_boxes_the_picture_is_cut_into_ninths_that_hold_everything():
    course = Trajectory(explanation(flow()))
    assert course.regions is NINTHS
    assert not course.named
    assert sum(region.area for region in NINTHS) == pytest.approx(1.0)
    for layer in zip(*course.shares, strict=True):
        assert sum(layer) == pytest.approx(1.0)
    assert [region.name for region in NINTHS][::4] == ["upper left", "centre", "lower right"]


def test_regions_are_ordered_by_what_they_hold():
    course = Trajectory(explanation(corner_flow()))
    assert course.shares[0] == pytest.approx((1.0, 0.5, 0.0))
    assert course.shares[8] == pytest.approx((0.0, 0.5, 1.0))
    assert set(course.strongest[:2]) == {0, 8}
    assert len(course.strongest) == 4


def test_boxes_of_phrases_are_the_regions_where_there_are_some():
    crown = Phrase("crown", box=(0.0, 0.0, 0.5, 0.5))
    course = Trajectory(explanation(corner_flow(), phrases=(crown, Phrase("no box"))))
    assert course.named
    assert course.regions == (Region("crown", (0.0, 0.0, 0.5, 0.5)),)
    assert course.shares == (pytest.approx((1.0, 0.5, 0.0)),)
    assert course.strongest == (0,)


def test_area_of_a_region_ends_at_the_picture():
    assert Region("beyond", (0.5, 0.5, 2.0, 2.0)).area == 0.25
    assert Region("outside", (2.0, 0.0, 1.0, 1.0)).area == 0.0
