"""Deletion of parts from one and from both sides: numbers by hand on three parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics import (
    Probe,
    completeness,
    deletion_check,
    distractibility,
    importances,
    painter,
    preservation_check,
    single_deletion,
    single_drops,
    two_sided,
)

SIZE = 12
PARTS = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.bool)
PARTS[0, 0, 1, 1], PARTS[0, 1, 5, 5], PARTS[0, 2, 9, 9] = True, True, True
PICTURE = torch.zeros(1, 1, SIZE, SIZE)
PICTURE[0, 0, 1, 1], PICTURE[0, 0, 5, 5], PICTURE[0, 0, 9, 9] = 3.0, 2.0, 0.1


def model(x: Tensor) -> Tensor:
    """Class 1 when the three places sum to more than 2.5; its logit is their sum."""
    total = x.flatten(1).sum(1)
    return torch.stack([torch.full_like(total, 2.5), total], dim=1)


def map_of(*values: float) -> Tensor:
    maps = torch.zeros(1, SIZE, SIZE)
    for place, value in zip((1, 5, 9), values, strict=True):
        maps[0, place, place] = value
    return maps


PROBE = Probe(model, torch.tensor([1]), output="logit")


def test_importances_sum_the_map_in_widened_masks() -> None:
    maps = map_of(5.0, -1.0, 2.0)
    maps[0, 3, 3] = 0.5  # within two pixels of the first two parts
    maps[0, 2, 8] = 7.0  # three pixels off the second
    assert importances(maps, PARTS).tolist() == [pytest.approx([5.5, -0.5, 2.0])]
    assert importances(maps, PARTS, widen=0).tolist() == [pytest.approx([5.0, -1.0, 2.0])]
    with pytest.raises(InputError, match="beside maps"):
        importances(maps[0], PARTS)


def test_single_drops_by_hand() -> None:
    assert single_drops(PROBE, PICTURE, PARTS).tolist() == [pytest.approx([3.0, 2.0, 0.1])]


def test_painting_takes_the_colour_around_the_parts_or_the_given_one() -> None:
    picture = torch.full((1, 1, SIZE, SIZE), 0.25).masked_fill(PARTS.any(1, keepdim=True), 1.0)
    kept = torch.tensor([[False, True, True]])
    painted = painter(picture, PARTS)(torch.tensor([0]), kept)
    assert float(painted[0, 0, 1, 1]) == pytest.approx(0.25)
    assert float(painted[0, 0, 5, 5]) == 1.0
    assert float(painter(picture, PARTS, value=7.0)(torch.tensor([0]), kept)[0, 0, 1, 1]) == 7.0


def test_single_deletion_by_hand() -> None:
    assert single_deletion(PROBE, PICTURE, map_of(9, 4, 1), PARTS).values.tolist() == pytest.approx([1.0])
    assert single_deletion(PROBE, PICTURE, map_of(1, 4, 9), PARTS).values.tolist() == pytest.approx([0.0])
    # ranks 2 3 1 against 3 2 1: Spearman 1/2
    assert single_deletion(PROBE, PICTURE, map_of(4, 9, 1), PARTS).values.tolist() == pytest.approx([0.75])


def test_two_sided_tables_by_hand() -> None:
    sides = two_sided(PROBE, PICTURE, map_of(6, 3, 1), PARTS)
    assert sides.order.tolist() == [[0, 1, 2]]
    assert sides.kept.tolist() == [[False, True, True, True]]  # sums 0, 3, 5, 5.1 against 2.5
    assert sides.removed.tolist() == [[True, False, False, False]]  # sums 5.1, 2.1, .1, 0
    assert sides.important(0.2).tolist() == [2]
    kept, gone = completeness(sides, thresholds=(0.5, 0.95))
    assert kept.tolist() == [[1.0], [0.0]]
    assert gone.tolist() == [[1.0], [0.0]]


def test_preservation_and_deletion_checks_by_hand() -> None:
    for maps, kept, gone in ((map_of(6, 3, 1), 1.0, 1.0), (map_of(0, 0, 1), 0.0, 0.0), (map_of(1, 3, 9), 0.0, 0.0)):
        assert preservation_check(PROBE, PICTURE, maps, PARTS, threshold=0.5).values.tolist() == [kept]
        assert deletion_check(PROBE, PICTURE, maps, PARTS, threshold=0.5).values.tolist() == [gone]


def test_distractibility_by_hand() -> None:
    # the third part alone moves the logit by less than a twentieth of 5.1
    assert distractibility(PROBE, PICTURE, map_of(6, 3, 0), PARTS).values.tolist() == [1.0]
    assert distractibility(PROBE, PICTURE, map_of(6, 3, 5), PARTS).values.tolist() == [0.0]
    nothing_idle = distractibility(PROBE, PICTURE, map_of(6, 3, 5), PARTS, tolerance=0.0)
    assert [str(status) for status in nothing_idle.statuses()] == ["undefined"]


def test_a_world_that_renders_again_is_asked_for_the_kept_parts() -> None:
    asked: list[list[bool]] = []

    def render(samples: Tensor, kept: Tensor) -> Tensor:
        asked.extend(kept.tolist())
        return torch.einsum("rp,pyx->ryx", kept.float(), PARTS[0].float())[:, None] * PICTURE[samples]

    assert single_drops(PROBE, PICTURE, PARTS, render=render).tolist() == [pytest.approx([3.0, 2.0, 0.1])]
    assert asked == [[False, True, True], [True, False, True], [True, True, False]]


def test_scenes_without_parts_and_maps_that_name_none_are_counted() -> None:
    empty = torch.zeros_like(PARTS)
    assert [str(s) for s in single_deletion(PROBE, PICTURE, map_of(1, 2, 3), empty).statuses()] == ["empty-mask"]
    elsewhere = torch.zeros(1, SIZE, SIZE)
    elsewhere[0, 0, 11] = 1
    assert [str(s) for s in deletion_check(PROBE, PICTURE, elsewhere, PARTS).statuses()] == ["zero"]
