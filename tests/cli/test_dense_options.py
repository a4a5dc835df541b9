"""`--box`, `--segment` and `--text` on the command line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.models import load
from sightline.models.load import LoadedModel, load_model
from sightline.models.preprocess import Preprocess
from tests import detectors, segmenters, towers

NAMES = ("background", "cat", "dog", "owl")


@pytest.fixture
def here(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty folder with a wide photo, and a model of the test's in place of a named one."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (60, 120, 3), np.uint8)
    Image.fromarray(pixels).save("wide.png")
    Image.fromarray(pixels[:, :60]).save("square.png")
    return tmp_path


def answer(monkeypatch: pytest.MonkeyPatch, model: Any, side: int, *arguments: Any, labels: Any = NAMES) -> Any:
    """What `sightline explain` prints with a model."""
    settings = Preprocess((side, side), mean=(0.0,) * 3, std=(1.0,) * 3, fit="pad")
    monkeypatch.setattr(load, "load_model", lambda *args, **kwargs: LoadedModel(model, "mine", labels, settings))
    command = ["explain", *arguments, "-m", "mine", "--method", "gradcam", "--format", "arrays", "--json"]
    result = CliRunner().invoke(app, list(map(str, command)))
    return result, json.loads(result.stdout) if result.exit_code == 0 else None


def decisions(facts: Any) -> list[list[tuple[str, float]]]:
    return [[(one["decision"], one["score"]) for one in photo["explanations"]] for photo in facts["photos"]]


def test_a_box_is_in_pixels_of_the_photo(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, side = detectors.build("detr"), detectors.SIDE
    options = ["--layers", detectors.BODY, "--box", "30,0,90,60,dog", "--box", "0,0,60,60"]
    result, facts = answer(monkeypatch, model, side, "wide.png", "square.png", *options)
    assert facts is not None, result.output
    for photo, (name, box) in zip(
        decisions(facts), [("wide.png", (8, 8, 24, 24)), ("square.png", (16, 0, 48, 32))], strict=True
    ):
        inputs = Preprocess((side, side), mean=(0.0,) * 3, std=(1.0,) * 3, fit="pad")(Image.open(name)).inputs[None]
        from sightline import targets

        expected = targets.box(box, 2).on((side, side)).read(model(inputs), None).scores.item()
        assert photo[0] == ("dog at 30,0,90,60", pytest.approx(expected, rel=1e-4))
        assert photo[1][0].endswith("at 0,0,60,60")


def test_a_contrast_and_the_own_detections_have_options(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, side, layers = detectors.build("detr"), detectors.SIDE, ("--layers", detectors.BODY)
    rather = answer(monkeypatch, model, side, "wide.png", *layers, "--box", "0,0,120,60,dog", "--contrast", "cat")[1]
    assert decisions(rather)[0][0][0] == "dog rather than cat at 0,0,120,60"
    assert len(decisions(answer(monkeypatch, model, side, "wide.png", *layers, "--box", "top3")[1])[0]) == 3
    same = answer(monkeypatch, model, side, "square.png", *layers, "--target", "box:top3")[1]
    assert len(decisions(same)[0]) == 3


def test_a_segment_is_a_class_where_it_is(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, side = segmenters.build("plain"), segmenters.SIDE
    for option in (("--segment", "top2"), ("--target", "segment:top2")):
        _, facts = answer(monkeypatch, model, side, "wide.png", *option)
        assert len(decisions(facts)[0]) == 2
    _, facts = answer(monkeypatch, model, side, "wide.png", "--segment", "dog", "--segment", 1)
    assert [name.split(" (")[0] for name, _ in decisions(facts)[0]] == ["dog", "cat"]
    _, facts = answer(monkeypatch, model, side, "wide.png", "--segment", "dog", "--contrast", "cat")
    assert decisions(facts)[0][0][0].startswith("dog rather than cat")


def test_a_sentence_is_read_by_the_models_own_text_tower(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = towers.build("hugging")
    model.tokenizer = towers.HuggingTokenizer()
    _, facts = answer(
        monkeypatch, model, towers.SIDE, "wide.png", "--text", "a cat", "--text", "the dog", labels=None
    )
    assert [name for name, _ in decisions(facts)[0]] == ['"a cat"', '"the dog"']
    result, facts = answer(
        monkeypatch, model, towers.SIDE, "wide.png", "--text", "a cat", "--contrast", "the dog", labels=None
    )
    assert facts is not None, result.output
    assert decisions(facts)[0][0][0] == '"a cat" rather than "the dog"'


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--box", "1,2,3"), 1, "is not understood"),
        (("--box", "1,2,3,x"), 1, "is not understood"),
        (("--box", "9,9,3,20"), 1, "ends before it begins"),
        (("--box", "top2", "--box", "1,2,30,40"), 1, "are asked for alone"),
        (("--box", "200,2,300,40"), 1, "lies outside the input"),
        (("--box", "1,2,30,40,dgo"), 1, "near names: 'dog'"),
        (("--box", "top2", "--segment", "dog"), 2, "excludes --segment"),
        (("--box", "top2", "--target", "dog"), 2, "excludes --target"),
        (("--segment", "dog", "--topk", "2"), 2, "excludes --target and --topk"),
        (("--text", " "), 1, "no sentence was given"),
        (("--text", "a cat"), 1, "has no text tower"),
    ],
)
def test_what_cannot_be_is_said(
    here: Any, monkeypatch: pytest.MonkeyPatch, options: Any, code: int, sentence: str
) -> None:
    result, _ = answer(
        monkeypatch, detectors.build("detr"), detectors.SIDE, "wide.png", "--layers", detectors.BODY, *options
    )
    assert result.exit_code == code
    assert sentence in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("size", "fit", "resize"), [((32, 48), "pad", None), ((48, 32), "crop", 40), ((30, 30), "stretch", None)]
)
def test_a_box_lies_where_its_pixels_go(size: Any, fit: Any, resize: int | None) -> None:
    settings = Preprocess(size, resize=resize, mean=(0.0,), std=(1.0,), fit=fit, interpolation="box")
    pixels = np.zeros((240, 360), np.uint8)
    pixels[96:168, 144:240] = 255
    inside = (settings(Image.fromarray(pixels)).view[0] > 0.5).nonzero()
    x0, y0, x1, y1 = settings.placed((144, 96, 240, 168), (360, 240))
    low, high = inside.amin(0).tolist(), (inside.amax(0) + 1).tolist()
    assert [y0, x0, y1, x1] == pytest.approx([*low, *high], abs=0.6)


def test_detectors_and_segmenters_of_torchvision_are_in_the_catalogue_with_their_labels() -> None:
    detector = load_model("ssdlite320_mobilenet_v3_large", weights="random")
    assert detector.labels is not None
    assert detector.labels[:3] == ("__background__", "person", "bicycle")
    assert detector.preprocess.mean == (0.0,) * 3
    segmenter = load_model("lraspp_mobilenet_v3_large", weights="random", model_args={"num_classes": 5})
    assert segmenter.labels is None
    with torch.no_grad():
        assert segmenter.model(torch.zeros(1, 3, 64, 64))["out"].shape[1] == 5
    named = load_model(
        "lraspp_mobilenet_v3_large", weights="random", model_args={"num_classes": 2}, labels=["sea", "land"]
    )
    assert named.labels == ("sea", "land")


def test_a_segmenter_with_a_second_head_takes_its_weights_from_a_file(tmp_path: Any) -> None:
    from safetensors.torch import save_file
    from torchvision.models.segmentation import fcn_resnet50

    model = fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True, num_classes=21)
    save_file(model.state_dict(), tmp_path / "net.safetensors")
    loaded = load_model("fcn_resnet50", weights=tmp_path / "net.safetensors")
    assert loaded.labels is not None
    assert len(loaded.labels) == 21
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in loaded.model.state_dict().items())
