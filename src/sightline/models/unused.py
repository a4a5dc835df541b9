"""Layers of a trunk that nothing uses once its head is gone, and their removal."""

from __future__ import annotations

import torch
from torch import nn

from sightline.models.trunk import Trunk, features_of_grey, run_watched

REPLACEABLE = (nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.LayerNorm)
"""Layers that may be taken away where nothing uses them."""


def drop_unused(trunk: Trunk, size: tuple[int, int]) -> Trunk:
    """Take away layers that only the classifier used: a training on several devices stumbles over idle weights.

    A layer that never runs may still hand its weights to a function, as those inside an attention do; it stays.
    """
    ran, used = set[nn.Module](), _used(trunk, size)
    layers = [(path, m) for path, m in trunk.named_modules() if not list(m.children()) and list(m.parameters())]
    hooks = [layer.register_forward_pre_hook(lambda module, inputs: ran.add(module)) for _, layer in layers]
    run_watched(trunk, size, hooks)
    for path, layer in layers:
        if layer not in ran and used.isdisjoint(layer.parameters()) and isinstance(layer, REPLACEABLE):
            parent, _, name = path.rpartition(".")
            setattr(trunk.get_submodule(parent), name, nn.Identity())
    return trunk


def _used(trunk: Trunk, size: tuple[int, int]) -> set[nn.Parameter]:
    """Parameters that the features of a grey picture depend on: those that have a gradient."""
    weights = list(trunk.parameters())
    learnt = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        with torch.inference_mode(False), torch.enable_grad():
            total = features_of_grey(trunk, size).sum()
            gradients = torch.autograd.grad(total, weights, allow_unused=True) if total.requires_grad else ()
    finally:
        for weight, was in zip(weights, learnt, strict=True):
            weight.requires_grad_(was)
    return {weight for weight, own in zip(weights, gradients, strict=False) if own is not None}
