"""Signals, volumes and clips: every metric that deletes or points gives what a naive loop over elements gives."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import InputError
from sightline.metrics import (
    Probe,
    average_drop,
    box_masks,
    centred_gaussian,
    concentration,
    deletion_curve,
    dilate,
    effective_complexity,
    energy_in_box,
    energy_in_mask,
    importances,
    insertion_curve,
    lay,
    on_grid,
    painter,
    pointing_game,
    rank_accuracy,
    road,
    single_drops,
    sparseness,
)
from sightline.metrics.masks import box_check
from sightline.results import Domain

KINDS = {"signal": (12,), "image": (4, 6), "volume": (4, 3, 5), "space-time": (3, 4, 5)}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
each_kind = pytest.mark.parametrize("kind", list(KINDS))


def net(kind: str) -> nn.Module:
    torch.manual_seed(5)
    rank = len(KINDS[kind])
    size = math.prod(KINDS[kind])
    return nn.Sequential(CONV[rank](2, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(3 * size, 4)).eval()


def sample(kind: str, batch: int = 2) -> tuple[Tensor, Tensor]:
    torch.manual_seed(6)
    return torch.randn(batch, 2, *KINDS[kind]), torch.rand(batch, *KINDS[kind])


@each_kind
@pytest.mark.parametrize("back", [False, True])
def test_curves_equal_a_loop_over_the_elements(kind: str, back: bool) -> None:
    model, (inputs, maps) = net(kind), sample(kind)
    targets = torch.tensor([1, 2])
    probe = Probe(model, targets, domain=Domain(kind), batch_size=3)
    curve = (insertion_curve if back else deletion_curve)(probe, inputs, maps, steps=5, baseline="mean")
    count = maps[0].numel()
    for b in range(2):
        places = sorted(product(*map(range, KINDS[kind])), key=lambda at: -float(maps[b][at]))
        mean = inputs[b].flatten(1).mean(1)
        for point in range(6):
            shown = inputs[b].clone()
            gone = places[round(point * count / 5) :] if back else places[: round(point * count / 5)]
            for at in gone:
                shown[(slice(None), *at)] = mean
            score = model(shown[None]).softmax(1)[0, targets[b]].item()
            assert curve.scores[b, point].item() == pytest.approx(score, abs=1e-5)


@each_kind
def test_cells_of_a_coarse_map_are_deleted_as_blocks(kind: str) -> None:
    inputs, _ = sample(kind)
    coarse = tuple(max(1, side // 2) for side in KINDS[kind])
    _, elements = lay(torch.rand(2, *coarse), inputs, domain=Domain(kind), grid="cells")
    for cell, at in enumerate(product(*map(range, coarse))):
        chosen = torch.zeros(1, elements.count, dtype=torch.bool)
        chosen[0, cell] = True
        spread = elements.spread(chosen)[0, 0]
        for place in product(*map(range, KINDS[kind])):
            home = tuple(p * c // s for p, c, s in zip(place, coarse, KINDS[kind], strict=True))
            assert bool(spread[place]) == (home == at)


@each_kind
def test_maps_are_enlarged_by_linear_interpolation_along_every_axis(kind: str) -> None:
    size = KINDS[kind]
    coarse = tuple(max(1, side // 2) for side in size)
    values = torch.rand(1, *coarse)
    grown = on_grid(values, size)[0]
    for place in product(*map(range, size)):
        total = 0.0
        taps = []
        for p, c, s in zip(place, coarse, size, strict=True):
            where = max(0.0, (p + 0.5) * c / s - 0.5)
            first = min(c - 1, math.floor(where))
            taps.append([(first, 1 - where + first), (min(c - 1, first + 1), where - first)])
        for corner in product(*taps):
            total += math.prod(weight for _, weight in corner) * float(values[(0, *(at for at, _ in corner))])
        assert float(grown[place]) == pytest.approx(total, abs=1e-6)


@each_kind
def test_masking_multiplies_every_place_by_its_weight(kind: str) -> None:
    model, (inputs, maps) = net(kind), sample(kind)
    probe = Probe(model, torch.tensor([0, 3]), domain=Domain(kind))
    whole = model(inputs).softmax(1)[[0, 1], [0, 3]]
    weight = maps / maps.flatten(1).amax(1).reshape(-1, *[1] * (maps.ndim - 1))
    masked = model(inputs * weight[:, None]).softmax(1)[[0, 1], [0, 3]]
    expected = (whole - masked).clamp(min=0) / whole
    assert average_drop(probe, inputs, maps).values.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@each_kind
def test_boxes_hold_the_elements_whose_centre_they_hold(kind: str) -> None:
    size = KINDS[kind]
    low, wide = [0.6 + 0.3 * axis for axis in range(len(size))], [1.7 + 0.4 * axis for axis in range(len(size))]
    box = torch.tensor([[*low[::-1], *wide[::-1]]])
    mask = box_masks(box, size)[0]
    for place in product(*map(range, size)):
        inside = all(a <= p + 0.5 < a + w for p, a, w in zip(place, low, wide, strict=True))
        assert bool(mask[place]) == inside
    maps = torch.rand(1, *size)
    share = float((maps[0] * mask).sum() / maps.sum())
    assert energy_in_box(maps, box, size=size).values.tolist() == pytest.approx([share])
    outside = torch.tensor([[100.0] * len(size) + [1.0] * len(size)])
    assert box_check(outside, size).tolist() != [0]
    assert box_check(box, size).tolist() == [0]
    with pytest.raises(InputError, match="boxes are"):
        box_masks(torch.rand(1, 5), size)


@each_kind
def test_what_points_and_what_weighs_equal_loops(kind: str) -> None:
    _, maps = sample(kind, 3)
    maps = maps - 0.3
    masks = torch.zeros(3, *KINDS[kind], dtype=torch.bool)
    masks[(slice(None), *[slice(0, 2)] * len(KINDS[kind]))] = True
    pointed, energy, ranked = [], [], []
    for map_, mask in zip(maps, masks, strict=True):
        places = sorted(product(*map(range, KINDS[kind])), key=lambda at, map_=map_: -float(map_[at]))
        pointed.append(float(mask[places[0]]))
        energy.append(float((map_.clamp(min=0) * mask).sum() / map_.clamp(min=0).sum()))
        top = places[: int(mask.sum())]
        ranked.append(sum(bool(mask[at]) for at in top) / len(top))
    assert pointing_game(maps, masks).values.tolist() == pointed
    assert energy_in_mask(maps, masks).values.tolist() == pytest.approx(energy, abs=1e-6)
    assert rank_accuracy(maps, masks).values.tolist() == pytest.approx(ranked)


@each_kind
def test_a_tolerance_widens_a_mask_by_a_ball(kind: str) -> None:
    size = KINDS[kind]
    mask = torch.zeros(1, *size, dtype=torch.bool)
    centre = tuple(side // 2 for side in size)
    mask[(0, *centre)] = True
    wide = dilate(mask, 1.5)[0]
    for place in product(*map(range, size)):
        steps = [p - c for p, c in zip(place, centre, strict=True)]
        assert bool(wide[place]) == (sum(step**2 for step in steps) <= 2.25)


@each_kind
def test_the_centre_prior_is_a_product_of_gaussians_of_sum_one(kind: str) -> None:
    size = KINDS[kind]
    prior = centred_gaussian(size)
    weights = {
        at: math.prod(math.exp(-0.5 * (((p + 0.5) / s - 0.5) / 0.25) ** 2) for p, s in zip(at, size, strict=True))
        for at in product(*map(range, size))
    }
    total = sum(weights.values())
    assert all(float(prior[at]) == pytest.approx(weight / total, rel=1e-4) for at, weight in weights.items())
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask[(0, *(side // 2 for side in size))] = True
    assert concentration(prior[None], mask, control="gaussian").values.tolist() == pytest.approx([0.0], abs=1e-6)


@each_kind
def test_complexity_counts_elements_of_any_domain(kind: str) -> None:
    _, maps = sample(kind)
    flat = maps.flatten(1)
    assert torch.equal(sparseness(maps).values, sparseness(flat).values)
    share = (flat > 0.1 * flat.amax(1, keepdim=True)).float().mean(1)
    assert torch.allclose(effective_complexity(maps).values, share)


@each_kind
def test_parts_are_painted_over_and_summed_in_any_domain(kind: str) -> None:
    model, (inputs, maps) = net(kind), sample(kind)
    parts = torch.zeros(2, 2, *KINDS[kind], dtype=torch.bool)
    parts[(slice(None), 0, *[slice(0, 2)] * len(KINDS[kind]))] = True
    parts[(slice(None), 1, *[slice(2, 3)] * len(KINDS[kind]))] = True
    sums = torch.stack([torch.stack([(maps[b] * parts[b, p]).sum() for p in range(2)]) for b in range(2)])
    assert torch.allclose(importances(maps, parts, widen=0), sums, atol=1e-5)
    painted = painter(inputs, parts, value=0.0)(torch.tensor([1]), torch.tensor([[False, True]]))
    assert torch.equal(painted[0], inputs[1] * ~parts[1, 0])
    probe = Probe(model, torch.tensor([0, 1]), domain=Domain(kind))
    drops = single_drops(probe, inputs, parts, render=painter(inputs, parts, value=0.0))
    whole = model(inputs).softmax(1)[[0, 1], [0, 1]]
    without = model(inputs * ~parts[:, :1]).softmax(1)[[0, 1], [0, 1]]
    assert torch.allclose(drops[:, 0], whole - without, atol=1e-6)


def test_in_painting_is_refused_outside_pictures_in_a_sentence() -> None:
    inputs, maps = sample("signal")
    with pytest.raises(InputError, match="try 'mean' or 'zero' for this domain"):
        road(Probe(net("signal"), torch.tensor([0, 0]), domain=Domain("signal")), inputs, maps)
