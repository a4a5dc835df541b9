"""Weights come in without running code, whatever wraps them, and what does not fit is counted and named."""

import os
import pickle
import warnings
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sightline.errors import ModelError
from sightline.models.weights import fit_weights, matched, read_weights


def net(classes=3):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes))


def tensors(seed=0, **options):
    torch.manual_seed(seed)
    return {key: value.clone() for key, value in net(**options).state_dict().items()}


def loaded(path):
    model = net()
    fit_weights(model, read_weights(path), name="net")
    return model.state_dict()


@pytest.fixture
def given():
    return tensors(seed=5)


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_safetensors_with_metadata_are_read(tmp_path, given):
    save_file(given, tmp_path / "w.bin", metadata={"labels": "[]"})
    weights = read_weights(tmp_path / "w.bin")
    assert_same(weights.tensors, given)
    assert weights.metadata == {"labels": "[]"}
    assert len(weights.sha256) == 64


@pytest.mark.parametrize("wrap", ["state_dict", "model", "model_state_dict", "net", "state_dict_ema"])
def test_a_checkpoint_is_unwrapped(tmp_path, given, wrap):
    torch.save({wrap: given, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    assert_same(loaded(tmp_path / "w.pth"), given)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module.model.", "net."])
def test_a_prefix_is_taken_off(tmp_path, given, prefix):
    torch.save({prefix + key: value for key, value in given.items()}, tmp_path / "w.pt")
    assert_same(loaded(tmp_path / "w.pt"), given)


def test_what_lies_beside_the_wrapped_model_is_left_out(tmp_path, given):
    lightning = {f"model.{key}": value for key, value in given.items()} | {"loss.weight": torch.ones(3)}
    torch.save({"state_dict": lightning, "pytorch-lightning_version": "2"}, tmp_path / "w.ckpt")
    assert_same(loaded(tmp_path / "w.ckpt"), given)


def test_a_prefix_that_the_model_itself_has_stays():
    assert matched({"model.weight": torch.ones(1)}, ["model.weight"]).keys() == {"model.weight"}


def test_half_precision_is_cast_to_the_models(tmp_path, given):
    save_file(
        {key: value.half() if value.is_floating_point() else value for key, value in given.items()}, tmp_path / "h"
    )
    state = loaded(tmp_path / "h")
    assert state["0.weight"].dtype == torch.float32
    assert torch.allclose(state["0.weight"], given["0.weight"], atol=1e-3)


def test_files_from_before_batch_counters_fit(tmp_path, given):
    old = {key: value for key, value in given.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "w.pth")
    assert torch.equal(loaded(tmp_path / "w.pth")["3.weight"], given["3.weight"])


def test_version_notes_of_a_file_are_kept(tmp_path):
    state = net().state_dict()
    assert isinstance(state, OrderedDict)
    torch.save(state, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").versions["1"] == {"version": 2}


def test_names_of_old_densenets_are_understood():
    old = {"features.denseblock1.denselayer1.norm.1.weight": torch.ones(1)}
    assert list(matched(old, ["features.denseblock1.denselayer1.norm1.weight"])) == [
        "features.denseblock1.denselayer1.norm1.weight"
    ]


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", ["torch", "pickle", "old torch"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, writer):
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"w": Evil(trace)}))
    else:
        torch.save({"w": Evil(trace)}, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(ModelError, match="would run code"):
        read_weights(path)
    assert not trace.exists()


def test_a_whole_pickled_model_and_a_torchscript_are_refused(tmp_path):
    torch.save(net(), tmp_path / "model.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.ReLU()), tmp_path / "script.pt")
    with pytest.raises(ModelError, match=r"would run code.*state_dict"):
        read_weights(tmp_path / "model.pt")
    with pytest.raises(ModelError, match="TorchScript"):
        read_weights(tmp_path / "script.pt")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.pth", None, "there is no weights file"),
        ("empty.pth", b"", "0 bytes"),
        ("text.pth", b"hello, I am no weights file at all", "not a weights file"),
        ("cut.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{", "damaged"),
    ],
)
def test_a_file_that_is_no_weights_file_says_so(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_weights(tmp_path / name)
    assert says in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}])
def test_a_file_without_tensors_says_so(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="tensors"):
        read_weights(tmp_path / "w.pth")


def misfit(tmp_path, changed):
    save_file(changed, tmp_path / "w.safetensors")
    with pytest.raises(ModelError) as caught:
        loaded(tmp_path / "w.safetensors")
    return str(caught.value)


def test_weights_of_another_shape_are_counted_and_shown(tmp_path):
    text = misfit(tmp_path, tensors(classes=7))
    assert "2 keys of another shape (3.weight: file 7x4, model 3x4, 3.bias: file 7, model 3)" in text
    assert "num_classes" in text


def test_missing_and_unexpected_weights_are_counted_and_named(tmp_path, given):
    given["extra.weight"] = torch.ones(1)
    del given["0.weight"]
    text = misfit(tmp_path, given)
    assert "1 key missing (0.weight)" in text
    assert "1 key unexpected (extra.weight)" in text


def test_weights_of_another_network_are_recognised(tmp_path):
    text = misfit(tmp_path, {f"layer{i}": torch.ones(1) for i in range(9)})
    assert "9 keys unexpected (layer0, layer1, layer2, ...)" in text
    assert "another network" in text


def test_a_checkpoint_that_holds_itself_is_refused(tmp_path):
    content = {"model": None}
    content["model"] = content
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="holds a dict"):
        read_weights(tmp_path / "w.pt")


def test_whole_numbers_are_no_weights(tmp_path):
    net = nn.Linear(2, 2)
    save_file({key: value.to(torch.int8) for key, value in net.state_dict().items()}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="no floating-point numbers"):
        fit_weights(net, read_weights(tmp_path / "w.safetensors"), name="net")
