"""Models by name: found, built, filled, labelled, and put on the right preprocessing - or refused in one sentence."""

import json
import subprocess
import sys
import urllib.error

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sightline.errors import InputError, ModelError
from sightline.models import load
from sightline.models.load import load_model
from sightline.models.zoo import published
from sightline.models.zoo.catalog import find_model, models

SMALL = "timm:test_convnext"


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """No network and an empty cache."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(published.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    return tmp_path


def test_a_bare_name_is_torchvisions_where_both_have_it():
    assert str(find_model("resnet50")) == "torchvision:resnet50"
    assert str(find_model("timm:resnet50")) == "timm:resnet50"
    assert str(find_model("vit_tiny_patch16_224")) == "timm:vit_tiny_patch16_224"
    assert str(find_model("resnet50.a1_in1k")) == "timm:resnet50.a1_in1k"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnte50", "'resnet50'"),
        ("torchvision:vit_tiny_patch16_224", "torchvision"),
        ("torchvison:resnet50", "there is no origin 'torchvison'"),
        ("", "there is no model ''"),
    ],
)
def test_an_unknown_name_lists_what_is_near(name, says):
    with pytest.raises(ModelError) as caught:
        find_model(name)
    assert says in str(caught.value)


def test_the_catalogue_holds_both_origins_and_takes_patterns():
    every = models()
    assert {entry.origin for entry in every} == {"torchvision", "timm"}
    assert [entry.name for entry in models("torchvision:squeezenet*")] == ["squeezenet1_0", "squeezenet1_1"]
    assert {entry.name for entry in models("MOBILENETV2_100")} == {"mobilenetv2_100"}
    assert models("no such thing") == []
    found = {f"{entry.origin}:{entry.name}": entry for entry in every}
    assert found["torchvision:resnet50"].parameters == 25_557_032
    assert found["timm:resnet50"].published
    assert found["timm:resnet50"].family == "resnet"


def test_random_weights_repeat_with_the_seed_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    one, two, other = (load_model(SMALL, weights="random", seed=seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    first, second, third = (next(m.model.parameters()) for m in (one, two, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert one.provenance["weights"] == "random, seed 3"


def test_a_loaded_model_is_in_eval_mode_with_labels_and_preprocessing():
    loaded = load_model("squeezenet1_1", weights="random")
    assert not any(module.training for module in loaded.model.modules())
    assert (len(loaded.labels), loaded.labels[340]) == (1000, "zebra")
    assert (loaded.preprocess.size, loaded.preprocess.resize) == ((224, 224), 256)
    assert loaded.provenance["model"] == loaded.name == "torchvision:squeezenet1_1"


@pytest.fixture
def seven(tmp_path):
    """A weights file of seven classes in half precision, with what its metadata may hold."""
    state = load_model(SMALL, weights="random", model_args={"num_classes": 7}, seed=9).model.state_dict()
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    facts = {"labels": json.dumps(list("abcdefg")), "preprocess": json.dumps({"size": [64, 64], "mean": [0.5] * 3})}
    save_file(half, tmp_path / "seven.safetensors")
    save_file(half, tmp_path / "facts.safetensors", metadata=facts)
    return tmp_path


def test_the_number_of_classes_is_read_off_the_file(seven):
    loaded = load_model(SMALL, weights=seven / "seven.safetensors")
    assert loaded.model(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    assert loaded.labels is None
    assert next(loaded.model.parameters()).dtype == torch.float32
    assert len(loaded.provenance["sha256"]) == 64


def test_a_file_may_carry_its_labels_and_preprocessing(seven):
    loaded = load_model(SMALL, weights=seven / "facts.safetensors")
    assert loaded.labels == tuple("abcdefg")
    assert (loaded.preprocess.size, loaded.preprocess.mean) == ((64, 64), (0.5, 0.5, 0.5))


def test_a_number_of_classes_that_was_asked_for_is_kept(seven):
    with pytest.raises(ModelError, match="2 keys of another shape"):
        load_model(SMALL, weights=seven / "seven.safetensors", model_args={"num_classes": 5})


def test_labels_of_another_count_are_refused(seven):
    with pytest.raises(InputError, match="2 names, but the model has 7 classes"):
        load_model(SMALL, weights=seven / "seven.safetensors", labels=["a", "b"])


def test_weights_of_another_network_are_refused(seven):
    with pytest.raises(ModelError, match="do not fit torchvision:squeezenet1_1"):
        load_model("squeezenet1_1", weights=seven / "seven.safetensors")


def test_a_file_of_published_inception_needs_no_training_heads(tmp_path):
    state = load_model("googlenet", weights="random", model_args={"num_classes": 4}).model.state_dict()
    save_file({**state, "aux1.fc2.weight": torch.zeros(4, 8)}, tmp_path / "g.safetensors")
    loaded = load_model("googlenet", weights=tmp_path / "g.safetensors")
    assert loaded.model.transform_input
    assert loaded.model(torch.zeros(1, 3, 64, 64)).shape == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "size", "channels"),
    [({"img_size": 64}, (64, 64), 3), ({"img_size": (64, 96)}, (64, 96), 3), ({"in_chans": 1}, (160, 160), 1)],
)
def test_the_size_and_channels_it_is_built_for_are_prepared(arguments, size, channels):
    loaded = load_model("timm:test_vit", weights="random", model_args=arguments)
    assert (loaded.preprocess.size, loaded.preprocess.channels) == (size, channels)


def test_arguments_that_the_network_does_not_know_are_one_sentence():
    with pytest.raises(ModelError, match=r"cannot be built with colour=3.*--model-arg"):
        load_model("resnet18", weights="random", model_args={"colour": 3})


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet18"])
def test_an_unreachable_download_names_the_other_ways(unreachable, name):
    with pytest.raises(ModelError) as caught:
        load_model(name)
    text = str(caught.value)
    assert "Name or service not known" in text
    assert "--weights FILE" in text
    assert "sightline[imagenet]" in text
    assert not list(unreachable.rglob("*.*"))


def test_a_damaged_download_leaves_nothing(monkeypatch, tmp_path):
    import io

    monkeypatch.setattr(published.urllib.request, "urlopen", lambda *args, **kwargs: io.BytesIO(b"not the weights"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelError, match="checksum"):
        load_model("resnet18")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_model_without_published_weights_says_so():
    with pytest.raises(ModelError, match="publishes no weights"):
        load_model("timm:" + next(entry.name for entry in models() if entry.origin == "timm" and not entry.published))


@pytest.mark.parametrize(
    ("device", "says"), [("cuda:99", "CUDA devices are there"), ("gpu", "there is no kind of device 'gpu'")]
)
def test_a_device_that_is_not_there_is_one_sentence(device, says):
    with pytest.raises(ModelError, match=says):
        load_model(SMALL, weights="random", device=device)


def test_weights_without_a_model_name_must_be_the_bundled_kind(seven):
    with pytest.raises(ModelError, match="add --model NAME"):
        load_model(weights=seven / "seven.safetensors")
    with pytest.raises(ModelError, match="no random form"):
        load_model(weights="random")


def test_a_birdnet_file_brings_its_own_labels_and_preprocessing(tmp_path):
    birdnet = pytest.importorskip("sightline.models.zoo.birdnet")
    spec = birdnet.BirdNetSpec(labels=("a", "b"), attributes=("has_x::y",), widths=(8, 8, 8, 8), size=64)
    net = birdnet.BirdNet(spec)
    save_file(
        net.state_dict(), tmp_path / "b.safetensors", metadata={"architecture": "birdnet", "spec": spec.to_json()}
    )
    loaded = load_model(weights=tmp_path / "b.safetensors")
    assert (loaded.name, loaded.labels, loaded.preprocess.size) == ("birdnet", ("a", "b"), (64, 64))
    assert loaded.preprocess.std == spec.std


def test_the_number_of_outputs_is_that_of_the_last_layer():
    assert load.count_classes(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten(), nn.Linear(8, 5))) == 5
    assert load.count_classes(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, 1))) == 6


def test_reading_photos_and_loading_are_not_needed_to_import_the_package():
    code = "import sightline, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def top1(loaded, photo):
    from sightline.data.photos import read_photo

    with torch.inference_mode():
        return int(loaded.model(loaded.preprocess(read_photo(photo)).inputs[None]).argmax())


@pytest.mark.pack
@pytest.mark.parametrize(("name", "least"), [("mobilenet_v2", 10), ("squeezenet1_0", 6)])
def test_real_imagenet_weights_see_what_is_there(pack, name, least):
    import csv

    loaded = load_model(name, weights=pack / "models" / f"{name}_imagenet.safetensors")
    rows = list(csv.DictReader((pack / "imagenet_photos" / "labels.csv").open()))[:: 667 // 12][:12]
    right = [top1(loaded, pack / "imagenet_photos" / row["file"]) == int(row["class_index"]) for row in rows]
    assert sum(right) >= least


@pytest.mark.pack
@pytest.mark.parametrize(
    ("name", "file", "arguments"),
    [
        ("timm:mobilenetv2_100", "mobilenetv2_100_inat_birds_timm_fp16", {"pad_type": "same"}),
        ("torchvision:mobilenet_v2", "mobilenet_v2_inat_birds_torchvision_fp16", {}),
    ],
)
def test_real_bird_weights_of_965_classes_know_their_birds(pack, name, file, arguments):
    loaded = load_model(
        name,
        weights=pack / "models" / f"{file}.safetensors",
        labels=pack / "models" / "inat_bird_labels.txt",
        model_args=arguments,
    )
    assert len(loaded.labels) == 965
    from dataclasses import replace

    loaded = replace(loaded, preprocess=loaded.preprocess.with_(mean=(0.5,) * 3, std=(0.5,) * 3))
    folder = pack / "cub_200_2011_subset" / "CUB_200_2011" / "images" / "010.Red_winged_Blackbird"
    photos = sorted(folder.glob("*.jpg"))[:6]
    seen = [loaded.labels[top1(loaded, photo)] for photo in photos]
    assert sum("Red-winged Blackbird" in label for label in seen) >= 5
