"""Tiles cover a photo, and their maps are joined in its own places."""

from itertools import pairwise

import pytest
import torch

from sightline.errors import InputError
from sightline.models.tiles import Joined, Tiling


@pytest.mark.parametrize(
    ("size", "side", "overlap"), [((1000, 400), 400, 0.25), ((333, 517), 100, 0.0), ((90, 90), 90, 0.5)]
)
def test_tiles_reach_every_pixel_and_share_what_was_asked(size, side, overlap):
    tiling = Tiling.of(size, side, overlap=overlap)
    seen = torch.zeros(size[1], size[0])
    for tile in tiling.tiles:
        left, top, right, bottom = tile.box
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        seen[top:bottom, left:right] += 1
    assert bool((seen > 0).all())
    lefts = sorted({tile.left for tile in tiling.tiles})
    assert all(two - one <= side * (1 - overlap) + 1 for one, two in pairwise(lefts))


def test_a_tile_has_the_shape_of_the_input():
    tile = Tiling.of((800, 800), 100, shape=(64, 128)).tiles[0]
    assert (tile.width, tile.height) == (200, 100)


def test_tiles_without_overlap_are_laid_side_by_side():
    tiling = Tiling.of((40, 20), 10, overlap=0.0)
    join, maps = Joined(tiling, (2, 2)), torch.randn(8, 2, 2)
    for tile, values in zip(tiling.tiles, maps, strict=True):
        join.add(tile, values)
    rows = [torch.cat(list(maps[at : at + 4]), 1) for at in (0, 4)]
    assert torch.allclose(join.values, torch.cat(rows))


def test_where_tiles_overlap_a_place_has_the_mean_of_their_maps():
    tiling = Tiling.of((30, 12), 12, overlap=0.3)
    maps = torch.randn(len(tiling.tiles), 3, 3)
    join = Joined(tiling, (3, 3))
    for tile, values in zip(tiling.tiles, maps, strict=True):
        join.add(tile, values)
    total, count = torch.zeros(12, 30), torch.zeros(12, 30)
    for tile, values in zip(tiling.tiles, maps, strict=True):  # pixel by pixel
        for y in range(12):
            for x in range(tile.left, tile.left + 12):
                total[y, x] += values[y // 4, (x - tile.left) // 4]
                count[y, x] += 1
    height, width = join.values.shape
    blocks = [[12 // height * at, 12 // height * (at + 1)] for at in range(height)]
    for row, (top, bottom) in enumerate(blocks):
        ends = [30 * at / width for at in range(width + 1)]
        if all(end == int(end) for end in ends):
            for column in range(width):
                part = (slice(top, bottom), slice(int(ends[column]), int(ends[column + 1])))
                assert join.values[row, column] == pytest.approx(
                    float(total[part].sum() / count[part].sum()), abs=1e-5
                )


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        ((90, 60), (1, 1), (60, 60)),
        ((90, 60), (224, 160), (43, 60)),
        ((50, 300), (160, 224), (50, 36)),
        ((7, 5), (16, 16), (5, 5)),
        ((1, 1), (224, 160), (1, 1)),
    ],
)
def test_into_a_photo_smaller_than_a_tile_go_ones_as_large_as_fit(size, shape, expected):
    tiling = Tiling.of(size, 400, shape=shape)
    assert {(tile.width, tile.height) for tile in tiling.tiles} == {expected}
    boxes = torch.tensor([tile.box for tile in tiling.tiles])
    assert boxes.min(0).values[:2].tolist() == [0, 0]
    assert boxes.max(0).values[2:].tolist() == list(size)


def test_tiles_that_are_not_square_are_joined_pixel_by_pixel():
    tiling = Tiling.of((21, 17), 6, shape=(12, 16), overlap=0.3)
    maps = torch.randn(len(tiling.tiles), 6, 8)
    join = Joined(tiling, (6, 8))
    total, count = torch.zeros(17, 21), torch.zeros(17, 21)
    for tile, values in zip(tiling.tiles, maps, strict=True):
        join.add(tile, values)
        for y in range(6):
            for x in range(8):
                total[tile.top + y, tile.left + x] += values[y, x]
                count[tile.top + y, tile.left + x] += 1
    assert tiling.shape == (4, 4)
    assert torch.allclose(join.values, total / count, atol=1e-6)


def test_maps_finer_than_a_picture_can_show_are_averaged():
    tiling = Tiling.of((4000, 2000), 1000, overlap=0.0)
    join = Joined(tiling, (500, 500))
    for tile in tiling.tiles:
        join.add(tile, torch.ones(500, 500))
    assert join.values.shape == (512, 1024)
    assert torch.allclose(join.values, torch.ones(()))


@pytest.mark.parametrize(
    ("side", "overlap", "reason"),
    [(0, 0.25, "at least 1 pixel"), (10, 1.0, "share of their side"), (1, 0.0, "at most")],
)
def test_tiles_that_make_no_sense_are_refused(side, overlap, reason):
    with pytest.raises(InputError, match=reason):
        Tiling.of((400, 300), side, overlap=overlap)
