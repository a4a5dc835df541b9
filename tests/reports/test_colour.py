import math

import pytest
import torch

from sightline.reports.colour import (
    GAINED,
    HATCH_GROUND,
    HATCH_LINE,
    LOST,
    colourise,
    hatching,
    overlay,
    overlay_difference,
)
from sightline.reports.palette import SIGNED, UNSIGNED
from sightline.reports.photo import pixels_of
from sightline.reports.scale import Scale, own_scale
from sightline.results import AttentionMap

from .samples import photo, smooth


def coloured(values, low, high, table):
    """Colour by colour, from the definition."""
    rows = []
    for row in values:
        cells = []
        for value in row:
            if not math.isfinite(value):
                cells.append([0, 0, 0, 0])
                continue
            share = min(1.0, max(0.0, (value - low) / (high - low)))
            cells.append([*table[math.floor(share * 255 + 0.5)], 255])
        rows.append(cells)
    return rows


@pytest.mark.parametrize("signed", [False, True])
def test_colours_equal_their_definition(signed):
    values = smooth(7, 9, 4, signed=signed)
    values[2, 3] = math.nan
    scale = Scale(-2.0, 2.0, signed=True) if signed else Scale(0.0, 1.5)
    expected = coloured(values.tolist(), scale.low, scale.high, (SIGNED if signed else UNSIGNED).tolist())
    assert (colourise(values, scale).int() - torch.tensor(expected)).abs().max() <= 8  # one step of the table
    assert torch.equal(colourise(values, scale)[..., 3], torch.tensor(expected)[..., 3].byte())


def test_both_ends_and_zero_have_the_colours_of_the_table():
    colours = colourise(torch.tensor([[0.0, 2.0, 9.0]]), Scale(0.0, 2.0))[0, :, :3]
    assert colours.tolist() == [UNSIGNED[0].tolist(), UNSIGNED[255].tolist(), UNSIGNED[255].tolist()]
    middle = colourise(torch.tensor([[-3.0, 0.0, 3.0]]), Scale(-3.0, 3.0, signed=True))[0, :, :3]
    assert middle.tolist() == [SIGNED[0].tolist(), SIGNED[128].tolist(), SIGNED[255].tolist()]


def test_overlay_mixes_photo_and_colour_by_opacity():
    picture, map_ = pixels_of(photo()), AttentionMap(smooth(48, 64, 2), "s")
    colours = colourise(map_.values, own_scale(map_))[..., :3].float()
    expected = 0.7 * picture.float() + 0.3 * colours
    assert (overlay(map_, picture, opacity=0.3).float() - expected).abs().max() <= 0.51


def test_no_opacity_is_the_photo():
    picture = pixels_of(photo())
    assert torch.equal(overlay(AttentionMap(smooth(3, 4, 2), "s"), picture, opacity=0.0), picture)


def test_nan_is_hatched_and_never_drawn_as_a_value():
    map_ = AttentionMap(torch.full((3, 4), math.nan), "s")
    drawn = overlay(map_, pixels_of(photo()), opacity=1.0)
    lines = hatching((48, 64))
    assert drawn[lines].unique().tolist() == [HATCH_LINE]
    assert drawn[~lines].unique().tolist() == [HATCH_GROUND]
    assert 0.2 < lines.float().mean() < 0.3


@pytest.mark.parametrize(("value", "step"), [(0.0, 0), (0.4, 255)])
def test_zero_and_flat_maps_are_one_colour(value, step):
    drawn = overlay(AttentionMap(torch.full((3, 4), value), "s"), pixels_of(photo()), opacity=1.0)
    assert drawn.reshape(-1, 3).unique(dim=0).tolist() == [UNSIGNED[step].tolist()]


def test_a_nearly_flat_map_is_not_stretched_to_noise():
    values = 1.0 + 0.01 * torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    drawn = overlay(AttentionMap(values, "s"), pixels_of(photo()), opacity=1.0).int()
    assert (drawn - UNSIGNED[255].int()).abs().max() < 30


def test_a_difference_is_green_where_gained_and_purple_where_lost_over_grey():
    picture = torch.full((2, 4, 3), 100, dtype=torch.uint8)
    change = torch.tensor([[-0.5, 0.0, 0.25, 0.5]])
    shown = overlay_difference(change, picture, smoothing="nearest")[0].float()
    grey = 50 + 0.55 * 100
    assert shown[1].tolist() == [grey] * 3
    for place, share, colour in ((0, 0.9, LOST), (2, 0.45, GAINED), (3, 0.9, GAINED)):
        assert shown[place].tolist() == pytest.approx([grey * (1 - share) + share * c for c in colour], abs=0.51)


def test_a_weaker_difference_is_paler_and_none_is_grey():
    picture = torch.full((1, 2, 3), 100, dtype=torch.uint8)
    change = torch.tensor([[-0.5, 0.5]])
    full, pale, none = (overlay_difference(change, picture, strength=s).float() for s in (1.0, 0.25, 0.0))
    assert (pale - none).abs().max() == pytest.approx(0.25 * float((full - none).abs().max()), abs=1.0)
    assert none.unique().tolist() == [105.0]
    assert torch.equal(overlay_difference(torch.zeros(1, 2), picture).float(), none)
