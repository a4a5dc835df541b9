"""Folders of Hugging Face: settings of image processors, models with their labels, and what is missing."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.errors import InputError, MissingExtraError, ModelError
from sightline.models.huggingface import processing_of
from sightline.models.load import load_model
from sightline.models.processor import from_processor, processor_of

HALF = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
SQUARE, LARGER = {"height": 32, "width": 32}, {"height": 40, "width": 40}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"size": SQUARE}, ((32, 32), None, "stretch")),
        ({"size": 32}, ((32, 32), None, "stretch")),
        ({"size": {"height": 32, "width": 48}}, ((32, 48), None, "stretch")),
        ({"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": SQUARE}, ((32, 32), 40, "crop")),
        ({"size": 40, "do_center_crop": True, "crop_size": 32}, ((32, 32), 40, "crop")),
        (
            {"size": {"height": 40, "width": 40}, "do_center_crop": True, "crop_size": SQUARE},
            ((32, 32), 40, "stretch"),
        ),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, ((224, 224), 256, "crop")),
        ({"size": {"shortest_edge": 384}, "crop_pct": 1.0}, ((384, 384), None, "stretch")),
    ],
    ids=str,
)
def test_settings_of_a_processor_become_ours(settings, expected):
    own = from_processor({**settings, **HALF, "resample": 3})
    assert (own.size, own.resize, own.fit) == expected
    assert (own.mean, own.std, own.interpolation) == ((0.5,) * 3, (0.25,) * 3, "bicubic")


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"shortest_edge": 800, "longest_edge": 1333}},
        {"size": {"shortest_edge": 40}},
        {"size": SQUARE, "do_pad": True},
        {"size": SQUARE, "do_resize": False},
        {"size": SQUARE, "rescale_factor": 1 / 127.5},
        {"size": SQUARE, "offset": True},
        {"size": SQUARE, "image_processor_type": "LevitImageProcessor"},
        {"size": SQUARE, "resample": 99},
        {},
    ],
    ids=str,
)
def test_what_our_settings_cannot_say_is_left_to_the_processor(settings):
    assert from_processor({**HALF, **settings}) is None


def test_a_network_that_takes_blue_first_gets_it():
    own = from_processor({"size": {"height": 2, "width": 2}, "do_flip_channel_order": True})
    prepared = own(Image.new("RGB", (4, 4), (255, 0, 51)))
    assert prepared.view[:, 0, 0].tolist() == pytest.approx([1, 0, 0.2])
    assert prepared.inputs[:, 0, 0].tolist() == pytest.approx([0.2, 0, 1])


def write(folder: Path, **files) -> str:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text)
    return str(folder)


def test_a_folder_without_a_processor_is_assumed_and_said(tmp_path):
    own, note = processing_of(write(tmp_path, config={"image_size": 96}))
    assert own.size == (96, 96)
    assert "holds no preprocessor_config.json" in note


def test_a_processor_that_does_more_is_approached_and_said(tmp_path):
    settings = {
        "size": {"shortest_edge": 80, "longest_edge": 133},
        **HALF,
        "image_processor_type": "DetrImageProcessor",
    }
    own, note = processing_of(write(tmp_path, config={}, preprocessor_config=settings))
    assert (own.size, own.mean, own.fit) == ((80, 80), (0.5,) * 3, "stretch")
    assert "DetrImageProcessor" in note
    assert "80x80" in note


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"size": {"height": -1, "width": 3}}', '{"size": "large"}'])
def test_a_damaged_processor_is_one_sentence_or_approached(tmp_path, content):
    place = write(tmp_path, config={}, preprocessor_config=content)
    with suppress(ModelError):  # nothing else is raised
        assert processing_of(place)[1]


def test_a_folder_without_a_processor_makes_no_pictures_ready(tmp_path):
    with pytest.raises(InputError, match=r"holds no preprocessor_config\.json"):
        processor_of(tmp_path)


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "transformers":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"sightline\[hub\]"):
        load_model(write(tmp_path, config={"architectures": ["ViTForImageClassification"]}))


# --- with the package ---------------------------------------------------------------------------------------------

NAMES = ("cat", "dog", "owl")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    transformers = pytest.importorskip("transformers", reason="the extra hub is not installed")
    table = dict(enumerate(NAMES))
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}
    config = transformers.ResNetConfig(
        **sizes, num_labels=3, id2label=table, label2id={v: k for k, v in table.items()}
    )
    torch.manual_seed(0)
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    settings = {"size": {"height": 64, "width": 64}, **HALF, "image_processor_type": "ViTImageProcessor"}
    write(tmp_path, preprocessor_config=settings)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)).save(tmp_path / "photo.png")
    return str(tmp_path)


def test_a_folder_is_loaded_with_labels_and_preprocessing_and_nothing_is_printed(folder, capfd):
    loaded = load_model(folder)
    assert (loaded.labels, loaded.preprocess.size, loaded.notes) == (NAMES, (64, 64), ())
    assert not loaded.model.training
    assert capfd.readouterr() == ("", "")


def test_a_model_of_that_folder_finds_its_processor_itself(folder):
    import transformers

    import sightline

    model = transformers.ResNetForImageClassification.from_pretrained(folder)
    one = sightline.explain(model, Path(folder) / "photo.png", method="gradcam")[0]
    other = sightline.explain(sightline.open_model(folder), Path(folder) / "photo.png", method="gradcam")[0]
    assert one.decision.label in NAMES
    assert torch.equal(one.flow.maps[-1].values, other.flow.maps[-1].values)


def test_weights_that_are_missing_pickled_or_random(folder):
    (Path(folder) / "model.safetensors").rename(Path(folder) / "away")
    with pytest.raises(ModelError, match="holds no weights"):
        load_model(folder)
    (Path(folder) / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"pickled weights alone .pytorch_model\.bin"):
        load_model(folder)
    assert load_model(folder, weights="random").labels == NAMES


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("{", "cannot be understood"),
        ("[]", "cannot be understood"),
        ({"model_type": "resnet"}, "names no architecture"),
        ({"architectures": ["ResNetForNothing"]}, "has no 'ResNetForNothing'"),
        ({"architectures": ["AutoConfig"]}, "has no 'AutoConfig'"),
        ({"architectures": [3]}, "names no architecture"),
        ({"architectures": ["ResNetForImageClassification"], "model_type": "nope"}, "cannot be loaded"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_followed_is_one_sentence(folder, config, says):
    write(Path(folder), config=config)
    with pytest.raises(ModelError, match=says) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
