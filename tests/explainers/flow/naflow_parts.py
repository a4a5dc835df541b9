"""What the tests of NAFlow share: a cascade in float64 with its messages in the open, and small networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sightline.explainers.flow.affine import Affine, Convolution, Linear
from sightline.explainers.flow.naflow import calls as calls
from sightline.explainers.flow.naflow import maps as maps
from sightline.explainers.flow.naflow.abandoning import Abandoning
from sightline.explainers.flow.naflow.cascade import Cascade, DropStats, fed_back
from sightline.explainers.flow.naflow.inverse import Setting
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.read import Reading, read
from sightline.explainers.flow.samples import Samples
from sightline.explainers.method import Request
from sightline.models import adapt
from sightline.targets import parse_target


@dataclass
class Layer:
    """Activation, back-projected activation and gradient of a layer."""

    A: Tensor
    B: Tensor
    G: Tensor

    @property
    def map(self) -> Tensor:
        return (self.B * self.G).relu().sum(1)


def reading_of(model: nn.Module, x: Tensor, target: Any = 0, layers: Any = None) -> Reading:
    """The tape of a model in float64."""
    with torch.no_grad():
        return read(Request(adapt(model.double().eval()), x.double(), parse_target(target), layers))


@torch.no_grad()
def layer_parts(
    model: nn.Module, x: Tensor, target: Any = 0, layers: Any = None, *, rule: Any = "auto", **setting: Any
) -> dict[str, Layer]:
    """NAFlow's tensors at every layer, in float64."""
    reading = reading_of(model, x, target, layers)
    at = Setting(reading.tape, reading.facts, **{"damping": 0.1, "iterations": 20, **setting})
    found: dict[str, Layer] = {}
    named = dict(zip(reading.nodes, [layer.name for layer in reading.layers], strict=True))

    def arrive(node: int, message: Message, tally: DropStats) -> None:
        if node in named:
            A = reading.tape.value(node)
            found[named[node]] = Layer(A, fed_back(A, message), message.G)

    Cascade(
        reading, at, Abandoning(reading.tape, reading.facts, Samples(len(x), frozenset({len(x)})), rule), arrive
    ).run(0)
    return dict(reversed(found.items()))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolution(weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> Convolution:
    """A convolution as a step of its own."""
    two = [[n] * 2 for n in (stride, padding, dilation)]
    return Convolution(0, 1, weight, None, options=(*two, False, [0, 0], groups))


def linear(weight: Tensor) -> Linear:
    return Linear(0, 1, weight, None)


def dense(step: Affine, x: Tensor) -> Tensor:
    """The matrix of an affine map without its bias, column by column."""
    eye = torch.eye(x[0].numel(), dtype=x.dtype)
    return step.apply(eye.view(-1, *x.shape[1:]), step.W).flatten(1).mT


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def chain(bias: bool = True, batch_norm: bool = False) -> nn.Module:
    """Convolutions, ReLUs, pools and a head."""
    with seeded():
        parts: list[nn.Module] = []
        for before, after in ((3, 8), (8, 12), (12, 10)):
            parts += [nn.Conv2d(before, after, 3, 1, 1, bias=bias)]
            if batch_norm:
                norm = nn.BatchNorm2d(after)
                nn.init.uniform_(norm.running_mean, -0.5, 0.5)
                nn.init.uniform_(norm.running_var, 0.5, 2.0)
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.normal_(norm.bias, 0, 0.2)
                parts += [norm]
            parts += [nn.ReLU(), nn.MaxPool2d(2)] if after == 8 else [nn.ReLU()]
        model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 4, bias=bias))
    return model.double().eval()
