"""A tape holds what the model computed, and walking it with the plain gradient is autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten

from sightline.common.modes import leave_as_found
from sightline.errors import ModelError
from sightline.explainers.flow.affine import fused
from sightline.explainers.flow.tape import Call, Tape, recording
from sightline.explainers.flow.vjp import gradient
from sightline.explainers.flow.walk import plus, walk

FAMILIES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (lambda: torchvision.models.alexnet(num_classes=5), 64),
    "vgg11_bn": (lambda: torchvision.models.vgg11_bn(num_classes=5), 32),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=5), 48),
    "resnext50": (lambda: torchvision.models.resnext50_32x4d(num_classes=5), 32),
    "googlenet": (lambda: torchvision.models.googlenet(num_classes=5, init_weights=False), 64),
    "densenet121": (lambda: torchvision.models.densenet121(num_classes=5), 32),
    "mobilenet_v2": (lambda: torchvision.models.mobilenet_v2(num_classes=5), 48),
    "mobilenet_v3": (lambda: torchvision.models.mobilenet_v3_small(num_classes=5), 48),
    "efficientnet": (lambda: timm.create_model("efficientnet_lite0", num_classes=5), 48),
    "squeezenet": (lambda: torchvision.models.squeezenet1_1(num_classes=5), 48),
    "shufflenet": (lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=5), 48),
    "regnet": (lambda: torchvision.models.regnet_y_400mf(num_classes=5), 32),
    "convnext": (lambda: timm.create_model("convnext_atto", num_classes=5), 32),
    "vit": (lambda: timm.create_model("vit_tiny_patch16_224", num_classes=5, img_size=48, depth=3), 48),
    "vit_torchvision": (lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5), 32),
    "swin": (
        lambda: timm.create_model("swin_tiny_patch4_window7_224", num_classes=5, img_size=56),
        56,
    ),
}
"""Small builds of every family that a flow must carry, with a picture's side."""


def family(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    """A network of that family with lively random weights and batch norms, and two pictures."""
    torch.manual_seed(0)
    build, side = FAMILIES[name]
    model = build().to(dtype).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    for parameter in model.parameters():
        if not parameter.abs().max():
            parameter.data.normal_(0, 0.1)
    return model, torch.randn(2, 3, side, side, dtype=dtype)


def taped(model: nn.Module, x: Tensor) -> tuple[Tape, Tensor]:
    """The tape of one forward, and what the model returned."""
    with leave_as_found(model), recording(x) as tape:
        return tape, model(x)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_replayed_tape_computes_what_the_model_computed(name: str) -> None:
    model, x = family(name)
    tape, y = taped(model, x)
    values: list[Tensor | None] = [None] * len(tape.values)
    values[0] = x
    for call in tape.calls:
        results = tree_flatten(call.run([values[node] for node in call.inputs]))[0]
        for node, result in zip(call.outputs, results, strict=True):
            if node is not None:
                values[node] = result
    end = tape.node(y)
    assert end is not None
    torch.testing.assert_close(values[end], model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_walk_with_plain_gradients_is_autograd(name: str) -> None:
    model, x = family(name)
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(model(leaf)[:, 3].sum(), leaf)[0]
    tape, y = taped(model, x)
    found = input_gradient(tape, y, 3)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12 + 1e-9 * float(expected.abs().max()))


def input_gradient(tape: Tape, y: Tensor, index: int) -> Tensor:
    """Gradient of one logit with respect to the input, by the walk."""
    start = torch.zeros_like(y)
    start[:, index] = 1
    steps, _ = fused(tape)
    end = tape.node(y)
    assert end is not None
    found: dict[int, Tensor] = {}
    with torch.no_grad():
        walk(tape, steps, {end: start}, lambda s, g: gradient(tape, s, g), found.__setitem__, add=plus)
    return found[0]


class InPlace(nn.Module):
    """Functional in-place operations, which no module's flag can switch off."""

    def __init__(self, *, out_of_place: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 5)
        self.out_of_place = out_of_place

    def forward(self, x: Tensor) -> Tensor:
        a = self.one(x)
        if self.out_of_place:
            a = F.relu(a)
            return self.fc((self.two(a) * 2 + a).mean((2, 3)))
        F.relu_(a)
        b = self.two(a)
        b *= 2
        b += a
        return self.fc(b.mean((2, 3)))


def test_what_is_overwritten_in_place_is_kept() -> None:
    model, twin = InPlace().double(), InPlace(out_of_place=True).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    before = x.clone()
    found, expected = (input_gradient(*taped(m, x), 1) for m in (model, twin))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(x, before)


class WritesAPart(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        x[:, :, 0] *= 3
        return x.mean((2, 3))


class Canvas(nn.Module):
    """Pictures are laid one by one on a larger canvas, as torchvision's detectors do."""

    def forward(self, x: Tensor) -> Tensor:
        canvas = x.new_full((len(x), 3, 10, 10), 0.5)
        for i, image in enumerate(x.unbind()):
            place = canvas[i]
            place[:, :8, 1:9].copy_(image * 2)
        canvas[:, 0] *= 1.5
        return (canvas * canvas).mean((2, 3))


class Rows(nn.Module):
    """Parts of one tensor are set, added to and multiplied, by what depends on the input and by constants."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.new_ones(2, 3, 8, 8)[: len(x)].clone() * 2
        y[:, 1].mul_(x[:, 0])
        y[:, 2, ::2] = x[:, 1, ::2]
        y[:, 0, 3] = 0
        y.view(len(x), -1).add_(x.flatten(1))
        y[0] += 1
        y[0, 0] = 7
        return (y * y).mean((2, 3))


class AView(nn.Module):
    """All of a tensor is overwritten through a view of another shape."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        y.view(len(x), -1).mul_(x.flatten(1))
        return y.mean((2, 3))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("model", [WritesAPart(), Canvas(), Rows(), AView()], ids=lambda model: type(model).__name__)
def test_what_is_written_into_parts_of_tensors_is_followed(
    model: nn.Module, count: int, memory: torch.memory_format
) -> None:
    if memory is torch.channels_last and not isinstance(model, WritesAPart | Canvas):
        pytest.skip("a view of it needs the usual layout")
    x = torch.randn(count, 3, 8, 8, dtype=torch.float64).to(memory_format=memory)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(input_gradient(*taped(model, x), 1), expected, rtol=0, atol=1e-12)


class ReadsAStaleView(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        view = x.flatten(1)
        F.relu_(x)
        return x.mean((2, 3)) + view.mean(1, keepdim=True)


class WritesIntoStorage(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        rest = torch.empty(0, dtype=x.dtype).set_(
            x.untyped_storage(), 8, (8,), (1,)
        )  # nothing says that it is a view
        rest.mul_(x[0, 0, 0])
        return x.mean((2, 3))


@pytest.mark.parametrize(
    ("model", "said"), [(WritesIntoStorage(), "part of a tensor"), (ReadsAStaleView(), "overwritten")]
)
def test_what_cannot_be_followed_is_refused(model: nn.Module, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        taped(model, torch.randn(1, 3, 8, 8))


def test_a_result_that_depends_only_on_the_shape_is_no_node() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x + torch.zeros_like(x).fill_(2.0)).mean((2, 3))

    tape, _ = taped(Masked(), torch.randn(1, 3, 4, 4))
    assert [call.name for call in tape.calls] == ["add", "mean"]


def test_a_fused_batch_norm_is_the_layer_and_the_norm() -> None:
    torch.manual_seed(0)
    for conv in (nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(3, 6, 3, bias=False), nn.ConvTranspose2d(3, 6, 2, 2)):
        norm = nn.BatchNorm2d(6)
        norm.weight.data.normal_()
        norm.bias.data.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        model = nn.Sequential(conv, norm, nn.ReLU()).double().eval()
        x = torch.randn(2, 3, 9, 9, dtype=torch.float64)
        tape, _ = taped(model, x)
        steps, inside = fused(tape)
        first = steps[0]
        assert len(steps) == 2
        assert len(inside) == 1
        torch.testing.assert_close(
            first.plus_bias(first.apply(x, first.W), first.bias), model[1](model[0](x)), rtol=1e-10, atol=1e-10
        )


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "view": lambda x: x.view(2, 32),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "clone": lambda x: x.transpose(1, 2).contiguous(),
    "expand": lambda x: x[:, :1].expand(2, 3, 8),
    "add": lambda x: x + x[:, :1],
    "twice as much": lambda x: torch.add(x, x[:, :1], alpha=2),
    "split": lambda x: torch.cat([part * (i + 1) for i, part in enumerate(x.split(2, 1))], 1),
    "one part": lambda x: x.split(2, 1)[1] * 1,
    "cat": lambda x: torch.cat([x, x[:, 1:]], 1),
    "cat with a constant": lambda x: torch.cat([x, torch.ones(2, 1, 8, dtype=torch.float64)], 1),
    "mean": lambda x: x.mean((1, 2)),
    "mean, axis kept": lambda x: x.mean(-1, keepdim=True),
    "mean of all": lambda x: x.mean()[None],
    "times": lambda x: x * torch.arange(16.0, dtype=torch.float64).view(2, 1, 8),
    "times itself": lambda x: x * x[:, :1],
    "permute": lambda x: x.permute(2, -3, 1),
    "relu": lambda x: x.relu(),
    "transpose": lambda x: x.transpose(-1, 0),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_transpose_is_what_autograd_says(name: str) -> None:
    torch.manual_seed(0)
    leaf = torch.randn(2, 4, 8, dtype=torch.float64).requires_grad_()
    y = MOVES[name](leaf)
    G = torch.randn_like(y)
    x = leaf.detach()
    with recording(x) as tape:
        out = MOVES[name](x)
    end = tape.node(out)
    assert end is not None
    found: dict[int, Tensor] = {}
    with torch.no_grad():
        walk(tape, list(tape.calls), {end: G}, lambda s, g: gradient(tape, s, g), found.__setitem__, add=plus)
    torch.testing.assert_close(found[0], torch.autograd.grad(y, leaf, G)[0], rtol=1e-12, atol=1e-12)


def test_steps_that_lead_to_nothing_wanted_are_left_out() -> None:
    model, x = InPlace(out_of_place=True).double(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    messages: list[dict[int, Tensor]] = []
    ran: list[list[str]] = []
    for wanted in (None, [2]):
        tape, y = taped(model, x)
        end = tape.node(y)
        assert end is not None
        messages.append({})
        ran.append([])

        def rule(step: Call, given: list[Tensor], tape: Tape = tape, names: list[str] = ran[-1]) -> list[Tensor]:
            names.append(step.name)
            return gradient(tape, step, given)

        with torch.no_grad():
            start, arrive = {end: torch.ones_like(y)}, messages[-1].__setitem__
            walk(tape, list(tape.calls), start, rule, arrive, add=plus, destinations=wanted)
    assert ran[0][: len(ran[1])] == ran[1]
    assert ran[0][len(ran[1]) :] == ["relu", "convolution"]
    assert torch.equal(messages[0][2], messages[1][2])
    assert 0 not in messages[1]
