"""Our maps against torchcam's and pytorch-grad-cam's, where those are right.

They keep the activation without a copy, so they are asked only about models without in-place operations behind a
layer, with the layers in forward order and no module that runs twice. Both come with the extra 'peers'.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import sightline
from sightline.models import adapt
from tests.differential.agreement import assert_same, needs
from tests.tiny import build, picture

RIGHT = ["plain_inplace", "residual", "dense", "depthwise"]
"""Read behind their blocks, and with in-place layers switched to plain ones, these give both packages no trap."""

CLASS = 3
TORCHCAM = {"gradcam": "GradCAM", "layercam": "LayerCAM", "xgradcam": "XGradCAM"}
GRADCAM = {"gradcam": "GradCAM", "hirescam": "HiResCAM", "layercam": "LayerCAM", "xgradcam": "XGradCAM"}


def without_inplace(name: str) -> nn.Module:
    model = build(name)
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    return model


def ours(model: nn.Module, method: str) -> dict[str, Tensor]:
    found = sightline.explain(model, picture(), target=CLASS, method=method)
    return {layer: torch.stack([item.flow[layer].values for item in found]) for layer in found[0].flow.layers}


@pytest.mark.parametrize("method", TORCHCAM)
@pytest.mark.parametrize("name", RIGHT)
def test_maps_are_torchcams(name, method):
    methods = needs("torchcam.methods")
    model = without_inplace(name)
    found = ours(model, method)
    paths = [spec.path for spec in adapt(model).layers(picture()) if spec.path in found]
    assert paths == list(found)
    with getattr(methods, TORCHCAM[method])(model, paths) as cam:
        scores = model(picture())
        expected = cam(CLASS, scores, normalized=False)
    compared = 0
    for path, theirs in zip(paths, expected, strict=True):
        if theirs.abs().max() > 0:
            assert_same(found[path], theirs)
            compared += 1
    assert compared


@pytest.mark.parametrize("method", GRADCAM)
@pytest.mark.parametrize("name", RIGHT)
def test_maps_are_grad_cams(name, method):
    package = needs("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = without_inplace(name)
    found = ours(model, method)
    layers = [model.get_submodule(path) for path in found]
    with getattr(package, GRADCAM[method])(model, layers) as cam:
        cam(picture(), [ClassifierOutputTarget(CLASS)] * 2)
        for path, layer, activation, gradient in zip(
            found, layers, cam.activations_and_grads.activations, cam.activations_and_grads.gradients, strict=True
        ):
            theirs = cam.get_cam_image(picture(), layer, None, activation.numpy(), gradient.numpy(), False)
            expected = torch.from_numpy(np.maximum(theirs, 0)).float()
            if expected.abs().max() > 0:
                assert_same(found[path], expected)


def test_enlarged_map_is_torchs_interpolation():
    from sightline.reports import upsample

    found = ours(without_inplace("dense"), "gradcam")
    for values in found.values():
        expected = interpolate(values[:, None], (61, 47), mode="bilinear")[0, 0]
        torch.testing.assert_close(upsample(values[0], (61, 47)), expected)
