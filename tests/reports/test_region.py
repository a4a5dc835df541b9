"""The region that a decision is about, as lines in the picture and as a share of the evidence."""

import math
from itertools import pairwise

import pytest
import torch

from sightline.api.decision import decisions_of
from sightline.reports import montage, page
from sightline.reports.outline import area_of
from sightline.reports.photo import tensor_of
from sightline.reports.region import COLOUR, borders, dashes_of, marked, region_of, share_within
from sightline.reports.signal import line_plot
from sightline.results import IMAGE, AttentionMap, Decision, Domain, Explanation, Explanations, Flow
from sightline.results.original import Original
from sightline.targets.base import Readout

RING = torch.zeros(8, 8)
RING[1:7, 1:7] = 1.0
RING[3:5, 3:5] = 0.0
SIGNAL = Domain("signal")
BOX = Decision("dog", 1.0, box=(0.25, 0.5, 0.5, 0.25))
SQUARE = Decision("dog", 1.0, region=(((0.25, 0.5), (0.75, 0.5), (0.75, 0.75), (0.25, 0.75)),))


def explained(decision: Decision, **other) -> Explanation:
    flow = Flow((AttentionMap(torch.eye(4), "last"),), "gradcam")
    return Explanation(flow, decision, torch.rand(3, 64, 64), **other)


def closed(loop):
    return torch.tensor([*loop, loop[0]], dtype=torch.float64)


def yellow(picture):
    return ((picture.float() - torch.tensor(COLOUR).float()).abs().amax(2) < 40).float()


def test_a_hole_has_a_line_of_its_own_and_both_have_the_area_of_their_cells():
    areas = sorted(area_of(closed(loop)) for loop in borders(RING))
    assert areas == pytest.approx([4 / 64, 36 / 64], rel=0.03)


def test_a_single_coarse_cell_is_a_square_and_no_diamond():
    mask = torch.zeros(7, 7)
    mask[3, 2] = 1.0
    assert area_of(closed(borders(mask)[0])) == pytest.approx(1 / 49, rel=0.05)


def test_a_fine_mask_has_few_corners():
    places = torch.linspace(-1, 1, 600)
    disc = (places[:, None] ** 2 + places[None] ** 2 < 0.5).float()
    (loop,) = borders(disc)
    assert len(loop) < 80
    assert area_of(closed(loop)) == pytest.approx(float(disc.mean()), rel=0.02)


@pytest.mark.parametrize("decision", [BOX, SQUARE])
def test_the_share_within_is_the_mass_of_the_cells_inside(decision):
    values = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    inside = values[4:6, 2:6].sum() / values.sum()
    assert share_within(AttentionMap(values, "last"), decision) == pytest.approx(float(inside), abs=2e-3)


def test_a_hole_counts_as_outside():
    share = share_within(AttentionMap(torch.ones(8, 8).cumsum(1), "last"), Decision("x", 1.0, region=borders(RING)))
    values = torch.ones(8, 8).cumsum(1)
    assert share == pytest.approx(float((values * RING).sum() / values.sum()), abs=0.01)


def test_a_decision_on_the_whole_picture_has_no_region():
    plain = Decision("dog", 1.0)
    photo = torch.zeros(20, 30, 3, dtype=torch.uint8)
    assert region_of(plain) == ()
    assert share_within(AttentionMap(torch.eye(4), "last"), plain) is None
    assert marked(photo, plain) is photo


@pytest.mark.parametrize("decision", [BOX, SQUARE])
def test_the_line_lies_where_the_region_is_in_the_part_that_the_network_saw(decision):
    photo = torch.full((100, 200, 3), 60, dtype=torch.uint8)
    drawn = yellow(marked(photo, decision, box=(0.5, 0.0, 0.5, 1.0)))
    rows, columns = drawn.nonzero().unbind(1)
    assert (int(columns.min()), int(columns.max())) == pytest.approx((125, 175), abs=2)
    assert (int(rows.min()), int(rows.max())) == pytest.approx((50, 75), abs=2)


def test_dashes_and_pauses_alternate_around_a_corner():
    dashes = list(dashes_of(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)), (55, 55), unit=1.0))
    lengths = [55 * sum(math.dist(a, b) for a, b in pairwise(dash)) for dash in dashes]
    assert lengths[:-1] == pytest.approx([8.0] * (len(lengths) - 1), abs=1e-3)
    assert any(len(dash) > 2 for dash in dashes)


def test_montage_overlay_and_page_draw_it_and_name_it():
    item = explained(SQUARE, source="dog")
    figure = montage(item)
    assert any("dashed: the region that the decision is about" in text.get_text() for text in figure.texts)
    plain = explained(Decision("dog", 1.0)).overlay()
    assert yellow(tensor_of(item.overlay())).sum() > yellow(tensor_of(plain)).sum() + 20
    assert '"region_name":"region"' in page(item)
    assert "dashed: the region of the decision" in item._repr_html_()


def test_the_montage_draws_it_over_the_photo_and_over_every_map():
    for axes in montage(explained(SQUARE)).axes[1:]:  # the first is the colour bar
        assert yellow(torch.from_numpy(axes.images[0].get_array())).sum() > 20


def test_a_saved_result_keeps_it(tmp_path):
    Explanations((explained(SQUARE),)).save(tmp_path)
    assert Explanations.load(tmp_path).one().decision == SQUARE


def test_the_photo_of_the_user_carries_it(tmp_path):
    original = Original(torch.full((100, 200, 3), 60, dtype=torch.uint8), (0.5, 0.0, 0.5, 1.0))
    drawn = yellow(tensor_of(explained(SQUARE, original=original).overlay()))
    assert drawn[:, :120].sum() == 0
    assert drawn[45:80, 120:180].sum() > 20


def test_the_region_of_a_signal_is_a_span_of_its_strip_and_that_of_a_flat_output_of_a_picture_is_unknown():
    weights = torch.zeros(1, 1, 200)
    weights[..., 50:100] = weights[..., 150:160] = 1.0
    readout = Readout(torch.ones(1, 1), (("beat",),), regions=weights)
    ((decision,),) = decisions_of(readout, SIGNAL)
    spans = sorted((min(x for x, _ in loop), max(x for x, _ in loop)) for loop in decision.region)
    assert [x for span in spans for x in span] == pytest.approx([0.25, 0.5, 0.75, 0.8], abs=0.01)
    values = torch.zeros(200)
    values[60:80], values[180:200] = 3.0, 1.0
    drawn = line_plot(
        Explanation(Flow((AttentionMap(values, "a", domain=SIGNAL),), "lrp"), decision, torch.rand(1, 200))
    )
    assert share_within(drawn.flow[0], decision) == pytest.approx(0.75, abs=0.01)
    assert decisions_of(readout, IMAGE)[0][0].region == ()
