"""Sites are found in every family, and a model without any is refused in words."""

import pytest
import torch
from torch import nn

from sightline.errors import GateError, ModelError
from sightline.gates import plug, sites
from sightline.models import adapt
from tests.gates.nets import NETS, build, picture
from tests.tiny import TINY
from tests.tiny import build as tiny


@pytest.mark.parametrize("name", NETS)
def test_every_family_has_its_stages(name):
    places = sites(build(name))
    assert places.lengths == NETS[name][1]
    assert [site.block for site in places] == [i + 1 for length in places.lengths for i in range(length)]


@pytest.mark.parametrize("name", NETS)
def test_looking_for_sites_changes_nothing(name):
    model = build(name)
    model.train()
    next(model.children()).eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [part.training for part in model.modules()]
    kinds = [type(part) for part in model.modules()]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    sites(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes
    assert [type(part) for part in model.modules()] == kinds
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_a_table_names_stage_block_path_channels_and_kind():
    lines = str(sites(build("cifar resnet"))).splitlines()
    assert lines[0].split() == ["stage", "block", "path", "channels", "kind"]
    assert lines[1].split() == ["1", "1", "layer1.0", "16", "Basic"]
    assert lines[-1].split() == ["3", "2", "layer3.1", "64", "Basic"]


def test_resnet50_has_the_sixteen_sites_of_the_paper():
    import torchvision

    with torch.device("meta"):
        places = sites(torchvision.models.resnet50())
    assert places.lengths == (3, 4, 6, 3)
    assert [site.channels for site in places] == [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
    assert places[7].path == "layer3.0"


def test_the_gate_stands_behind_the_last_norm_and_before_stochastic_depth():
    model = plug(build("timm resnet"), "constant", value=0.0).train()
    block, seen = model.layer4[0], []
    block.bn2.register_forward_hook(lambda *_: seen.append("norm"))
    block.gate.register_forward_hook(lambda *_: seen.append("gate"))
    block.drop_path.register_forward_hook(lambda *_: seen.append("drop"))
    model(picture())
    assert seen == ["norm", "gate", "drop"]


def test_a_gate_of_zero_leaves_only_the_shortcut():
    model = plug(build("tiny residual"), "constant", value=0.0)
    x = torch.randn(2, 6, 5, 5)
    assert torch.equal(model.layers(x), torch.relu(x))


@pytest.mark.parametrize("name", ["plain_inplace", "depthwise", "vit_token", "torch_vit", "windows"])
def test_a_model_without_sites_is_refused_with_what_was_looked_for(name):
    with pytest.raises(GateError) as refused:
        sites(tiny(name))
    text = str(refused.value)
    assert "has no place for a gate" in text
    assert "Looked for: blocks that add a branch of layers over maps" in text
    assert "Found:" in text
    assert "resnet50" in text


def test_the_refusal_says_why_blocks_were_passed_over():
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return x + self.conv(x) if self.training else self.conv(x)

    class Deciding(Moody):
        def forward(self, x):
            return x + self.conv(x) if x.sum() > 0 else x

    for kind, reason in ((Moody, "0: its code depends on training mode"), (Deciding, "0: its code cannot be traced")):
        with pytest.raises(GateError, match=reason):
            sites(nn.Sequential(kind(), nn.Flatten()))


def test_a_scripted_model_is_refused():
    with pytest.raises(ModelError, match="scripted or traced"):
        sites(torch.jit.trace(build("no block"), picture()))


def test_code_that_changes_its_own_buffers_is_passed_over_and_put_back():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls.add_(1)
            return x + self.conv(x)

    model = nn.Sequential(Counting(), nn.Flatten())
    with pytest.raises(GateError, match="0: its code changes its own buffers"):
        sites(model)
    assert model[0].calls == 0


@pytest.mark.parametrize("name", [name for name in NETS if name != "no block"])
def test_the_layers_of_attention_stay_when_gates_are_plugged(name):
    model = build(name)
    before = [layer.path for layer in adapt(model).layers(picture())]
    plug(model, "se")
    assert [layer.path for layer in adapt(model).layers(picture())] == before


def test_every_tiny_model_is_read_or_refused():
    for name in TINY:
        try:
            assert len(sites(tiny(name))) > 0
        except GateError as refused:
            assert "has no place for a gate" in str(refused)  # noqa: PT017
