"""The promises about cost that need no clock: counted operations and counted calls of the model.

The bars are those of convolutional networks. A transformer's bare backward costs more than its forward; there the
bare backward is the bar.
"""

from __future__ import annotations

from functools import cache

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import sightline
from sightline.explainers import METHODS
from tests.benchmarks.flops import Calls, flops

CAMS = [name for name, method in METHODS.items() if method.reduction is not None and method.needs == "gradient"]
NULLS = [name for name, method in METHODS.items() if method.control is not None]
CONVOLUTIONAL = ["resnet18", "mobilenet_v3_large"]
TRANSFORMER = "vit_tiny_patch16_224"
NAMES = [*CONVOLUTIONAL, TRANSFORMER]
DEPTH = 12


@cache
def model_of(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name in CONVOLUTIONAL:
            return torchvision.models.get_model(name).eval()
        return timm.create_model(name).eval()


@cache
def picture() -> Tensor:
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@cache
def one_forward(name: str) -> int:
    with torch.no_grad():
        return flops(lambda: model_of(name)(picture()))


@cache
def bare_backward(name: str) -> float:
    """Operations of a backward to the input, in forwards: 1 for convolutions and linear layers, more for attention.

    A product of two activations is differentiated to both, and the fused kernel makes the scores a second time.
    """
    model, leaf = model_of(name).requires_grad_(False), picture().clone().requires_grad_()
    return flops(lambda: torch.autograd.grad(model(leaf.clone()).max(), leaf)) / one_forward(name) - 1


def cost(name: str, **asked: object) -> tuple[float, int]:
    """Operations of one call of `explain`, in forwards, and how often the model ran in it."""
    sightline.explain(model_of(name), picture(), method="gradcam")  # its structure is recorded at the first call
    with Calls(model_of(name)) as calls:
        spent = flops(lambda: sightline.explain(model_of(name), picture(), **{"method": "gradcam", **asked}))
    return spent / one_forward(name), calls.count


@pytest.mark.parametrize("name", NAMES)
def test_all_cams_at_all_blocks_cost_one_call_and_two_forwards(name):
    spent, calls = cost(name, method=CAMS)
    assert len(CAMS) >= 6
    assert calls == 1
    assert 1.8 < spent <= max(2.05, 1 + bare_backward(name))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_all_convolutions_cost_one_call_and_two_forwards(name):
    spent, calls = cost(name, layers="convs")
    assert calls == 1
    assert 1.8 < spent <= 2.05


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("name", ["resnet18", TRANSFORMER])
def test_k_targets_share_one_forward(name, k):
    spent, calls = cost(name, target=f"top{k}")
    assert calls == 1
    assert 1 + 0.8 * k < spent <= 1 + k * max(1.0, bare_backward(name))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_last_stage_alone_costs_one_forward(name):
    spent, calls = cost(name, layers="last")
    assert calls == 1
    assert 1.0 < spent <= 1.02


def test_last_stage_of_a_class_token_costs_a_forward_and_one_block():
    """Behind the last block the patches have no gradient, so it is read in front of the attention."""
    spent, calls = cost(TRANSFORMER, layers="last")
    assert calls == 1
    assert 1.0 < spent <= 1 + bare_backward(TRANSFORMER) / DEPTH


@pytest.mark.parametrize("methods", [["eigencam"], NULLS])
def test_what_needs_no_gradient_costs_one_forward(methods):
    spent, calls = cost("resnet18", method=methods, layers="last")
    assert calls == 1
    assert spent == pytest.approx(1.0, abs=0.005)
