"""Plugged networks go through checkpointing, compilation, export and tracing with the same results."""

import pytest
import torch
from torch import nn
from torch.nn import functional as fn
from torch.utils.checkpoint import checkpoint

from sightline.errors import GateError
from sightline.gates import plug
from tests.gates.nets import FEW, build, picture

GATES = ("dia", "se", "sge", "cbam")
SLOW = ("torchvision mobilenet_v2", "timm convnext")
"""Their export takes a quarter of a minute each; tracing them takes less."""

CASES = [(name, "dia") for name in FEW] + [("cifar resnet", gate) for gate in GATES[1:]]
COMPILED = [("torchvision densenet", "dia"), *(("cifar resnet", gate) for gate in GATES)]
"""Every kind of gate in one network, and a gate behind its block."""


def ready(name, gate, **wishes):
    torch.manual_seed(0)
    return plug(build(name), gate, **wishes)


@pytest.mark.parametrize(("name", "gate"), [case for case in CASES if case[0] not in SLOW])
def test_export_with_a_dynamic_batch_gives_the_same(name, gate):
    model = ready(name, gate)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(model, (picture(3),), dynamic_shapes=({0: batch},))
    for size in (3, 7):
        torch.testing.assert_close(program.module()(picture(size)), model(picture(size)), rtol=1e-5, atol=1e-5)
    assert sum(p.numel() for p in program.parameters()) == sum(p.numel() for p in model.parameters())
    flat = torch.export.unflatten(program)
    torch.testing.assert_close(flat(picture(3)), model(picture(3)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "gate"), COMPILED)
def test_the_whole_graph_compiles(name, gate):
    model = ready(name, gate)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        assert torch.equal(compiled(picture()), model(picture()))


def test_a_compiled_network_learns_as_the_eager_one():
    def step(model, run):
        fn.cross_entropy(run(picture()), torch.tensor([0, 1])).backward()
        return [p.grad for p in model.parameters()]

    eager, other = ready("cifar resnet", "dia"), ready("cifar resnet", "dia")
    torch._dynamo.reset()
    pairs = zip(
        step(eager, eager), step(other, torch.compile(other, fullgraph=True, backend="aot_eager")), strict=True
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gate", ["dia", "se", "sge"])
@pytest.mark.parametrize("name", ["cifar resnet", "torchvision mobilenet_v2"])
def test_symbolic_tracing_gives_the_same_bits(name, gate):
    model = ready(name, gate)
    assert torch.equal(torch.fx.symbolic_trace(model)(picture()), model(picture()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "gate"), CASES)
def test_a_jit_trace_gives_the_same_bits(name, gate):
    model = ready(name, gate)
    traced = torch.jit.trace(model, picture())
    assert torch.equal(traced(picture(2, seed=4)), model(picture(2, seed=4)))


class ByStage(nn.Module):
    """A network whose stages are recomputed in the backward."""

    def __init__(self, net, reentrant):
        super().__init__()
        self.net = net
        self.reentrant = reentrant

    def forward(self, x):
        net = self.net
        x = torch.relu(net.bn1(net.conv1(x)))
        for stage in (net.layer1, net.layer2, net.layer3):
            x = checkpoint(stage, x, use_reentrant=self.reentrant)
        return net.linear(x.mean((2, 3)))


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("share", ["stage", "block"])
@pytest.mark.parametrize("gate", GATES)
def test_checkpointed_stages_give_the_same_gradients(gate, share, reentrant):
    plain, saving = ready("cifar resnet", gate, share=share), ready("cifar resnet", gate, share=share)
    x = picture()
    fn.cross_entropy(plain(x), torch.tensor([0, 1])).backward()
    fn.cross_entropy(ByStage(saving, reentrant)(x.clone().requires_grad_()), torch.tensor([0, 1])).backward()
    for ours, theirs in zip(saving.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_timms_own_checkpointing_of_blocks_works_without_a_state_and_is_refused_with_one():
    x = picture()
    model = ready("timm convnext", "se")
    before = model(x)
    model.set_grad_checkpointing(True)
    torch.testing.assert_close(model.train()(x), before, rtol=1e-4, atol=1e-4)
    stateful = ready("timm convnext", "dia")
    stateful.set_grad_checkpointing(True)
    with pytest.raises(GateError, match="checkpoint a stage, not its blocks"):
        stateful.train()(x)


@pytest.mark.parametrize("gate", ["dia", "se", "sge"])
def test_channels_last_batch_one_and_autocast(gate):
    model = ready("cifar resnet", gate)
    x = picture(1)
    once = model(x)
    last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, once, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = model(x)
    assert torch.isfinite(low).all()
    torch.testing.assert_close(low.float(), once, rtol=0.2, atol=0.2)


@pytest.mark.parametrize("gate", ["dia", "se", "sge"])
def test_maps_of_one_place(gate):
    model = ready("cifar resnet", gate)
    out = model(picture(side=4).requires_grad_())
    assert torch.isfinite(out).all()
    assert model.layer3(torch.randn(1, 32, 2, 2)).shape[-2:] == (1, 1)


def test_a_network_whose_branches_are_zero_has_open_gates_that_wait_for_it():
    import timm

    model = plug(timm.create_model("resnet10t", num_classes=5, zero_init_last=True), "dia").eval()
    x = picture()
    fn.cross_entropy(model(x), torch.tensor([0, 1])).backward()
    assert not any(p.grad.any() for key, p in model.named_parameters() if ".gate." in key)
    assert model.layer1[0].bn2.weight.grad.any()


@pytest.mark.parametrize(("cut", "gate"), [("skips", "dia"), ("norms", "dia"), ("norms", "constant")])
def test_deep_networks_without_skips_or_norms_take_twenty_finite_steps(cut, gate):
    from sightline.models.zoo.cifar import cifar_resnet

    torch.manual_seed(0)
    model = cifar_resnet(32, 5)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if cut == "norms" and isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    plug(model, gate)
    if cut == "skips":
        for layer in (model.layer1, model.layer2, model.layer3):
            for block in layer:
                block.shortcut = Nothing()
    steps = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    for step in range(20):
        steps.zero_grad()
        loss = fn.cross_entropy(model(picture(4, seed=step, side=16)), torch.arange(4))
        loss.backward()
        assert torch.isfinite(loss)
        assert model.conv1.weight.grad.abs().max() > 0
        steps.step()


class Nothing(nn.Module):
    """A shortcut that is cut off: zeros of the branch's shape."""

    def forward(self, x):
        return torch.zeros(())
