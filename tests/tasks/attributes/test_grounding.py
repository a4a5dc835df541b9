"""Where attributes are read: maps, boxes, and what is refused a box."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from sightline.metrics.localisation import energy_inside
from sightline.models.trunk import Trunk
from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.explain.grounding import (
    box_of,
    centring,
    components,
    ground,
    points,
)
from sightline.tasks.attributes.network.heads import AttributeHead
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec

WORDS = Vocabulary(
    (
        Attribute("crown::red", "crown", "red", "crown", "part"),
        Attribute("crown::blue", "crown", "blue", "crown", "part"),
        Attribute("striped", "striped", "yes"),
        Attribute("aquatic", "aquatic", "yes", "", "context"),
        Attribute("timid", "timid", "yes", "", "abstract"),
    ),
    ("crown",),
)


class Body(nn.Module):
    """Two convolutions of stride 2 that are shift-equivariant away from the border."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.Conv2d(6, 8, 3, 2, 1, bias=False)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return fn.relu(self.two(fn.relu(self.one(x))))


def net(pool: str = "average") -> AttributeNet:
    spec = AttributeSpec("any", ("a", "b"), WORDS, join="bottleneck", pool=pool, stride=0, size=64)
    return AttributeNet(spec, Trunk(Body())).eval()


def spot(row: int, column: int, size: int = 64) -> torch.Tensor:
    x = torch.zeros(1, 3, size, size)
    x[..., row : row + 4, column : column + 4] = torch.tensor([1.0, -0.5, 2.0])[:, None, None]
    return x


def random_map(height: int = 9, width: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.randn(height, width, generator=torch.Generator().manual_seed(seed))


def test_with_max_pooling_the_value_at_the_drawn_peak_is_the_logit() -> None:
    head = AttributeHead(4, WORDS, pool="max")
    with torch.no_grad():
        read = head(torch.randn(1, 4, 5, 5, generator=torch.Generator().manual_seed(1)) + 3)
    for at in range(len(WORDS)):
        found = ground(read.maps[0], (at,), WORDS)
        assert float(found.map.flatten()[found.map.abs().argmax()]) == pytest.approx(
            float((read.logits[0, at] - head.what.bias[at]).detach()), rel=1e-5
        )


def test_a_picture_moved_by_one_stride_moves_the_peak_by_one_cell() -> None:
    model = net()
    with torch.no_grad():
        here, there = (model.read(spot(*at)).maps[0] for at in ((24, 24), (28, 32)))
    for one, other in zip(here, there, strict=True):
        row, column = divmod(int(one.abs().argmax()), 16)
        assert divmod(int(other.abs().argmax()), 16) == (row + 1, column + 2)


def test_a_mirrored_picture_gives_the_mirrored_map_and_box_where_the_filters_are_mirrored() -> None:
    model, turned = net(), net()
    for mine, theirs in zip(model.trunk.parameters(), turned.trunk.parameters(), strict=True):
        theirs.data = mine.data.flip(-1)
    x = torch.randn(1, 3, 65, 65, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        maps, mirrored = model.read(x).maps[0], turned.read(x.flip(-1)).maps[0]
    assert torch.allclose(maps.flip(-1), mirrored, atol=1e-6)
    for one, other in zip(maps, mirrored, strict=True):
        mine, theirs = box_of(one), box_of(other)
        assert (mine is None) == (theirs is None)
        if mine and theirs:
            assert theirs == pytest.approx((1 - mine[0] - mine[2], *mine[1:]), abs=1e-6)


def test_energies_over_a_partition_add_up_to_one() -> None:
    map_, left = random_map(), torch.zeros(9, 7, dtype=torch.bool)
    left[:, :3] = True
    assert energy_inside(map_, left) + energy_inside(map_, ~left) == pytest.approx(1.0)


def test_an_even_map_has_the_share_of_the_area_and_an_oracle_has_all() -> None:
    mask = torch.zeros(10, 10, dtype=torch.bool)
    mask[2:5, 1:9] = True
    assert energy_inside(torch.ones(10, 10), mask) == pytest.approx(0.24)
    assert energy_inside(mask.float(), mask) == pytest.approx(1.0)
    assert energy_inside(torch.zeros(10, 10), mask) is None


@pytest.mark.parametrize("scale", [1e-4, 1.0, 3e5])
def test_energy_and_box_do_not_change_with_the_scale_of_the_map(scale: float) -> None:
    map_, mask = random_map(12, 12), torch.zeros(12, 12, dtype=torch.bool)
    mask[:6] = True
    assert energy_inside(map_ * scale, mask) == pytest.approx(energy_inside(map_, mask), rel=1e-4)
    assert box_of(map_ * scale) == box_of(map_)


@pytest.mark.parametrize("pool", ["average", "places"])
def test_random_weights_destroy_the_map(pool: str) -> None:
    """Maps of the same picture through other weights have nothing in common [adebayo2018sanity]."""
    shared = []
    for seed in range(12):
        model, other = net(pool), net(pool)
        torch.manual_seed(100 + seed)
        for module in other.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.reset_parameters()
        x = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            one, two = (m.read(x).maps[0, 0].flatten().argsort().argsort().float() for m in (model, other))
        shared.append(float(torch.corrcoef(torch.stack([one, two]))[0, 1]))
    assert abs(sum(shared) / len(shared)) < 0.25


@pytest.mark.parametrize(
    "map_", [torch.zeros(6, 6), torch.ones(6, 6), -torch.ones(6, 6), torch.full((6, 6), torch.nan)]
)
def test_a_map_that_points_nowhere_gets_no_box(map_: torch.Tensor) -> None:
    assert not points(map_)
    assert box_of(map_) is None
    assert ground(map_[None].expand(5, -1, -1), (0,), WORDS).box is None


def test_what_is_not_seen_at_a_place_gets_a_map_and_no_box() -> None:
    maps = torch.zeros(5, 6, 6)
    maps[:, 2, 3] = 1.0
    assert ground(maps, (2,), WORDS).box == pytest.approx((3 / 6, 2 / 6, 1 / 6, 1 / 6))
    for at in (3, 4):
        found = ground(maps, (at,), WORDS)
        assert found.box is None
        assert float(found.map.sum()) == 1.0
    assert ground(maps, (2, 3), WORDS).box is None


@pytest.mark.parametrize("cell", [(0, 0), (3, 5), (7, 11)])
def test_a_single_hot_cell_lies_where_the_picture_has_it(cell: tuple[int, int]) -> None:
    """Half-pixel convention: cell [r, c] of 8 x 12 covers pixels 8r..8r+7 and 8c..8c+7 of 64 x 96, and no others."""
    map_ = torch.zeros(8, 12)
    map_[cell] = 1.0
    x, y, wide, high = box_of(map_) or (0, 0, 0, 0)
    assert (y * 64, x * 96, high * 64, wide * 96) == pytest.approx((8 * cell[0], 8 * cell[1], 8, 8))
    grown = fn.interpolate(map_[None, None], (64, 96), mode="bilinear")[0, 0]
    rows, columns = torch.nonzero(grown == grown.max(), as_tuple=True)
    middle = (rows.float().mean() + 0.5, columns.float().mean() + 0.5)
    inside = 0 < cell[0] < 7 and 0 < cell[1] < 11
    assert not inside or middle == pytest.approx((8 * cell[0] + 4, 8 * cell[1] + 4))


def test_the_map_of_a_phrase_is_the_sum_of_those_of_its_attributes() -> None:
    maps = torch.stack([random_map(seed=seed) for seed in range(5)])
    assert torch.equal(ground(maps, (0, 2), WORDS).map, maps[0] + maps[2])


def test_less_the_mean_of_its_group_the_maps_of_a_choice_add_up_to_nothing() -> None:
    maps = torch.stack([random_map(seed=seed) for seed in range(5)])
    found = torch.einsum("kj,jhw->khw", centring(WORDS), maps)
    assert torch.allclose(found[:2].sum(0), torch.zeros(9, 7), atol=1e-6)
    assert torch.equal(found[2:], maps[2:])
    assert torch.allclose(found[0] - found[1], maps[0] - maps[1], atol=1e-6)
    loose = Vocabulary(WORDS.attributes)
    assert torch.equal(centring(loose, exclusive=True), torch.eye(5))
    assert torch.equal(centring(loose), centring(WORDS))


def flood(mask: torch.Tensor) -> set[frozenset[tuple[int, int]]]:
    """Connected parts, place by place."""
    left = {tuple(at) for at in torch.nonzero(mask).tolist()}
    found = set()
    while left:
        waiting, part = deque([left.pop()]), set()
        while waiting:
            row, column = waiting.popleft()
            part.add((row, column))
            near = {(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)} & left
            left -= near
            waiting.extend(near)
        found.add(frozenset(part))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_connected_parts_are_those_of_a_flood(seed: int) -> None:
    mask = random_map(14, 11, seed) > 0.4
    numbers = components(mask)
    mine = {frozenset(map(tuple, torch.nonzero(numbers == n).tolist())) for n in numbers.unique().tolist() if n}
    assert mine == flood(mask)
    assert bool((numbers[~mask] == 0).all())


def test_the_box_is_around_the_part_that_holds_most() -> None:
    map_ = torch.zeros(10, 10)
    map_[1, 1] = 1.0
    map_[5:8, 4:9] = 0.8
    assert box_of(map_, above=0.5) == pytest.approx((0.4, 0.5, 0.5, 0.3))
    assert box_of(map_, above=0.9) == pytest.approx((0.1, 0.1, 0.1, 0.1))


def test_a_sharp_map_is_cut_lower_than_a_broad_one() -> None:
    sharp = torch.zeros(16, 16)
    sharp[4, 4:8] = torch.tensor([0.2, 1.0, 0.2, 0.05])
    assert box_of(sharp) == pytest.approx((4 / 16, 4 / 16, 3 / 16, 1 / 16))
    assert box_of(sharp, above=0.5) == pytest.approx((5 / 16, 4 / 16, 1 / 16, 1 / 16))
