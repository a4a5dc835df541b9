"""Metrics that need maps, masks and points but no model: numbers by hand and naive re-computations."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics import (
    area,
    box_masks,
    centred_gaussian,
    concentration,
    counterfactual_agreement,
    counterfactual_shift,
    dilate,
    effective_complexity,
    energy_in_box,
    energy_in_mask,
    entropy,
    expected_iou,
    hit_region,
    iou,
    iou_best,
    part_localisation,
    pointing_game,
    rank_accuracy,
    sparseness,
)

MAP = torch.tensor([[[4.0, 3.0, 2.0, -1.0]]])
MASK = torch.tensor([[[True, False, True, False]]])


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (pointing_game, 1.0),
        (energy_in_mask, 6 / 9),
        (concentration, (6 / 9 - 0.5) / 0.5),
        (rank_accuracy, 0.5),
        (iou, 2 / 3),  # at half of 4: the first three
        (iou_best, 2 / 3),  # 1/2, 1/3, 2/3, 2/4
    ],
)
def test_localisation_by_hand(metric: Callable[..., object], value: float) -> None:
    assert metric(MAP, MASK).values.tolist() == pytest.approx([value])  # type: ignore[attr-defined]


@pytest.mark.parametrize("metric", [pointing_game, energy_in_mask, concentration, rank_accuracy, iou, iou_best])
def test_the_mask_itself_is_best_and_the_rest_is_worst(metric: Callable[..., object]) -> None:
    masks = torch.rand(20, 12, 12) < 0.3
    noise = metric(torch.rand(20, 12, 12), masks).values  # type: ignore[attr-defined]
    assert metric(masks.float(), masks).values.tolist() == [1.0] * 20  # type: ignore[attr-defined]
    assert float(noise.mean()) < 0.7
    against = metric((~masks).float(), masks).values  # type: ignore[attr-defined]
    assert float(against.max()) < 0.4


def test_peaks_that_are_tied_hit_in_part() -> None:
    flat_top = torch.tensor([[[3.0, 3.0, 3.0, 0.0]]])
    assert pointing_game(flat_top, MASK).values.tolist() == pytest.approx([2 / 3])


def test_a_tolerance_widens_the_mask_by_a_disc() -> None:
    mask = torch.zeros(1, 9, 9, dtype=torch.bool)
    mask[0, 4, 4] = True
    wide = dilate(mask, 2)[0]
    naive = [[y, x] for y in range(9) for x in range(9) if (y - 4) ** 2 + (x - 4) ** 2 <= 4]
    assert wide.nonzero().tolist() == naive
    peak = torch.zeros(1, 9, 9)
    peak[0, 2, 4] = 1
    assert pointing_game(peak, mask, tolerance=2).values.tolist() == [1.0]
    assert pointing_game(peak, mask, tolerance=1).values.tolist() == [0.0]
    with pytest.raises(InputError, match="one to three axes"):
        dilate(torch.ones(1, 2, 2, 2, 2, dtype=torch.bool), 2)


def test_ties_at_the_edge_of_the_rank_count_in_part() -> None:
    # two are wanted, one is above, of the three at the edge one has room and one of them is inside
    maps, mask = torch.tensor([[2.0, 1.0, 1.0, 1.0]]), torch.tensor([[True, True, False, False]])
    assert rank_accuracy(maps, mask).values.tolist() == pytest.approx([(1 + 1 / 3) / 2])


def test_iou_equals_naive_loops() -> None:
    maps, masks = torch.rand(5, 7, 7).mul(10).round(), torch.rand(5, 7, 7) < 0.4
    best, fixed = iou_best(maps, masks).values, iou(maps, masks, threshold=0.3).values

    def overlap(taken: Tensor, mask: Tensor) -> float:
        return float((taken & mask).sum() / (taken | mask).sum())

    for k in range(5):
        naive = max(overlap(maps[k] >= level, masks[k]) for level in maps[k].unique())
        assert float(best[k]) == pytest.approx(naive, abs=1e-6)
        assert float(fixed[k]) == pytest.approx(overlap(maps[k] >= 0.3 * maps[k].max(), masks[k]), abs=1e-6)


def test_expected_iou_of_random_maps_by_enumeration() -> None:
    # two elements, one inside, threshold .5: the larger one is taken, the other with chance 1/2
    mask = torch.tensor([[True, False]])
    assert float(expected_iou(mask)) == pytest.approx((0.5 * (0.5 * 1 + 0.5 * 0.5)) + 0.5 * (0.5 * 0 + 0.5 * 0.5))
    masks = torch.rand(1, 6, 6).expand(4000, 6, 6) < 0.4
    found = iou(torch.rand(4000, 6, 6), masks, threshold=0.4).values
    assert float(found.mean()) == pytest.approx(float(expected_iou(masks[:1], threshold=0.4)), abs=0.006)


def test_boxes_hold_the_pixels_whose_centres_they_hold() -> None:
    masks = box_masks(torch.tensor([[0.6, 0.0, 1.0, 2.0], [-5.0, -5.0, 7.0, 7.0]]), (3, 3))
    assert masks[0].nonzero().tolist() == [[0, 1], [1, 1]]
    assert int(masks[1].sum()) == 4
    with pytest.raises(InputError, match="width and height"):
        box_masks(torch.rand(4), (3, 3))


def test_boxes_outside_and_without_area_are_counted() -> None:
    boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [9.0, 0.0, 2.0, 2.0], [-3.0, 0.0, 2.0, 2.0], [1.0, 1.0, 0.0, 2.0]])
    found = energy_in_box(MAP.expand(4, 1, 4), boxes, size=(1, 4))
    assert [str(status) for status in found.statuses()] == ["ok", "outside", "outside", "empty-mask"]
    assert float(found.values[0]) == pytest.approx(7 / 9)
    assert torch.isnan(found.values[1:]).all()


def test_energy_of_a_flat_map_is_the_area_and_energies_of_a_partition_sum_to_one() -> None:
    masks = torch.rand(3, 8, 8) < torch.tensor([0.2, 0.5, 0.8])[:, None, None]
    assert torch.allclose(energy_in_mask(torch.ones(3, 8, 8), masks).values, area(masks))
    maps = torch.randn(3, 8, 8)
    both = energy_in_mask(maps, masks).values + energy_in_mask(maps, ~masks).values
    assert torch.allclose(both, torch.ones(3))
    assert torch.allclose(energy_in_mask(maps, masks).values, energy_in_mask(7 * maps, masks).values)


def test_concentration_of_a_null_over_itself_is_zero() -> None:
    masks = torch.zeros(2, 10, 10, dtype=torch.bool)
    masks[0, 3:7, 3:7] = True
    masks[1, :4, :4] = True
    prior = centred_gaussian((10, 10)).expand(2, 10, 10)
    assert concentration(prior, masks, control="gaussian").values.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert float(concentration(prior, masks).values[0]) > 0.1  # the centre prior looks clever against the area
    assert concentration(torch.ones(2, 10, 10), masks).values.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    with pytest.raises(InputError, match="'gaussian'"):
        concentration(prior, masks, control="center")  # type: ignore[arg-type]


def test_centred_gaussian_by_hand() -> None:
    row = centred_gaussian((1, 2), width=0.25)
    assert row.tolist() == [pytest.approx([0.5, 0.5])]
    line = centred_gaussian((1, 3), width=0.5)[0]
    assert float(line[0] / line[1]) == pytest.approx(math.exp(-0.5 * (1 / 3 / 0.5) ** 2))


def test_masks_of_words_work_like_masks_of_pictures() -> None:
    maps, masks = torch.tensor([[4.0, 3.0, 2.0, -1.0]]), torch.tensor([[True, False, True, False]])
    assert energy_in_mask(maps, masks).values.tolist() == pytest.approx([6 / 9])
    with pytest.raises(InputError, match="axes of its map"):
        energy_in_mask(maps, masks[:, None])
    with pytest.raises(InputError, match="one entry per sample"):
        energy_in_mask(maps, masks.expand(2, 4))


def test_empty_and_full_masks_are_counted() -> None:
    masks = torch.stack([torch.zeros(3, 3), torch.ones(3, 3), torch.eye(3)]).bool()
    maps = torch.rand(3, 3, 3)
    assert [str(s) for s in pointing_game(maps, masks).statuses()] == ["empty-mask", "ok", "ok"]
    assert [str(s) for s in concentration(maps, masks).statuses()] == ["empty-mask", "full-mask", "ok"]


def naive_part_hit(
    peak: tuple[float, float], point: tuple[float, float], side: tuple[float, float], size: int
) -> bool:
    def box(x: float, y: float) -> list[float]:
        ends = (x - side[0] / 2, y - side[1] / 2, x + side[0] / 2, y + side[1] / 2)
        return [min(max(end, 0.0), float(size)) for end in ends]

    one, two = box(*peak), box(*point)
    inter = max(0.0, min(one[2], two[2]) - max(one[0], two[0])) * max(0.0, min(one[3], two[3]) - max(one[1], two[1]))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, two)]
    return inter / (sum(areas) - inter) > 0.5


def test_part_hits_equal_a_naive_loop_at_every_place() -> None:
    points = torch.tensor([[[[5.0, 6.0, 1.0], [25.0, 20.0, 1.0], [1.0, 1.0, 0.0]]]])
    boxes = torch.tensor([[2.0, 3.0, 24.0, 28.0]])
    region = hit_region(points, boxes, size=(32, 32), sigma=4.0)[0, 0]
    for y in range(32):
        for x in range(32):
            here = (x + 0.5, y + 0.5)
            near = min(((5.0, 6.0), (25.0, 20.0)), key=lambda p: (p[0] - here[0]) ** 2 + (p[1] - here[1]) ** 2)
            assert bool(region[y, x]) == naive_part_hit(here, near, (6.0, 7.0), 32)


def test_part_localisation_by_hand() -> None:
    maps = torch.zeros(1, 3, 32, 32)
    maps[0, 0, 10, 10] = 1  # on the point
    maps[0, 1, 10, 13] = 1  # three pixels off: 5/8 shared of a box of 8 wide is 5/11 of the union
    maps[0, 2, 0, 0] = 1  # of a part that is not seen
    points = torch.tensor([[[[10.5, 10.5, 1.0]], [[10.5, 10.5, 1.0]], [[0.0, 0.0, 0.0]]]])
    boxes = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    tight = part_localisation(maps, points, boxes, size=(32, 32))
    assert tight.values.tolist() == [0.5]
    loose = part_localisation(maps, points, boxes, size=(32, 32), sigma=1.4)
    assert loose.values.tolist() == [1.0]


def test_part_localisation_counts_unseen_parts_and_outside_boxes() -> None:
    maps, boxes = torch.rand(3, 2, 16, 16), torch.tensor([[0.0, 0.0, 16.0, 16.0]]).repeat(3, 1)
    points = torch.tensor([8.0, 8.0, 1.0]).expand(3, 2, 1, 3).clone()
    points[0, ..., 2] = 0
    boxes[1, 0] = 99
    maps[2, 1] = float("nan")
    found = part_localisation(maps, points, boxes, size=(16, 16))
    assert [str(status) for status in found.statuses()] == ["empty-mask", "outside", "nan"]
    points[2, 1, 0, 2] = 0
    assert str(part_localisation(maps, points, boxes, size=(16, 16)).statuses()[2]) == "ok"
    with pytest.raises(InputError, match="key points"):
        part_localisation(maps, points[..., :2], boxes, size=(16, 16))


def test_complexity_by_hand() -> None:
    maps = torch.tensor([[0.0, 0.0, 0.0, -5.0], [1.0, 1.0, 1.0, 1.0], [3.0, 1.0, 0.0, 0.0]])
    # the third: sorted 0 0 1 3, weights -3 -1 1 3 give 10 over 4 * 4
    assert sparseness(maps).values.tolist() == pytest.approx([0.75, 0.0, 10 / 16])
    third = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert entropy(maps).values.tolist() == pytest.approx([0.0, math.log(4), third])
    assert effective_complexity(maps, epsilon=0.5).values.tolist() == pytest.approx([0.25, 1.0, 0.25])


def test_sparseness_equals_the_mean_absolute_difference() -> None:
    maps = torch.randn(4, 5, 5)
    for k in range(4):
        values = maps[k].abs().flatten().double()
        naive = (values[:, None] - values[None]).abs().sum() / (2 * 25 * values.sum())
        assert float(sparseness(maps).values[k]) == pytest.approx(float(naive), abs=1e-6)


def test_counterfactual_agreement_by_hand() -> None:
    before, after = torch.tensor([[2.0, 2.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    # shares .5 .5 0 0 against .5 0 .5 0: all of the movement on the middle two
    middle = torch.tensor([[False, True, True, False]])
    assert counterfactual_agreement(before, after, middle).values.tolist() == pytest.approx([1.0])
    one = torch.tensor([[False, True, False, False]])
    assert counterfactual_agreement(before, after, one).values.tolist() == pytest.approx([(0.5 - 0.25) / 0.75])
    assert counterfactual_shift(before, after).values.tolist() == pytest.approx([0.5])


def test_counterfactual_agreement_equals_a_naive_computation_on_coarse_maps() -> None:
    before, after, masks = torch.randn(3, 4, 4), torch.randn(3, 4, 4), torch.rand(3, 8, 8) < 0.3
    found = counterfactual_agreement(before, after, masks).values
    for k in range(3):
        big = [
            torch.nn.functional.interpolate(m[k][None, None], size=(8, 8), mode="bilinear")[0, 0]
            for m in (before, after)
        ]
        moved = (big[0] / big[0].abs().sum() - big[1] / big[1].abs().sum()).abs()
        share, control = float(moved[masks[k]].sum() / moved.sum()), float(masks[k].float().mean())
        assert float(found[k]) == pytest.approx((share - control) / (1 - control), abs=1e-5)


def test_a_map_that_does_not_move_is_counted_and_its_shift_is_zero() -> None:
    maps, masks = torch.rand(2, 6, 6), torch.rand(2, 6, 6) < 0.5
    found = counterfactual_agreement(maps, 3 * maps, masks)
    assert [str(status) for status in found.statuses()] == ["undefined", "undefined"]
    assert counterfactual_shift(maps, 3 * maps).values.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    with pytest.raises(InputError, match="one shape"):
        counterfactual_shift(maps, maps[:, :3])
