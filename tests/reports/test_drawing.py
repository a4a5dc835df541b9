import base64
import math
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from sightline.errors import ResultError
from sightline.reports.cmaps import CMAPS, REACH, STRONGEST, ZERO, opacity_of
from sightline.reports.density import Unit, is_against, shared_unit, unit_of
from sightline.reports.drawing import (
    HATCH_GROUND,
    HATCH_LINE,
    drawing_record,
    hatching,
    laid,
    map_record,
    overlay,
    painted,
    photo_record,
    rows_of,
    stroked,
)
from sightline.reports.kernel import grown, spread
from sightline.reports.outline import outline
from sightline.reports.photo import pixels_of
from sightline.reports.tint import Tint, tint_of
from sightline.results import AttentionMap

from .samples import photo, smooth

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from _seeing import difference

CLEAR = [name for name in CMAPS if not CMAPS[name].opaque]


@pytest.mark.parametrize("name", CLEAR)
def test_a_zero_map_leaves_the_photo_as_it_is(name):
    picture = pixels_of(photo())
    assert torch.equal(overlay(AttentionMap(torch.zeros(6, 8), "s"), picture, cmap=name), picture)


def test_the_photo_stays_where_nothing_is_and_changes_where_something_is():
    values = torch.zeros(8, 8)
    values[1:3, 1:3] = 1.0
    picture = pixels_of(photo(64, 64))
    change = (overlay(AttentionMap(values, "s"), picture, outlined=False).int() - picture.int()).abs().amax(-1)
    assert int(change[40:, 40:].max()) == 0
    assert int(change[10:22, 10:22].min()) > 30


@pytest.mark.parametrize("name", list(CMAPS))
def test_more_evidence_is_never_more_transparent(name):
    alpha = tint_of(name).table[:, 3].int()
    assert bool((alpha[ZERO:].diff() >= 0).all())
    assert bool((alpha[: ZERO + 1].diff() <= 0).all())


@pytest.mark.parametrize("density", [0.0, 0.5, 1.25, 5.0])
def test_opacity_is_the_curve_of_its_equation(density):
    expected = STRONGEST * density**2.5 / (density**2.5 + 1.25**2.5)
    assert float(opacity_of(torch.tensor(density))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("density", [-20.0, -3.0, -0.1, 0.0, 0.01, 1.0, 7.9, 9.0])
def test_a_density_has_the_row_of_its_square_root(density):
    share = math.copysign(min(1.0, abs(density) / REACH) ** 0.5, density)
    assert int(rows_of(torch.tensor(density))) == math.floor(128 + 127 * share + 0.5)


def test_evidence_for_and_against_have_different_hues():
    colours = painted(torch.tensor([[4.0, -4.0]]))[0]
    assert colours[0, :3].tolist() != colours[1, :3].tolist()
    assert colours[0, 3] == colours[1, 3]


def test_a_picture_is_photo_and_colour_mixed_by_the_colours_own_opacity():
    map_, picture = AttentionMap(smooth(12, 16, 2), "s"), pixels_of(photo())
    densities = grown(map_, (48, 64)) / unit_of(map_).value
    colours = tint_of("inferno").table[rows_of(densities.clamp(min=0.0))].float()
    alpha = colours[..., 3:] / 255 * 0.5
    expected = picture.float() * (1 - alpha) + colours[..., :3] * alpha
    drawn = overlay(map_, picture, cmap="inferno", opacity=0.5, outlined=False)
    assert (drawn.float() - expected).abs().max() <= 0.51


def test_no_opacity_is_the_photo():
    picture = pixels_of(photo())
    assert torch.equal(overlay(AttentionMap(smooth(3, 4, 2), "s"), picture, opacity=0.0), picture)


@pytest.mark.parametrize(("share", "drawn"), [(0.04, False), (0.06, True)])
def test_evidence_against_is_drawn_from_a_twentieth_of_the_absolute_sum_on(share, drawn):
    values = torch.zeros(10, 10)
    values[:, :5], values[9, 9] = (1 - share) / 50, -share
    assert is_against(values) is drawn
    picture = torch.full((100, 100, 3), 128, dtype=torch.uint8)
    corner = overlay(AttentionMap(values, "s", signed=True), picture, outlined=False)[95, 95].int()
    assert bool((corner != 128).any()) is drawn


def test_a_unit_is_the_mean_magnitude_of_what_is_drawn():
    values = smooth(10, 10, 3, signed=True)
    fine = grown(AttentionMap(values, "s"), (160, 160))
    assert unit_of(AttentionMap(values, "s")).value == pytest.approx(float(fine.abs().mean()), rel=1e-5)
    assert unit_of(AttentionMap(values.relu(), "s")).value == pytest.approx(float(values.relu().mean()), rel=1e-3)


def test_colours_do_not_depend_on_the_units_of_the_method():
    picture = pixels_of(photo())
    values = smooth(6, 8, 3)
    one, other = (overlay(AttentionMap(values * factor, "s"), picture) for factor in (1.0, 1e-6))
    assert (one.int() - other.int()).abs().max() <= 1


def test_a_shared_unit_is_the_largest_and_draws_what_one_of_them_draws():
    maps = [AttentionMap(torch.full((2, 2), 2.0), "a"), AttentionMap(torch.full((2, 2), -5.0), "b", signed=True)]
    assert shared_unit(maps) == Unit(pytest.approx(5.0), True)


def test_nan_is_hatched_and_never_drawn_as_a_value():
    picture = torch.zeros(48, 64, 3, dtype=torch.uint8)
    drawn = overlay(AttentionMap(torch.full((3, 4), math.nan), "s"), picture)
    lines = hatching((48, 64))
    assert drawn[lines].unique().tolist() == [round(0.6 * HATCH_LINE)]
    assert drawn[~lines].unique().tolist() == [round(0.6 * HATCH_GROUND)]


def test_an_even_map_is_one_even_tint():
    drawn = overlay(AttentionMap(torch.full((3, 4), 0.4), "s"), torch.full((48, 64, 3), 99, dtype=torch.uint8))
    assert len(drawn.reshape(-1, 3).unique(dim=0)) == 1


def test_the_outline_is_light_inside_dark():
    values = torch.zeros(10, 10)
    values[3:7, 3:7] = 1.0
    picture = torch.full((200, 200, 3), 128, dtype=torch.uint8)
    profile = stroked(picture, outline(AttentionMap(values, "s")).loops)[100, :100, 0].int()
    light = int(profile.argmax())
    assert profile[light] > 200
    assert profile[light - 3 : light].min() < 100
    assert profile[light : light + 4].min() < 100
    assert profile[:40].unique().tolist() == [128]


def test_laying_is_exact_at_both_ends():
    picture = torch.full((1, 2, 3), 100, dtype=torch.uint8)
    colours = torch.tensor([[[9, 8, 7, 255], [9, 8, 7, 0]]], dtype=torch.uint8)
    assert laid(colours, picture)[0].tolist() == [[9, 8, 7], [100, 100, 100]]


def test_an_unknown_colour_map_is_refused_with_those_there_are():
    with pytest.raises(ResultError, match="there is no colour map 'jet'; colour maps: glow"):
        overlay(AttentionMap(torch.ones(2, 2), "s"), pixels_of(photo()), cmap="jet")


def test_the_classic_map_darkens_the_photo_where_nothing_is():
    picture = torch.full((8, 8, 3), 200, dtype=torch.uint8)
    drawn = overlay(AttentionMap(torch.zeros(2, 2), "s"), picture, cmap="classic")
    assert drawn[..., 0].unique().tolist() == [80]


def test_a_pages_script_can_draw_the_same():
    """The steps of the record's own words, without any function of ours."""
    map_, picture = AttentionMap(smooth(6, 8, 3, signed=True), "s", signed=True), pixels_of(photo())
    common, own, paint = drawing_record(), map_record(map_), photo_record(picture)
    table, ground = (
        torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8).float()
        for text in (paint["table"], paint["ground"]["values"])
    )
    table, ground = table.reshape(256, 4), ground.reshape(paint["ground"]["height"], paint["ground"]["width"], 3)
    ground = torch.stack([spread(part, (48, 64), common["spread"]) for part in ground.unbind(-1)], -1)
    values = grown(map_, (48, 64)).double() / own["unit"]
    values = values if own["against"] else values.clamp(min=0)
    rows = (128 + 127 * values.sign() * (values.abs() / common["reach"]).clamp(max=1).sqrt() + 0.5).floor().long()
    alpha = table[rows][..., 3:] / 255
    detail = paint["detail"]
    expected = picture * (1 - alpha * (1 - detail)) + alpha * (table[rows][..., :3] - detail * ground)
    expected = expected.clamp(0, 255)
    assert (overlay(map_, picture, outlined=False).float() - expected).abs().max() <= 1.01
    assert own["area"] == outline(map_).area
    assert [len(loop) // 2 for loop in own["loops"]] == [len(loop) for loop in outline(map_).loops]


@pytest.mark.parametrize("deficiency", ["", "protanopia", "deuteranopia", "tritanopia"])
@pytest.mark.parametrize("name", ["glow", "cobalt", "inferno"])
def test_for_and_against_are_told_apart_by_every_eye(name, deficiency):
    for grey in range(0, 256, 51):
        photo = torch.full((1, 1, 3), grey, dtype=torch.uint8)
        tint = tint_of(name, photo)
        one, other = (
            laid(painted(torch.full((1, 1), sign * 2.5), tint=tint), photo, detail=tint.detail) / 255
            for sign in (1, -1)
        )
        assert float(difference(one, other, deficiency=deficiency)) >= (15 if not deficiency else 12)


@pytest.mark.parametrize(("grey", "dark"), [(10, (False, False)), (115, (False, True)), (240, (True, True))])
def test_a_photo_takes_the_shades_that_are_seen_on_it(grey, dark):
    assert tint_of("glow", torch.full((40, 40, 3), grey, dtype=torch.uint8)) == Tint("glow", dark)


def test_detail_of_the_photo_stays_under_the_paint_and_its_ground_is_covered():
    stripes = torch.full((112, 112, 3), 100, dtype=torch.uint8)
    stripes[:, ::2] = 140
    even = AttentionMap(torch.full((7, 7), 2.0), "s")
    unit = Unit(0.25)
    for name, kept in (("glow", 1 - 0.9 * 0.5), ("inferno", 1 - 0.75)):
        drawn = overlay(even, stripes, cmap=name, unit=unit, outlined=False).float()[40:60, 40:60]
        alpha = float(tint_of(name).table[-1, 3]) / 255
        contrast = (drawn[:, 1::2] - drawn[:, ::2]).abs().mean((0, 1)).amin()
        assert float(contrast) == pytest.approx(40 * kept, rel=0.05)
        colour = tint_of(name, stripes).table[-1, :3].float()
        assert (drawn.mean((0, 1)) - (120 * (1 - alpha) + alpha * colour)).abs().max() < 6  # what is clipped


def test_all_pictures_of_a_clip_have_the_shades_of_one():
    dark, light = (torch.full((30, 30, 3), grey, dtype=torch.uint8) for grey in (20, 240))
    map_ = AttentionMap(torch.tensor([[4.0, 0.0], [0.0, 0.0]]), "s")
    one, other = (overlay(map_, light, cmap=tint, outlined=False) for tint in ("glow", tint_of("glow", dark)))
    assert not torch.equal(one, other)
    assert torch.equal(other, overlay(map_, light, cmap=Tint("glow", (False, False)), outlined=False))


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", list(CMAPS))
def test_a_picture_looks_like_its_golden_one(name):
    """Compared by what an eye sees, so that a rounding elsewhere is no failure and another colour is one."""
    values = smooth(14, 18, 4, signed=True)
    drawn = overlay(AttentionMap(values, "s", signed=True), pixels_of(photo(112, 144, seed=2)), cmap=name)
    with Image.open(GOLDEN / f"drawing_{name}.png") as picture:
        golden = torch.tensor(list(picture.convert("RGB").tobytes())).reshape(drawn.shape)
    seen = difference(drawn.float() / 255, golden.float() / 255)
    assert float(seen.median()) < 0.5
    assert float(seen.quantile(0.99)) < 2.0
