"""Contract 1: your model comes back as you gave it, also after an error - for every method and tiny model."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

import sightline
from sightline.errors import LayerError
from sightline.explainers import METHODS
from tests.tiny import TINY, build, output_of, picture

FAST = {"integrated_gradients": {"steps": 4}, "smoothgrad": {"samples": 2}, "scorecam": {"groups": 3},
        "ablationcam": {"groups": 3}, "occlusion": {"window": 8}}  # fmt: skip


def photograph(model: nn.Module) -> dict[str, Any]:
    """Everything of a model that a user could notice."""
    hooks = (
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_forward_hooks_with_kwargs",
    )
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "identity": [id(p) for p in (*model.parameters(), *model.buffers())],
        "modes": [m.training for m in model.modules()],
        "inplace": [getattr(m, "inplace", None) for m in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "hooks": [len(getattr(m, hook)) for m in model.modules() for hook in hooks],
        "rng": torch.get_rng_state(),
        "attributes": [sorted(vars(m)) for m in model.modules()],
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def disturbed(name: str) -> nn.Module:
    """A model in a state of its own: half in training mode, one weight frozen, gradients lying about."""
    model = build(name)
    for i, module in enumerate(model.modules()):
        module.training = i % 2 == 0
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 3 != 0)
        if i % 2 == 0:
            parameter.grad = torch.full_like(parameter, 0.5)
    return model


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("method", list(METHODS))
def test_model_input_and_randomness_are_as_before(name: str, method: str) -> None:
    model, x = disturbed(name), picture()
    before, given = photograph(model), x.clone()
    refused = method in ("rollout", "gradrollout") and name not in ("vit_token", "vit_avg", "torch_vit", "post_norm")
    refused |= method == "daam" and name not in ("vit_token", "torch_vit", "post_norm")
    with pytest.raises(LayerError) if refused else nullcontext():
        sightline.explain(model, x, target=[0, 2], method=method, output=output_of(name), options=FAST.get(method))
    after = photograph(model)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert torch.equal(x, given)
    assert not x.requires_grad
    assert x.grad is None


class _Boom(Exception):
    pass


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("method", ["gradcam", "eigencam", "scorecam", "ablationcam", "saliency", "gradrollout"])
def test_an_error_in_the_middle_leaves_nothing_behind(name: str, method: str) -> None:
    model = disturbed(name)
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]

    def fail(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        raise _Boom

    handle = last.register_forward_hook(fail)
    before = photograph(model)
    with pytest.raises((_Boom, sightline.SightlineError)):
        sightline.explain(model, picture(), target=0, method=method, output=output_of(name), options=FAST.get(method))
    after = photograph(model)
    assert [key for key in before if not same(before[key], after[key])] == []
    handle.remove()


def test_an_error_in_the_backward_leaves_nothing_behind() -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
            raise _Boom

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
            self.bn = nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Fails.apply(self.bn(self.conv(x).mean((2, 3))))

    model = Net().train()
    before = photograph(model)
    with pytest.raises(_Boom):
        sightline.explain(model, picture(), target=0, method="gradcam")
    assert same(before, photograph(model))


def test_a_buffer_that_forward_writes_is_restored_even_if_it_is_replaced() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
            self.register_buffer("seen", torch.zeros(1))
            self.register_buffer("last", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            self.last = torch.ones(1)
            return self.body(x).mean((2, 3))

    model = Counts()
    kept = model.last
    sightline.explain(model, picture(), target=0)
    assert model.seen.item() == 0
    assert model.last is kept
    assert model.last.item() == 0
