"""Pictures in any form give the maps of the tensor that the model's own preprocessing makes of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.models import ResNet18_Weights, squeezenet1_1

import sightline
from sightline.errors import InputError
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from tests.tiny import build

SIZE = (16, 16)
SETTINGS = Preprocess(SIZE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), fit="stretch")
GRADCAM = {"method": "gradcam"}


def pixels(height=24, width=20, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.fromarray(pixels()).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


def expected(net, values=None):
    """By hand: the picture through PIL and arithmetic."""
    image = Image.fromarray(pixels() if values is None else values).resize(SIZE[::-1], Image.Resampling.BILINEAR)
    view = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(part)[:, None, None] for part in (SETTINGS.mean, SETTINGS.std))
    return sightline.explain(net, ((view - mean) / std)[None], **GRADCAM)[0], view


FORMS = {
    "path": lambda file: str(file),
    "Path": lambda file: file,
    "list of paths": lambda file: [file],
    "folder": lambda file: file.parent,
    "PIL image": lambda file: Image.open(file),
    "PIL image in memory": lambda file: Image.fromarray(pixels()),
    "PIL image with a palette": lambda file: Image.fromarray(pixels()).convert("RGBA"),
    "numpy [h, w, c]": lambda file: pixels(),
    "numpy [c, h, w]": lambda file: pixels().transpose(2, 0, 1),
    "numpy [1, h, w, c]": lambda file: pixels()[None],
    "numpy [1, c, h, w]": lambda file: pixels().transpose(2, 0, 1)[None],
    "numpy floats in 0..1": lambda file: pixels() / 255,
    "numpy float32 in 0..1": lambda file: (pixels() / 255).astype(np.float32),
    "numpy with opacity": lambda file: np.concatenate([pixels(), np.full((24, 20, 1), 255, np.uint8)], 2),
    "numpy int64": lambda file: np.where(pixels() == 7, 255, pixels()).astype(np.int64) * 0 + pixels(),
    "torch uint8 [c, h, w]": lambda file: torch.from_numpy(pixels()).permute(2, 0, 1),
    "torch uint8 [h, w, c]": lambda file: torch.from_numpy(pixels()),
    "torch uint8 batch": lambda file: torch.from_numpy(pixels()).permute(2, 0, 1)[None],
    "not contiguous": lambda file: np.ascontiguousarray(pixels()[:, ::-1])[:, ::-1],
    "list of arrays": lambda file: [pixels()],
    "tuple": lambda file: (pixels(),),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_in_any_form_gives_the_same_map(file, form):
    net = build("residual")
    by_hand, view = expected(net)
    (one,) = sightline.explain(net, FORMS[form](file), preprocess=SETTINGS, **GRADCAM)
    assert all(torch.equal(a.values, b.values) for a, b in zip(one.flow.maps, by_hand.flow.maps, strict=True))
    assert torch.allclose(one.image, view)


@pytest.mark.parametrize("form", ["grey array", "grey PIL", "one channel last", "one channel first"])
def test_grey_pictures_become_as_many_channels_as_the_model_has(form):
    grey = pixels(channels=1)
    picture = {
        "grey array": grey[..., 0],
        "grey PIL": Image.fromarray(grey[..., 0]),
        "one channel last": grey,
        "one channel first": grey.transpose(2, 0, 1),
    }[form]
    by_hand, _ = expected(build("residual"), grey.repeat(3, 2))
    (one,) = sightline.explain(build("residual"), picture, preprocess=SETTINGS, **GRADCAM)
    assert torch.equal(one.flow.maps[-1].values, by_hand.flow.maps[-1].values)


def test_several_pictures_are_one_batch_with_their_names(file, tmp_path):
    for name in ("dog.png", "sub/cat.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels(30, 40)).save(tmp_path / name)
    paths = [file, str(tmp_path / "dog.png"), tmp_path / "sub" / "cat.png"]
    found = sightline.explain(build("residual"), [*paths, pixels()], preprocess=SETTINGS, **GRADCAM)
    assert [one.source for one in found] == [str(file), "dog.png", str(tmp_path / "sub/cat.png"), "picture 3"]
    assert [tuple(one.image.shape) for one in found] == [(3, *SIZE)] * 4


def test_what_the_user_says_goes_before_what_is_read_off_the_files(file):
    drawn = torch.zeros(1, 3, 4, 4)
    one = sightline.explain(
        build("residual"),
        file,
        preprocess=SETTINGS,
        images=drawn,
        sources=["mine"],
        provenance={"who": "me"},
        **GRADCAM,
    )[0]
    assert (one.source, tuple(one.image.shape), one.provenance["who"]) == ("mine", (3, 4, 4), "me")
    assert one.provenance["preprocess"]["size"] == list(SIZE)


def test_what_was_done_to_a_file_is_in_the_provenance(tmp_path):
    Image.fromarray(np.array([[0, 3000]] * 8, np.uint16)).save(tmp_path / "deep.tif")
    one = sightline.explain(build("residual"), tmp_path / "deep.tif", preprocess=SETTINGS, **GRADCAM)[0]
    assert "4095 (white)" in one.provenance["notes"]["deep.tif"][0]


def test_the_picture_itself_stays_as_it_was(file):
    image, array = Image.open(file), pixels()
    sightline.explain(build("residual"), [image, array], preprocess=SETTINGS, **GRADCAM)
    assert (array == pixels()).all()
    assert (np.asarray(image) == pixels()).all()


def test_a_half_model_gets_halves(file):
    found = sightline.explain(build("residual").bfloat16(), file, preprocess=SETTINGS, **GRADCAM)
    assert found[0].flow.maps[-1].values.isfinite().all()


def test_floats_of_numpy_are_what_the_model_takes():
    net, x = build("residual"), np.random.default_rng(0).normal(size=(2, 3, 16, 16))
    found = sightline.explain(net, x, **GRADCAM)
    by_hand = sightline.explain(net, torch.from_numpy(x).float(), **GRADCAM)
    assert all(
        torch.equal(a.flow.maps[-1].values, b.flow.maps[-1].values) for a, b in zip(found, by_hand, strict=True)
    )


def test_a_list_of_tensors_is_a_batch():
    x = torch.randn(3, 16, 16)
    assert len(sightline.explain(build("residual"), [x, x], **GRADCAM)) == 2


# --- how pictures are made ready ----------------------------------------------------------------------------


WAYS = {
    "Preprocess": SETTINGS,
    "opened model": LoadedModel(nn.Identity(), "net", None, SETTINGS),
    "transform": transforms.Compose(
        [transforms.Resize(SIZE), transforms.ToTensor(), transforms.Normalize(SETTINGS.mean, SETTINGS.std)]
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_say_it_gives_the_same(file, way):
    net = build("residual")
    by_hand, view = expected(net)
    one = sightline.explain(net, file, preprocess=WAYS[way], **GRADCAM)[0]
    assert torch.allclose(one.flow.maps[-1].values, by_hand.flow.maps[-1].values, atol=1e-6)
    assert torch.allclose(one.image, view, atol=1e-6)


def test_weights_of_torchvision_and_their_preset_say_it(file):
    net = build("residual")
    one = sightline.explain(net, file, preprocess=ResNet18_Weights.DEFAULT, **GRADCAM)[0]
    other = sightline.explain(net, file, preprocess=ResNet18_Weights.DEFAULT.transforms(), **GRADCAM)[0]
    assert one.provenance["preprocess"] == other.provenance["preprocess"]
    assert one.provenance["preprocess"]["resize"] == 256


class Processor:
    """Like an image processor of Hugging Face whose settings ours cannot say."""

    do_normalize, image_mean, image_std, model_input_names = True, SETTINGS.mean, SETTINGS.std, ["pixel_values"]

    def preprocess(self):
        raise AssertionError

    def to_dict(self):
        return {"size": {"shortest_edge": 16, "longest_edge": 40}, "do_pad": True}

    def __call__(self, images, return_tensors):
        assert return_tensors == "pt"
        return {"pixel_values": WAYS["transform"](images)[None]}


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_processor_that_has_to_run_runs_itself(file, wrapped):
    processor = SimpleNamespace(image_processor=Processor()) if wrapped else Processor()
    by_hand, view = expected(build("residual"))
    one = sightline.explain(build("residual"), file, preprocess=processor, **GRADCAM)[0]
    assert torch.allclose(one.flow.maps[-1].values, by_hand.flow.maps[-1].values, atol=1e-6)
    assert torch.allclose(one.image, view, atol=1e-6)


def test_a_transform_without_statistics_draws_no_picture_that_is_not_one(file):
    plain = transforms.Compose([transforms.Resize(SIZE), transforms.ToTensor()])
    assert sightline.explain(build("residual"), file, preprocess=plain, **GRADCAM)[0].image.max() <= 1
    odd = transforms.Compose([plain, lambda x: x * 5 - 3])
    assert sightline.explain(build("residual"), file, preprocess=odd, **GRADCAM)[0].image is None


def test_torchvisions_own_models_are_known_by_their_number_of_weights(file):
    one = sightline.explain(squeezenet1_1(), file, layers="last", **GRADCAM)[0]
    assert one.provenance["preprocess"]["of"] == "SqueezeNet1_1_Weights.IMAGENET1K_V1"
    with pytest.raises(InputError, match="SqueezeNet does not say how"):
        sightline.explain(squeezenet1_1(num_classes=7), file)


def test_timms_own_models_carry_their_settings(file):
    import timm

    net = timm.create_model("test_resnet")
    one = sightline.explain(net, file, layers="last", **GRADCAM)[0]
    assert one.provenance["preprocess"]["size"] == list(net.pretrained_cfg["input_size"][1:])


def test_a_model_that_is_opened_brings_preprocessing_labels_and_provenance(file):
    opened = sightline.open_model("timm:test_resnet", weights="random", labels=[f"kind {i}" for i in range(1000)])
    one = sightline.explain(opened, file, layers="last", **GRADCAM)[0]
    assert one.decision.label.startswith("kind ")
    assert one.provenance["model"] == "timm:test_resnet"
    ready = opened.preprocess(Image.open(file))
    by_hand = sightline.explain(opened.model, ready.inputs[None], layers="last", **GRADCAM)[0]
    assert torch.equal(one.flow.maps[-1].values, by_hand.flow.maps[-1].values)
    again = sightline.explain(opened, ready.inputs[None], layers="last", **GRADCAM)[0]
    assert torch.allclose(again.image, ready.view, atol=1e-6)
    assert sightline.explain(opened, torch.randn(1, 3, 64, 64) * 9, layers="last", **GRADCAM)[0].image is None


def test_pairs_and_embeddings_take_pictures_too(file, tmp_path):
    Image.fromarray(pixels(seed=1)).save(tmp_path / "dog.png")
    net = build("residual")
    one, other = sightline.explain_pair(net, file, tmp_path / "dog.png", preprocess=SETTINGS, method="gradcam")
    assert (one.source, other.source) == ("cat.png", "dog.png")
    assert one.image is not None
    assert sightline.embed(net, [file, pixels()], preprocess=SETTINGS).shape == (2, 6)


# --- what cannot be taken -----------------------------------------------------------------------------------


BAD = {
    "missing": (lambda file: "nowhere.png", "there is no file"),
    "address": (lambda file: "https://example.org/cat.png", "is an address; download"),
    "text": (lambda file: "a cat", "there is no file"),
    "mixed list": (lambda file: [file, torch.zeros(3, 16, 16)], "one list"),
    "seven channels": (lambda file: np.zeros((9, 9, 7), np.uint8), "shape .9, 9, 7."),
    "five axes": (lambda file: np.zeros((1, 2, 3, 9, 9), np.uint8), "shape"),
    "no pixels": (lambda file: np.zeros((0, 9, 3), np.uint8), "hold nothing"),
    "floats below 0": (lambda file: np.zeros((9, 9, 3)) - 1, "below 0"),
    "NaN": (lambda file: np.full((9, 9, 3), np.nan), "NaN"),
    "nothing": (lambda file: None, "not NoneType"),
    "empty list": (lambda file: [], "not list"),
    "a number": (lambda file: 3, "not int"),
    "bool": (lambda file: np.zeros((9, 9), bool), "not ndarray"),
    "words": (lambda file: np.array(["a"]), "not ndarray"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_refused_in_a_sentence(file, name):
    make, says = BAD[name]
    with pytest.raises(InputError, match=says) as caught:
        sightline.explain(build("residual"), make(file), preprocess=SETTINGS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("way", "says"),
    [
        (None, "Residual does not say how: normalise first, or pass preprocess="),
        (3, "preprocess= is a int"),
        (build("residual"), "preprocess= is a Residual that has no preprocessing for photos"),
        (lambda image: image, "made Image"),
        (lambda image: torch.zeros(3, 4), "made .3, 4."),
        (lambda image: torch.zeros(3, 4, 4, dtype=torch.uint8), "uint8"),
        (lambda image: 1 / 0, "failed on a picture of 20 x 24 pixels .division by zero"),
        ("nowhere", "holds no preprocessor_config.json"),
    ],
    ids=["none", "number", "model", "no tensor", "flat", "bytes", "raises", "no folder"],
)
def test_what_does_not_make_pictures_ready_is_refused_in_a_sentence(file, way, says):
    with pytest.raises(InputError, match=says):
        sightline.explain(build("residual"), file, preprocess=way)


def test_pictures_that_become_different_sizes_make_no_batch(file):
    way = transforms.Compose([transforms.Resize(16), transforms.ToTensor()])
    with pytest.raises(InputError, match="2 sizes"):
        sightline.explain(build("residual"), [file, pixels(40, 90)], preprocess=way)
