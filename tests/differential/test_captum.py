"""Our maps against captum's, at every layer of every tiny model that captum can be asked about.

captum copies what it hooks, so in-place operations do not disturb it; where a module runs twice it explains the last
call only, and its Grad-CAM averages over the axes behind the channels, which for tokens are not the places.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.capture import Plan, capture
from sightline.models import adapt
from sightline.targets import parse_target
from tests.differential.agreement import assert_same, needs
from tests.tiny import build, output_of, picture

needs("captum")
from captum.attr import IntegratedGradients, LayerGradCam, LayerGradientXActivation, Saliency  # noqa: E402

GRIDS = ["plain_inplace", "residual", "dense", "depthwise", "tuple_out", "reused"]
TOKENS = ["vit_token", "vit_avg", "torch_vit", "post_norm", "windows"]
CLASS = 3


def logits_of(name: str, model: nn.Module) -> Callable[[Tensor], Tensor]:
    """What captum is given to run: the model, or its logits where it returns more."""
    place = output_of(name)
    return model if place is None else lambda x: model(x)[place]


def stages_of(name: str, model: nn.Module, wanted: str | None) -> list:
    """Layers whose module runs once, for captum knows one call of a module only."""
    plan = Plan(parse_target(CLASS), layers=wanted, output=output_of(name))
    return [layer for layer in capture(adapt(model), picture(), plan).layers if ":" not in layer.name]


def ours(name: str, model: nn.Module, method: str, wanted: str | None) -> sightline.Explanations:
    return sightline.explain(model, picture(), target=CLASS, method=method, layers=wanted, output=output_of(name))


@pytest.mark.parametrize("wanted", [None, "convs"])
@pytest.mark.parametrize("name", GRIDS)
def test_grad_cam_is_captums(name, wanted):
    model = build(name)
    found = ours(name, model, "gradcam", wanted)
    layers = stages_of(name, model, wanted)
    assert layers
    for layer in layers:
        theirs = LayerGradCam(logits_of(name, model), model.get_submodule(layer.spec.path))
        expected = theirs.attribute(picture(), CLASS, relu_attributions=True)[:, 0]
        if expected.abs().max() > 0:
            assert_same(torch.stack([item.flow[layer.name].values for item in found]), expected.detach())


@pytest.mark.parametrize("name", GRIDS)
def test_most_of_captums_maps_are_not_zero(name):
    model = build(name)
    maps = [
        LayerGradCam(logits_of(name, model), model.get_submodule(layer.spec.path)).attribute(picture(), CLASS)
        for layer in stages_of(name, model, "convs")
    ]
    assert sum(bool(part.abs().max() > 0) for part in maps) > len(maps) / 2


@pytest.mark.parametrize("name", GRIDS + TOKENS)
def test_gradient_x_activation_is_captums(name):
    model = build(name)
    found = ours(name, model, "gradxact", None)
    layers = stages_of(name, model, None)
    for layer in layers:
        module = model.get_submodule(layer.spec.path)
        theirs = LayerGradientXActivation(logits_of(name, model), module)
        given = theirs.attribute(picture(), CLASS, attribute_to_layer_input=layer.spec.side == "input")
        expected = layer.layout.to_grid(given[0] if isinstance(given, tuple) else given).sum(1).detach()
        if not cancelled(expected, given):
            assert_same(torch.stack([item.flow[layer.name].values for item in found]), expected)


def cancelled(total: Tensor, terms: Tensor) -> bool:
    """Whether a sum is only rounding: behind it stands a norm that forgets the length of what it gets."""
    return bool(total.abs().max() < 1e-4 * terms.abs().sum())


@pytest.mark.parametrize("name", TOKENS)
def test_some_token_stages_are_compared(name):
    model = build(name)
    for layer in stages_of(name, model, None):
        theirs = LayerGradientXActivation(logits_of(name, model), model.get_submodule(layer.spec.path))
        given = theirs.attribute(picture(), CLASS, attribute_to_layer_input=layer.spec.side == "input")
        if not cancelled(layer.layout.to_grid(given).sum(1), given):
            return
    pytest.fail("every layer cancels: nothing is compared")


@pytest.mark.parametrize("name", ["plain_inplace", "residual", "depthwise", "vit_avg"])
def test_integrated_gradients_are_captums(name):
    model = build(name)
    found = sightline.explain(model, picture(), target=CLASS, method="integrated_gradients", options={"steps": 16})
    expected = IntegratedGradients(model).attribute(picture(), target=CLASS, n_steps=16).sum(1).float()
    assert_same(torch.stack([item.flow[0].values for item in found]), expected.detach())


@pytest.mark.parametrize("name", ["plain_inplace", "residual", "depthwise", "vit_avg"])
def test_saliency_is_captums(name):
    model = build(name)
    found = sightline.explain(model, picture(), target=CLASS, method="saliency")
    expected = Saliency(model).attribute(picture(), target=CLASS).amax(1)
    assert_same(torch.stack([item.flow[0].values for item in found]), expected)
