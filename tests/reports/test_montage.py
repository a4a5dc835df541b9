import io

import pytest
import torch
from PIL import Image

from sightline.errors import ResultError
from sightline.reports import montage, save_montage
from sightline.reports.drawing import overlay
from sightline.reports.gains import overlay_difference
from sightline.reports.look import PIXELS
from sightline.reports.motion import difference, mass, moved
from sightline.reports.outline import half_area
from sightline.reports.photo import fit, pixels_of
from sightline.results import AttentionMap, Flow

from .samples import HOSTILE, explanation, gallery, odd_flow, photo, smooth


def words(figure):
    return [text.get_text() for text in figure.texts]


def pictures(figure):
    """What is shown, without the colour bars."""
    shown = [axes.images[0].get_array() for axes in figure.axes]
    return [torch.as_tensor(array) for array in shown if array.shape[0] > 1]


def test_photo_comes_first_and_then_every_stage_in_forward_order():
    item = explanation()
    figure = montage([item])
    picture = fit(pixels_of(photo()), PIXELS, enlarge=True)
    expected = [picture, *(overlay(map_, picture) for map_ in item.flow.maps)]
    assert len(pictures(figure)) == 4
    assert all(torch.equal(shown, wanted) for shown, wanted in zip(pictures(figure), expected, strict=True))
    layers = [text for text in words(figure) if text in item.flow.layers]
    assert layers == ["early", "middle", "late"]


def test_headings_hold_decision_score_probability_and_method():
    text = " ".join(words(montage([explanation()])))
    for part in ("photo.png", "cat", "score 3.25", "50.0 %", "gradcam", "3 layers", "12×16"):
        assert part in text


def test_statuses_are_said_in_words():
    text = " ".join(words(montage([explanation(odd_flow())])))
    for part in ("6×8 · zero", "6×8 · flat", "6×8 · nan", "every value is exactly zero", "(hatched)"):
        assert part in text


def test_many_stages_are_spread_and_the_rest_is_counted():
    flow = Flow(tuple(AttentionMap(smooth(4, 4, n), f"s{n}") for n in range(30)), "gradcam")
    shown = words(montage([explanation(flow)], max_layers=5))
    assert "s0" in shown
    assert "s29" in shown
    assert any("30 layers · 25 left out" in text for text in shown)
    assert len(pictures(montage([explanation(flow)], max_layers=5))) == 6


def test_a_shared_scale_names_its_unit_and_makes_weak_maps_faint():
    weak, strong = (
        AttentionMap(factor * smooth(4, 4, 2), name) for factor, name in ((0.1, "weak"), (10.0, "strong"))
    )
    item = explanation(Flow((weak, strong), "gradcam"))
    own, shared = pictures(montage([item])), pictures(montage([item], scale="shared"))
    bare = pictures(montage([item], opacity=0.0))[1].float()
    assert (shared[1].float() - bare).abs().mean() < 0.5 * (own[1].float() - bare).abs().mean()
    assert torch.equal(shared[2], own[2])
    text = " ".join(words(montage([item], scale="shared")))
    assert f"times {float(strong.values.mean()):.4g}, the same for all layers" in text


def test_the_legend_shows_evidence_against_only_where_it_is_drawn():
    signed, plain = words(montage(gallery()[1:2])), words(montage(gallery()[:1]))
    assert signed.count("4×") == 2
    assert [text for text in plain if text.endswith("×")] == ["0×", "1×", "2×", "4×"]


def test_under_a_map_stands_how_little_of_the_picture_holds_half_of_its_evidence():
    item = explanation()
    text = " ".join(words(montage([item])))
    for map_ in item.flow.maps:
        assert f"half in {100 * half_area(map_):.2g} %" in text
    assert "outline: the smallest area that holds half of the evidence" in text


def test_a_fine_grid_is_smoothed_and_that_is_said():
    flow = Flow((AttentionMap(smooth(112, 112, 3), "early"),), "gradcam")
    assert "over 2 cells at most" in " ".join(words(montage([explanation(flow)])))
    assert "cells at most" not in " ".join(words(montage([explanation(flow)], smooth=False)))


def test_the_colour_map_is_the_one_that_was_asked_for():
    item = explanation()
    picture = fit(pixels_of(photo()), PIXELS, enlarge=True)
    shown = pictures(montage([item], cmap="inferno"))[1]
    assert torch.equal(shown, overlay(item.flow[0], picture, cmap="inferno"))
    with pytest.raises(ResultError, match="colour maps: glow"):
        montage([item], cmap="jet")


def test_all_photos_methods_and_hostile_labels_are_drawn_as_plain_text(tmp_path):
    figure = montage(gallery())
    assert len(pictures(figure)) == 4 + 4 + 5 + 4
    assert any(text.startswith(HOSTILE[:20]) for text in words(figure))
    assert save_montage(gallery(), tmp_path / "m.png").stat().st_size > 10_000


@pytest.mark.parametrize("label", ["costs $\\nonsense{1$", "\\frac{1}", "", "x" * 500, "日本語"])
def test_any_label_can_be_written(tmp_path, label):
    save_montage([explanation(label=label, source=label)], tmp_path / "m.png")


@pytest.mark.parametrize(
    "image", [torch.rand(1, 28, 28), torch.rand(3, 4, 300), torch.rand(3, 300, 4), torch.rand(3, 1, 1)]
)
def test_any_shape_of_photo_is_drawn(image):
    assert len(pictures(montage([explanation(image=image)]))) >= 3


def test_a_file_is_whole_and_nothing_else_is_left(tmp_path):
    path = save_montage([explanation()], tmp_path / "m.png")
    picture = Image.open(io.BytesIO(path.read_bytes()))
    picture.load()
    assert picture.width > 1000
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_drawn_or_written_is_refused(tmp_path):
    with pytest.raises(ResultError, match="columns=0"):
        montage([explanation()], columns=0)
    with pytest.raises(ResultError, match="own, shared"):
        montage([explanation()], scale="min-max")
    with pytest.raises(ResultError, match=r"m\.docx"):
        save_montage([explanation()], tmp_path / "m.docx")
    with pytest.raises(ResultError, match="cannot write"):
        save_montage([explanation()], tmp_path / "missing" / "m.png")
    with pytest.raises(ResultError, match="pixels high"):
        montage([explanation(source=f"{n}") for n in range(40)], columns=1)
    assert not list(tmp_path.iterdir())


def test_differences_stand_under_every_map_but_the_first():
    item = explanation()
    plain, figure = montage([item]), montage([item], differences=True)
    photo_ = fit(pixels_of(photo()), PIXELS, enlarge=True)
    early, middle, late = (mass(map_) for map_ in item.flow.maps)
    changes = (difference(early, middle), difference(middle, late))
    farthest = max(map(moved, changes))
    wanted = [overlay_difference(one, photo_, strength=(moved(one) / farthest) ** 0.5) for one in changes]
    assert all(torch.equal(a, b) for a, b in zip(pictures(figure)[4:], wanted, strict=True))
    said = [text for text in words(figure) if "% moved" in text]
    assert said == [f"{100 * moved(one):.0f} % moved" for one in changes]
    assert figure.get_figheight() > plain.get_figheight()


def test_a_montage_without_differences_says_nothing_of_them():
    assert not any("moved" in text for text in words(montage([explanation()])))


def test_nothing_is_compared_with_a_stage_that_says_nothing():
    figure = montage([explanation(odd_flow())], differences=True)
    assert len(pictures(figure)) == len(pictures(montage([explanation(odd_flow())])))
    assert sum("nothing to compare" in text for text in words(figure)) == 3


def test_a_single_map_has_no_row_of_differences():
    still = explanation(Flow((AttentionMap(smooth(4, 4, 1), "only"),), "m"))
    assert montage([still], differences=True).get_figheight() - montage([still]).get_figheight() < 0.2


def test_a_difference_stands_right_under_the_later_of_its_two_maps():
    axes = [one for one in montage([explanation()], differences=True).axes if one.images[0].get_array().shape[0] > 1]
    _, _, middle, late, first, second = (one.get_position() for one in axes)
    assert (first.x0, second.x0) == pytest.approx((middle.x0, late.x0))
    assert first.y1 < middle.y0
    assert first.y0 == pytest.approx(second.y0)
