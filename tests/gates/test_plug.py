"""Plugging changes what it should and nothing else: names, sharing, empty schemes, states, identity, refusals."""

import copy
import io
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as fn
from torchvision.models import resnet18

from sightline.errors import GateError
from sightline.gates import DIA, GATES, Scheme, bake, plug, plugged, unplug, use_scheme
from sightline.gates.surgery.block import GatedBlock
from sightline.gates.surgery.class_swap import ClassSwapped
from tests.gates.nets import FEW, NETS, build, picture
from tests.tiny import ResidualBlock
from tests.tiny import build as tiny

OURS = ("dia", "se", "sge", "constant")


def families(*gates):
    """Every network with one of the gates in turn, and a few networks with each."""
    turns = [(name, gates[turn % len(gates)]) for turn, name in enumerate(NETS)]
    return list(dict.fromkeys([*turns, *((name, gate) for name in FEW for gate in gates)]))


def gradients(model, x, seed=7):
    """Gradients of all parameters, under seeded dropout and stochastic depth."""
    model.zero_grad()
    torch.manual_seed(seed)
    fn.cross_entropy(model(x), torch.arange(len(x)) % 5).backward()
    return {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def gated(model):
    return [module for module in model.modules() if isinstance(module, GatedBlock)]


@pytest.mark.parametrize(("name", "gate"), families("dia", "se"))
def test_an_empty_scheme_is_the_plain_network_bit_for_bit(name, gate):
    plain = build(name)
    model = use_scheme(plug(copy.deepcopy(plain), gate), "empty")
    x = picture(4)
    with torch.no_grad():
        assert torch.equal(model(x), plain(x))
    plain.train(), model.train()
    theirs, ours = gradients(plain, x), gradients(model, x)
    assert all(torch.equal(grad, ours[key]) for key, grad in theirs.items() if grad is not None)
    assert all(grad is None for key, grad in ours.items() if key not in theirs)
    state = model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in plain.state_dict().items()), "BatchNorm's statistics"


@pytest.mark.parametrize(("name", "gate"), families("dia", "se"))
def test_a_gate_changes_the_output_and_every_gate_learns(name, gate):
    plain = build(name)
    model = plug(copy.deepcopy(plain), gate).train()
    x = picture(4)
    with torch.no_grad():
        assert not torch.equal(model.eval()(x), plain(x))
    grads = gradients(model.train(), x)
    own = [key for key in grads if key not in dict(plain.named_parameters())]
    assert own
    assert all(grads[key] is not None for key in own)


@pytest.mark.parametrize(("name", "gate"), families(*OURS))
def test_names_of_the_backbone_stay_and_unplug_gives_it_back(name, gate):
    plain = build(name)
    keys, kinds = list(plain.state_dict()), [type(part) for part in plain.modules()]
    x = picture()
    before = plain(x)
    model = plug(plain, gate, share="block")
    assert model is plain
    assert [key for key in model.state_dict() if key in keys] == keys
    assert unplug(model) is plain
    assert list(model.state_dict()) == keys
    assert [type(part) for part in model.modules()] == kinds
    assert not any(name.startswith("_s") and "sightline" in name for name in vars(model))
    assert torch.equal(model(x), before)


@pytest.mark.parametrize("gate", ["dia", "se", "sge", "constant", "cbam"])
@pytest.mark.parametrize("name", FEW)
def test_start_identity_leaves_a_network_as_it_is_and_can_open(name, gate):
    plain = build(name)
    model = plug(copy.deepcopy(plain), gate, start="identity")
    x = picture()
    with torch.no_grad():
        assert torch.equal(model(x), plain(x))
    grads = gradients(model, x)
    openings = [grad for key, grad in grads.items() if key.endswith(".opening")]
    assert openings
    assert all(grad.abs() > 0 for grad in openings)
    theirs = gradients(plain, x)
    assert all(torch.allclose(grads[key], grad, rtol=1e-4, atol=1e-6) for key, grad in theirs.items())


@pytest.mark.parametrize("gate", ["dia", "se"])
def test_an_identity_start_trains_open(gate):
    model = plug(build("cifar resnet"), gate, start="identity").train()
    steps = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        steps.zero_grad()
        fn.cross_entropy(model(picture(8)), torch.arange(8) % 5).backward()
        steps.step()
    moved = {key: p for key, p in model.named_parameters() if ".gate." in key}
    assert all(p.grad is not None for p in moved.values())
    assert all(p.abs() > 0 for key, p in moved.items() if key.endswith(".opening"))
    assert any(p.grad.abs().max() > 0 for key, p in moved.items() if not key.endswith(".opening"))


@pytest.mark.parametrize(("share", "gates"), [("stage", 3), ("block", 6), ("width", 3), (lambda s: s.stage, 3)])
def test_blocks_share_one_gate_by_identity(share, gates):
    model = plug(build("cifar resnet"), "dia", share=share)
    found = {id(block.shared_gate()) for block in gated(model)}
    assert len(found) == gates
    assert len([key for key in model.state_dict() if key.endswith("gate.read.0.0.weight")]) == gates
    assert len([module for module in model.modules() if isinstance(module, DIA)]) == gates


def test_sharing_by_width_crosses_stages():
    model = plug(build("torchvision densenet"), "se", share="width")
    assert len({id(block.shared_gate()) for block in gated(model)}) == 1
    assert sum("gate" in key for key in model.state_dict()) == 4


def test_a_state_begins_anew_at_every_stage_though_the_gate_is_shared():
    model = plug(build("torchvision densenet"), "dia", share="width")
    seen = []
    gated(model)[0].shared_gate().register_forward_hook(lambda module, args, out: seen.append(args[1] is None))
    model(picture())
    assert seen == [True, False, True, False, False]


def test_a_state_begins_anew_where_a_width_comes_back_in_one_chain():
    there, back = nn.Conv2d(8, 12, 1), nn.Conv2d(12, 8, 1)
    chain = nn.Sequential(ResidualBlock(8), ResidualBlock(8), there, ResidualBlock(12), back, ResidualBlock(8))
    model, seen = plug(nn.Sequential(chain).eval(), "dia", share="width"), []
    chain = model[0]
    assert plugged(model).sites.lengths == (2, 1, 1)
    chain[0].gate.register_forward_hook(lambda module, args, out: seen.append(args[1] is None))
    model(torch.randn(1, 8, 6, 6))
    assert seen == [True, False, True]


@pytest.mark.parametrize("copied", ["deepcopy", "pickle"])
@pytest.mark.parametrize("gate", ["dia", "se"])
@pytest.mark.parametrize("name", FEW)
def test_a_copy_shares_as_the_model_does_and_computes_the_same(name, gate, copied):
    model = plug(build(name), gate, scheme="every-2")
    if copied == "deepcopy":
        twin = copy.deepcopy(model)
    else:
        twin = pickle.Unpickler(io.BytesIO(pickle.dumps(model))).load()  # our own bytes
    x = picture()
    assert torch.equal(twin(x), model(x))
    assert type(twin) is type(model)
    ours, theirs = (list(dict.fromkeys(id(b.shared_gate()) for b in gated(one))) for one in (model, twin))
    assert len(ours) == len(theirs)
    assert not set(ours) & set(theirs)
    assert len(list(twin.parameters())) == len(list(model.parameters()))
    assert plugged(twin).scheme == plugged(model).scheme
    assert list(unplug(twin).state_dict()) == list(build(name).state_dict())


@pytest.mark.parametrize("name", FEW)
def test_weights_are_saved_and_loaded_by_safetensors(name, tmp_path):
    model = plug(build(name), "dia")
    save_file(model.state_dict(), tmp_path / "net.safetensors")
    other = plug(build(name, seed=3), "dia")
    assert not torch.equal(other(picture()), model(picture()))
    other.load_state_dict(load_file(tmp_path / "net.safetensors"))
    assert torch.equal(other(picture()), model(picture()))


def test_plain_weights_load_into_a_plugged_network_but_for_the_gates():
    plain, model = build("cifar resnet", seed=3), plug(build("cifar resnet"), "dia", start="identity")
    missed = model.load_state_dict(plain.state_dict(), strict=False)
    assert not missed.unexpected_keys
    assert all(".gate." in key for key in missed.missing_keys)
    assert torch.equal(model(picture()), plain(picture()))


def test_an_optimizer_sees_each_parameter_once_and_the_gradient_is_the_sum_over_blocks():
    shared = plug(build("tiny residual"), "se", share="stage", reduction=2)
    single = plug(build("tiny residual"), "se", share="block", reduction=2)
    for block in gated(single):
        block.gate.load_state_dict(gated(shared)[0].gate.state_dict())
    x = picture(side=16)
    ours, theirs = gradients(shared, x), gradients(single, x)
    for part in ("reduce.weight", "expand.bias"):
        total = sum(theirs[f"layers.{block}.gate.{part}"] for block in range(3))
        torch.testing.assert_close(ours[f"layers.0.gate.{part}"], total)
    assert len({id(p) for p in shared.parameters()}) == len(list(shared.parameters()))


def test_conversion_moves_the_shared_gate_with_its_network():
    model = plug(build("cifar resnet"), "dia").double()
    assert model(picture().double()).dtype == torch.float64
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    half = plug(build("cifar resnet").to(torch.bfloat16), "dia")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert torch.isfinite(half(picture().bfloat16())).all()


@pytest.mark.parametrize("name", FEW)
def test_a_scheme_plugs_its_blocks_only_and_baking_is_the_same(name):
    lengths = NETS[name][1]
    scheme = Scheme.every(2, lengths)
    model = plug(build(name), "constant", scheme=scheme)
    assert len(gated(model)) == sum(scheme.flat())
    torch.manual_seed(0)
    masked = use_scheme(plug(build(name), "dia"), scheme)
    x = picture()
    before = masked(x)
    kept = {key: value.clone() for key, value in masked.state_dict().items()}
    baked = bake(masked)
    assert torch.equal(baked(x), before)
    assert len(gated(baked)) == sum(scheme.flat())
    assert list(baked.state_dict()) == list(plug(build(name), "dia", scheme=scheme).state_dict())
    assert set(baked.state_dict()) <= set(kept)
    assert plugged(baked).scheme == scheme


def test_baking_keeps_a_gate_whose_owner_is_left_out():
    model = plug(build("cifar resnet"), "dia")
    use_scheme(model, "01|11|00")
    x = picture()
    before, weight = model(x), model.layer1[0].gate.read[0][0].weight
    bake(model)
    assert torch.equal(model(x), before)
    assert model.layer1[1].gate.read[0][0].weight is weight
    assert not any(key.startswith("layer3") and "gate" in key for key in model.state_dict())
    assert type(model.layer3) is nn.Sequential


def test_baking_an_empty_scheme_gives_the_plain_network():
    model = bake(use_scheme(plug(build("cifar resnet"), "dia"), "empty"))
    assert not any(isinstance(module, ClassSwapped) for module in model.modules())
    assert list(model.state_dict()) == list(build("cifar resnet").state_dict())
    with pytest.raises(GateError, match="no gate is plugged into this CifarResNet"):
        plugged(model)


def test_what_is_plugged_can_be_asked():
    found = plugged(plug(build("cifar resnet"), "dia", reduction=8, scheme="10|11|01", start="identity"))
    assert (found.gate, found.share, found.start, found.options) == ("dia", "stage", "identity", {"reduction": 8})
    assert str(found.scheme) == "10|11|01"
    assert found.sites.lengths == (2, 2, 2)


def test_frozen_backbones_stay_frozen_and_gates_are_open_to_training():
    plain = build("cifar resnet").requires_grad_(False)
    model = plug(plain, "dia")
    assert {".gate." in key for key, p in model.named_parameters() if p.requires_grad} == {True}


def test_modes_go_to_the_gate():
    assert plug(build("cifar resnet").train(), "cbam").layer1[0].gate.training
    assert not plug(build("cifar resnet"), "cbam").layer1[0].gate.training


def test_hooks_on_blocks_and_stages_go_on_firing():
    model, seen = build("cifar resnet"), []
    model.layer1[0].register_forward_hook(lambda module, args, out: seen.append(out))
    model.layer1.register_forward_hook(lambda module, args, out: seen.append(out))
    plug(model, "dia")(picture())
    assert len(seen) == 2
    assert all(isinstance(out, torch.Tensor) for out in seen)
    assert isinstance(model.layer1[0], type(build("cifar resnet").layer1[0]))


def state_trace(model, x, bump=None):
    """Every gate's h, by path, and optionally a change of what one gate sees."""
    owners, seen, handles = {}, {}, []
    for path, module in model.named_modules():
        if isinstance(module, GatedBlock):
            owners.setdefault(id(module.shared_gate()), []).append(path)
    for module in model.modules():
        if isinstance(module, DIA):
            paths = iter(owners[id(module)])

            def note(module, args, out, paths=paths):
                seen[next(paths)] = out[1][0][0].detach()

            def push(module, args, count=iter(list(owners[id(module)]))):
                return (args[0] + 1.0, args[1]) if next(count) == bump else args

            handles += [module.register_forward_hook(note), module.register_forward_pre_hook(push)]
    model(x)
    for handle in handles:
        handle.remove()
    return seen


class Halved(nn.Module):
    """A chain whose stages do not see each other: each gets the picture itself."""

    def __init__(self):
        super().__init__()
        self.stems = nn.ModuleList([nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 8, 3, padding=1)])
        self.stages = nn.ModuleList([tiny("residual").layers, nn.Sequential(*build("blocks in a list").blocks)])

    def forward(self, x):
        pairs = zip(self.stems, self.stages, strict=True)
        return torch.cat([stage(stem(x)).mean((2, 3)) for stem, stage in pairs], 1)


def test_a_change_at_one_block_reaches_later_gates_of_its_stage_only():
    torch.manual_seed(0)
    model = plug(Halved().eval(), "dia", reduction=1)
    x = picture(side=16)
    still = state_trace(model, x)
    moved = state_trace(model, x, bump="stages.0.1")
    changed = [path for path in still if not torch.equal(still[path], moved[path])]
    assert changed == ["stages.0.1", "stages.0.2"]


@pytest.mark.parametrize("name", FEW)
def test_nothing_is_left_between_calls(name):
    model = plug(build(name), "dia")
    x = picture(4)
    with torch.no_grad():
        first = model(x)
        model(picture(3, seed=9))
        copy.deepcopy(model).train()(picture(2, seed=8))
        assert torch.equal(model(x), first)
    torch.testing.assert_close(model(x)[[2, 0, 3, 1]], model(x[[2, 0, 3, 1]]), rtol=1e-4, atol=1e-5)


def test_a_block_that_is_left_out_leaves_the_state_alone():
    model = plug(build("tiny residual"), "dia")
    use_scheme(model, "101")
    seen = []
    model.layers[0].gate.register_forward_hook(lambda module, args, out: seen.append((args[1], out[1])))
    model(picture(side=16))
    assert len(seen) == 2
    assert seen[0][0] is None
    assert seen[1][0] is seen[0][1]


def test_the_state_is_not_detached():
    torch.manual_seed(0)
    model = plug(build("tiny residual"), "dia", scheme="110")
    outs = []
    model.layers[0].gate.register_forward_hook(lambda module, args, out: outs.append(out[1][0]))
    x = torch.randn(2, 6, 4, 4)
    model.layers(x)
    (grad,) = torch.autograd.grad(outs[1][0].sum(), outs[0][1])
    assert grad.abs().max() > 0


def test_a_recurrent_block_called_by_itself_says_why_it_cannot_run():
    model = plug(build("cifar resnet"), "dia")
    with pytest.raises(GateError, match="was called alone, so it got no state; call its whole stage"):
        model.layer1[0](torch.randn(1, 16, 8, 8))
    other = plug(build("cifar resnet"), "se")
    assert other.layer1[0](torch.randn(1, 16, 8, 8)).shape == (1, 16, 8, 8)


class Wrong(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels + 1, 1)

    def forward(self, x):
        return self.conv(x)


def fail(x):
    raise ValueError("too small")


class Failing(nn.Module):
    def __init__(self, channels):
        super().__init__()

    forward = staticmethod(fail)


ONE = nn.Identity()


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"gate": "diaa"}, "there is no gate 'diaa'; near names: 'dia'"),
        ({"gate": "dia", "scheme": (6, 3, 50, 3)}, "has 4 stages, the network 3"),
        ({"gate": "dia", "scheme": "111|11|11"}, "stage 1 has 2 blocks, but the scheme has 3 bits"),
        ({"gate": "dia", "reduction": 17}, "reduction 17 of dia is larger than the 16 channels"),
        ({"gate": "se", "reduction": 17}, "reduction 17 of se is larger"),
        ({"gate": "dia", "share": "layer"}, "share cannot be 'layer'"),
        ({"gate": "dia", "share": lambda site: 0}, "under one gate; a gate has one width"),
        ({"gate": "dia", "start": "zero"}, "start cannot be 'zero'"),
        ({"gate": "dia", "depth": 3}, "cannot be made for 16 channels with widest=64, depth=3"),
        ({"gate": "strip", "reduction": 4}, "the gate 'strip' of timm has no reduction"),
        ({"gate": "bottleneck"}, "cannot make its gate 'bottleneck'"),
        ({"gate": Wrong}, r"the gate Wrong makes \(1, 17, 8, 8\) of the maps of 'layer1.0', \(1, 16, 8, 8\)"),
        (
            {"gate": Failing},
            "the gate Failing cannot take the maps of 'layer1.0', tried with 16 channels on 8x8 .*: too small",
        ),
        ({"gate": ONE}, "a gate is a name or something that makes a module"),
        ({"gate": lambda channels: ONE}, "gave the same module twice"),
        ({"gate": lambda channels: channels}, "made a int of 16 channels, not a module"),
    ],
)
def test_what_cannot_be_plugged_is_refused_and_the_model_is_as_before(wishes, says):
    model = build("cifar resnet")
    kinds = [type(part) for part in model.modules()]
    with pytest.raises(GateError, match=says):
        plug(model, **wishes)
    assert [type(part) for part in model.modules()] == kinds
    assert "_sightline_gates" not in vars(model)


def test_plugging_twice_is_refused():
    model = plug(build("cifar resnet"), "se")
    with pytest.raises(GateError, match="is plugged already, with the gate 'se'; take it out with unplug"):
        plug(model, "dia")
    with pytest.raises(GateError, match="is plugged already, with a gate in a part of it"):
        plug(nn.Sequential(model), "dia")


@pytest.mark.parametrize("act", [unplug, bake, plugged, lambda model: use_scheme(model, "dense")])
def test_nothing_to_take_out_is_an_error(act):
    with pytest.raises(GateError, match="no gate is plugged into this CifarResNet"):
        act(build("cifar resnet"))


def test_a_scheme_cannot_ask_for_a_block_that_was_left_out():
    model = plug(build("cifar resnet"), "dia", scheme="10|11|11")
    with pytest.raises(GateError, match=r"asks for a gate at 'layer1.1', where none was plugged"):
        use_scheme(model, "dense")
    assert str(plugged(model).scheme) == "10|11|11"


class Deciding(nn.Module):
    """Calls its blocks as the picture tells, so no state can be threaded through its code."""

    def __init__(self):
        super().__init__()
        self.blocks = build("blocks in a list").blocks

    def forward(self, x):
        for block in self.blocks:
            x = block(x) if x.mean() < 10 else x
        return x


def test_a_recurrent_gate_in_code_that_cannot_be_followed_is_refused_and_another_is_not():
    model = Deciding()
    with pytest.raises(
        GateError, match="a recurrent gate hands its state from block to block, but the code of the m"
    ):
        plug(model, "dia")
    assert not any(isinstance(module, ClassSwapped) for module in model.modules())
    x = torch.randn(1, 8, 6, 6)
    assert not torch.equal(plug(model, "se")(x), unplug(model)(x))


@pytest.mark.parametrize("gate", [name for name in GATES if name not in OURS])
def test_every_gate_that_timm_knows_can_be_plugged_or_says_why_not(gate):
    options = {"feat_size": (7, 7)} if gate == "bottleneck" else {}
    options |= {"block_size": 4} if gate in ("halo", "bat") else {}
    model = nn.Sequential(build("cifar resnet").layer3, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    x = torch.randn(2, 32, 14, 14) if gate == "bottleneck" else torch.randn(2, 32, 8, 8)
    before = model(x)
    try:
        plug(model, gate, **options)
    except GateError as refused:
        if gate == "ge" and "cannot make its gate 'ge'" in str(refused):
            pytest.skip(f"broken in this timm: {refused}")
        raise
    assert model(x).shape == before.shape
    grads = torch.autograd.grad(model.train()(x).square().sum(), list(model.parameters()), allow_unused=True)
    assert all(torch.isfinite(grad).all() for grad in grads if grad is not None)
    assert unplug(model.eval())(x).shape == before.shape


def test_the_list_of_timms_gates_is_whole():
    import inspect
    import re

    from timm.layers import create_attn

    from sightline.gates.modules.catalog import TIMM

    code = inspect.getsource(inspect.getmodule(create_attn))
    assert set(re.findall(r"attn_type == '(\w+)'", code)) == set(TIMM)


def test_a_name_that_the_block_has_itself_is_left_alone():
    model = build("tiny residual")
    for block in model.layers:
        block.gate = nn.Identity()
    keys = list(model.state_dict())
    plug(model, "dia")
    assert isinstance(model.layers[0].gate, nn.Identity)
    assert isinstance(model.layers[0].gate_, DIA)
    assert list(unplug(model).state_dict()) == keys


def summands(model, gate):
    """Addresses of a gate's output and of what the block's last ReLU gets, in one forward."""
    seen = {}
    undo = [
        gate.register_forward_hook(lambda module, given, out: seen.update(gate=out[0].data_ptr())),
        model.layer1[0].relu.register_forward_pre_hook(lambda module, given: seen.update(sum=given[0].data_ptr())),
    ]
    model(picture(side=64))
    for handle in undo:
        handle.remove()
    return seen["gate"], seen["sum"]


@pytest.mark.parametrize("grad", [False, True])
def test_a_shortcut_that_is_added_in_place_is_added_to_the_gated_branch_in_place(grad):
    model = plug(resnet18(num_classes=5).eval(), "dia", share="block")
    with torch.set_grad_enabled(grad):
        gated, total = summands(model, model.layer1[0].gate)
    assert gated == total


class Squash(nn.Module):
    """A gate whose backward reads its own output."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return torch.tanh(self.scale * x)


class OneWay(torch.autograd.Function):
    """A doubling without a way back."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        raise ValueError("no way back")


class Doubled(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return OneWay.apply(x)


def test_a_gate_without_a_backward_can_be_plugged_and_run():
    model = plug(resnet18(num_classes=5).eval(), Doubled)
    with torch.no_grad():
        assert model(picture(side=64)).isfinite().all()


def test_a_gate_whose_backward_reads_its_output_learns_where_blocks_add_in_place():
    model = plug(resnet18(num_classes=5), Squash)
    grads = gradients(model, picture(2, side=64))
    assert all(grad is not None and grad.isfinite().all() for grad in grads.values())
