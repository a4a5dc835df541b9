"""Beside each share on the object stands what the maps of the other pictures have there."""

import pytest
import torch

import sightline
from sightline.api.other_maps import ALONE, alone, beside_others, means_of_others
from sightline.results import AttentionMap, Decision, Explanation, Flow, Phrase
from tests.tiny import plain_inplace


def naive_share(maps, mask):
    """Maps scaled to sum 1, enlarged and averaged, summed inside the mask pixel by pixel."""
    height, width = mask.shape
    mean = torch.zeros(height, width, dtype=torch.float64)
    for values in maps:
        positive = values.clamp(min=0).double()
        mean += torch.nn.functional.interpolate((positive / positive.sum())[None, None], mask.shape, mode="bilinear")[
            0, 0
        ]
    inside = sum(float(mean[y, x]) for y in range(height) for x in range(width) if mask[y, x])
    return inside / float(mean.sum())


@pytest.fixture
def masks():
    masks = torch.zeros(3, 32, 32, dtype=torch.bool)
    masks[0, :16], masks[1, :, 20:], masks[2, 5:9, 3:30] = True, True, True
    return masks


def test_each_map_stands_beside_the_mean_map_of_its_method_layer_and_rank_of_all_other_pictures(masks):
    torch.manual_seed(0)
    asked = {"target": "top2", "method": ["gradcam", "saliency"]}
    results = sightline.explain(plain_inplace().eval(), torch.randn(3, 3, 32, 32), **asked, foreground=masks)
    each, noted = len(results) // 3, 0
    for number, item in enumerate(results):
        row, rank = divmod(number, each)
        for at, map_ in enumerate(item.flow.maps):
            others = [results[k * each + rank].flow.maps[at] for k in range(3) if k != row]
            others = [other.values for other in others if "object" in other.notes]
            if "object" not in map_.notes or not others:
                assert "object_others" not in map_.notes
                continue
            noted += 1
            assert map_.notes["object_others"] == pytest.approx(naive_share(others, masks[row]), abs=1e-4)
    assert noted >= 12


def spoken(*phrases):
    return Explanation(Flow((AttentionMap(torch.ones(4, 4), "a"),), "m"), Decision("x", 1.0), phrases=phrases)


def phrase(values, energy=0.5):
    return Phrase("red bill", map=None if values is None else AttentionMap(values, "p"), energy=energy)


def test_each_phrase_stands_beside_all_phrases_of_the_other_pictures(masks):
    torch.manual_seed(1)
    maps = [torch.randn(4, 4) for _ in range(4)]
    items = [
        spoken(phrase(maps[0]), phrase(maps[1]), phrase(None, None)),
        spoken(phrase(maps[2])),
        spoken(phrase(maps[3]), phrase(-torch.ones(4, 4), None)),
    ]
    first, second, third = beside_others(items, masks, 1)
    shares = [[one.object_others for one in item.phrases] for item in (first, second, third)]
    assert shares[0][:2] == [pytest.approx(naive_share(maps[2:], masks[0]), abs=1e-6)] * 2
    assert shares[1] == [pytest.approx(naive_share([maps[0], maps[1], maps[3]], masks[1]), abs=1e-6)]
    assert shares[2][0] == pytest.approx(naive_share(maps[:3], masks[2]), abs=1e-6)
    assert (shares[0][2], shares[2][1]) == (None, None)
    assert second.phrases[0].energy == 0.5


def test_a_picture_alone_has_no_such_control_and_says_so(masks):
    net = plain_inplace().eval()
    item = sightline.explain(net, torch.randn(1, 3, 32, 32), method="gradcam", foreground=masks[:1])
    assert not [map_ for map_ in item.one().flow.maps if "object_others" in map_.notes]
    assert alone(item) == [ALONE]
    several = sightline.explain(net, torch.randn(2, 3, 32, 32), method="gradcam", foreground=masks[:2])
    assert alone(several.items[:1]) == []
    assert alone(sightline.explain(net, torch.randn(1, 3, 32, 32), method="gradcam")) == [], "no mask, no share"


def test_pictures_of_which_all_others_are_silent_have_no_mean_of_others():
    only = torch.ones(2, 2)
    assert [None if mean is None else mean.tolist() for mean in means_of_others([[only], [], []])] == [
        None,
        [[0.25, 0.25], [0.25, 0.25]],
        [[0.25, 0.25], [0.25, 0.25]],
    ]
    assert means_of_others([[], []]) == [None, None]
