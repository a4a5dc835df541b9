"""The cases of `docs/limits.md`: one function each, which explains something and gives back what came of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import sightline
from sightline.results import Explanations
from tests.tiny import CLASSES, SIDE, build, picture

Case = Callable[[], Explanations]
CASES: dict[str, Case] = {}
NAMES = ["ant", "bee", "cat", "dog", "elk"]


def case(name: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        CASES[name] = function
        return function

    return add


def ask(model: Any = "plain_inplace", inputs: Tensor | None = None, **wishes: Any) -> Explanations:
    model = build(model) if isinstance(model, str) else model
    return sightline.explain(model, picture() if inputs is None else inputs, **wishes)


def dense_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.ReLU(), nn.Conv2d(6, CLASSES, 1))


class Named(nn.Module):
    """Its output is a dictionary."""

    def __init__(self, *keys: str) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
        self.heads = nn.ModuleDict({key: nn.Linear(6, CLASSES) for key in keys})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        pooled = self.body(x).mean((2, 3))
        return {key: head(pooled) for key, head in self.heads.items()}


SIMPLE: dict[str, Callable[[], Explanations]] = {
    "plain convolutional network with in-place layers": lambda: ask("plain_inplace"),
    "in-place addition behind a layer": lambda: ask("residual", layers="convs"),
    "module that runs twice": lambda: ask("reused"),
    "network in training mode": lambda: ask(build("plain_inplace").train()),
    "frozen weights": lambda: ask(build("plain_inplace").requires_grad_(False)),
    "vision transformer with class token": lambda: ask("vit_token"),
    "windowed transformer, channels last": lambda: ask("windows"),
    "model on bfloat16": lambda: ask(build("plain_inplace").bfloat16(), picture().bfloat16()),
    "model on float16": lambda: ask(build("plain_inplace").half(), picture().half()),
    "wrapped in DataParallel": lambda: ask(nn.DataParallel(build("plain_inplace"))),
    "compiled by torch.compile": lambda: ask(torch.compile(build("plain_inplace"))),
    "scripted by torch.jit.script": lambda: ask(torch.jit.script(build("plain_inplace"))),
    "perceptron on flattened pixels": lambda: ask(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, CLASSES))),
    "not a module": lambda: ask(lambda x: x),
    "inputs made under inference_mode": lambda: ask(inputs=_inference(picture)),
    "one channel": lambda: ask(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), _pool(4)), picture(channels=1)),
    "any size and aspect": lambda: ask(inputs=picture(height=SIDE, width=2 * SIDE)),
    "batch of several pictures": lambda: ask(inputs=picture(batch=5)),
    "picture without batch axis": lambda: ask(inputs=picture()[0]),
    "a volume or clip [b, c, t, h, w] for a network of pictures": lambda: ask(inputs=picture()[:, :, None]),
    "integers": lambda: ask(inputs=torch.ones(1, 3, SIDE, SIDE, dtype=torch.uint8)),
    "NaN in the input": lambda: ask(inputs=picture().index_fill(3, torch.tensor([2]), torch.nan)),
    "empty batch": lambda: ask(inputs=picture()[:0]),
    "another dtype than the model": lambda: ask(inputs=picture().double()),
    "wrong number of channels": lambda: ask(inputs=picture(channels=1)),
    "class by index": lambda: ask(target=3),
    "class by name": lambda: ask(target="Cat", labels=NAMES),
    "class by name without labels": lambda: ask(target="cat"),
    "unknown class name": lambda: ask(target="bea", labels=NAMES),
    "class index out of range": lambda: ask(target=99),
    "contrast of two classes": lambda: ask(target=1, contrast=2),
    "contrast of a class with itself": lambda: ask(target=1, contrast=1),
    "three best classes": lambda: ask(target="top3"),
    "any callable": lambda: ask(target=lambda output: output.square().sum(1)),
    "output with one tensor of logits in a dictionary": lambda: ask(Named("logits")),
    "output with several tensors": lambda: ask(Named("kind", "age")),
    "output with several tensors and output=": lambda: ask(Named("kind", "age"), output="age"),
    "dense output [b, classes, h, w]": lambda: ask(dense_net()),
    "dense output with a callable": lambda: ask(dense_net(), target=lambda output: output[:, 1].mean((1, 2))),
    "attention rollout on a transformer": lambda: ask("vit_token", method="rollout"),
    "attention rollout on a convolutional network": lambda: ask(method="rollout"),
    "Score-CAM with grouped channels": lambda: ask(method="scorecam", options={"groups": 2}),
    "unknown method": lambda: ask(method="gradkam"),
    "unknown option": lambda: ask(method="scorecam", options={"group": 2}),
    "unknown layer": lambda: ask(layers="layer4"),
}
CASES.update(SIMPLE)


def _pool(channels: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def _inference(make: Callable[[], Any]) -> Any:
    with torch.inference_mode():
        return make()


@case("compiled by module.compile()")
def compiled_in_place() -> Explanations:
    model = build("plain_inplace")
    model.compile()
    return ask(model)


@case("part of the model compiled on its own")
def part_compiled() -> Explanations:
    return ask(nn.Sequential(torch.compile(nn.Conv2d(3, 4, 3)), nn.ReLU(), _pool(4)))


@case("exported by torch.export")
def exported() -> Explanations:
    return ask(torch.export.export(build("plain_inplace"), (picture(),)).module())


class Cuts(nn.Module):
    """A trunk under `no_grad`, a head outside of it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.body(x)
        return self.fc(x.mean((2, 3)))


class Recurrent(nn.Module):
    """Rows of a grid, read in order."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU())
        self.rnn, self.fc = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(self.body(x).mean(3).mT)[0][:, -1])


@case("forward that cuts the graph by no_grad or detach")
def forward_that_cuts() -> Explanations:
    return ask(Cuts(), method=["lrp", "eigencam", "occlusion"])


@case("forward that cuts the graph, asked for a gradient")
def forward_that_cuts_a_gradient() -> Explanations:
    return ask(Cuts(), method="gradcam")


@case("int8 linear layers (dynamic quantisation)")
def int8_linear_layers() -> Explanations:
    model = torch.ao.quantization.quantize_dynamic(build("plain_inplace"), {nn.Linear}, dtype=torch.qint8)
    return ask(model, method="eigencam")


@case("gradient checkpointing")
def gradient_checkpointing() -> Explanations:
    model = build("plain_inplace")
    model[3].forward = partial(checkpoint, model[3].forward, use_reentrant=True)
    return ask(model)


@case("recurrent head")
def recurrent_head() -> Explanations:
    return ask(Recurrent(), method="gradcam")


@case("weights made under inference_mode")
def inference_weights() -> Explanations:
    return ask(_inference(lambda: build("plain_inplace")))


@case("under no_grad")
def under_no_grad() -> Explanations:
    with torch.no_grad():
        return ask()


@case("under inference_mode")
def under_inference_mode() -> Explanations:
    model = build("plain_inplace")
    with torch.inference_mode():
        return ask(model)


@case("under autocast")
def under_autocast() -> Explanations:
    with torch.autocast("cpu", torch.bfloat16):
        return ask()


@case("several threads on one model")
def several_threads() -> Explanations:
    model = build("plain_inplace").train()
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda _: ask(model), range(6)))[-1]


@case("between backward and step")
def between_backward_and_step() -> Explanations:
    model = build("plain_inplace")
    model(picture()).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    found = ask(model)
    assert all(torch.equal(old, new.grad) for old, new in zip(before, model.parameters(), strict=True))
    return found
