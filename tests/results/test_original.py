"""The user's picture, beside what the network saw of it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import sightline
from sightline.errors import ResultError
from sightline.models.preprocess import Preprocess
from sightline.results import AttentionMap, Decision, Explanation, Explanations, Flow, Original


def flat(height, width, colour=(200, 40, 90)):
    return torch.tensor(colour, dtype=torch.uint8).expand(height, width, 3).contiguous()


def item(original, layer="late"):
    return Explanation(Flow((AttentionMap(torch.eye(4), layer),), "m"), Decision("cat", 1.0), original=original)


def test_a_saved_result_brings_the_picture_back(tmp_path):
    original = Original(flat(40, 60), (0.2, 0.0, 0.6, 1.0))
    item(original).save(tmp_path)
    back = Explanations.load(tmp_path)[0].original
    assert (back.pixels.int() - original.pixels.int()).abs().max() <= 4
    assert back.crop == original.crop


def test_explanations_of_one_picture_keep_it_once(tmp_path):
    original = Original(flat(40, 60))
    records = json.loads(Explanations((item(original), item(original), item(None))).save(tmp_path).read_text())
    names = [record["original"] and record["original"]["picture"] for record in records["explanations"]]
    assert names[0] == names[1]
    assert names[2] is None
    assert [one.original is None for one in Explanations.load(tmp_path)] == [False, False, True]


def test_a_result_of_before_has_no_picture(tmp_path):
    manifest = item(None).save(tmp_path)
    content = json.loads(manifest.read_text())
    content["schema"] = 3
    del content["explanations"][0]["original"]
    manifest.write_text(json.dumps(content))
    assert Explanations.load(tmp_path)[0].original is None


def test_a_result_of_now_without_the_key_is_damaged(tmp_path):
    manifest = item(None).save(tmp_path)
    content = json.loads(manifest.read_text())
    del content["explanations"][0]["original"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="damaged"):
        Explanations.load(tmp_path)


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, -1.0), (0.0, float("inf"), 1.0, 1.0)])
def test_a_box_without_area_is_refused(box):
    with pytest.raises(ResultError, match="area"):
        Original(flat(4, 4), box)


class Net(nn.Module):
    preprocess = Preprocess((16, 16))

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "I;16"])
def test_explain_keeps_the_picture_that_it_was_given(tmp_path, mode):
    values = np.linspace(0, 65535 if mode == "I;16" else 255, 40 * 80).reshape(40, 80)
    picture = Image.fromarray(values.astype("u2" if mode == "I;16" else "u1"))
    picture = picture if mode in ("L", "I;16") else picture.convert(mode)
    picture.save(tmp_path / "photo.png")
    original = sightline.explain(Net().eval(), tmp_path / "photo.png", method="gradcam")[0].original
    assert tuple(original.pixels.shape) == (40, 80, 3)
    assert original.crop == (0.25, 0.0, 0.5, 1.0)


def test_a_picture_on_its_side_is_kept_upright(tmp_path):
    picture = Image.fromarray(np.zeros((40, 80, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    original = sightline.explain(Net().eval(), tmp_path / "turned.jpg", method="gradcam")[0].original
    assert tuple(original.pixels.shape) == (80, 40, 3)


def test_a_large_picture_is_brought_down(tmp_path):
    Image.fromarray(np.zeros((100, 4000, 3), np.uint8)).save(tmp_path / "wide.png")
    original = sightline.explain(Net().eval(), tmp_path / "wide.png", method="gradcam")[0].original
    assert tuple(original.pixels.shape) == (26, 1024, 3)


def test_every_explanation_of_a_batch_has_its_own_picture():
    pictures = [Image.fromarray(np.full((20, 30, 3), grey, np.uint8)) for grey in (10, 90, 170)]
    items = sightline.explain(Net().eval(), pictures, method=["gradcam", "layercam"], target=[0, 1], batch_size=2)
    greys = [int(one.original.pixels[0, 0, 0]) for one in items]
    assert greys == [10] * 4 + [90] * 4 + [170] * 4


def test_a_tensor_has_no_picture():
    assert sightline.explain(Net().eval(), torch.rand(1, 3, 16, 16), method="gradcam")[0].original is None
