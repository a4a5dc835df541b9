"""The LRP flow against LXT (AttnLRP and CP-LRP) on three transformers, in float64.

LXT's rules and patches are put on the modules of a copy; its package is not initialised, since that asks for
transformers. Its uniform rule divides by four at queries and keys and by two at values, as its own attention does.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

import sightline
from tests.differential.agreement import assert_same, needs

TARGET = 3
DOUBLE = torch.float64
SIZE: dict[str, Any] = {
    "img_size": 48,
    "patch_size": 16,
    "num_classes": 5,
    "depth": 4,
    "embed_dim": 48,
    "num_heads": 3,
}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "vit_tiny": lambda: timm.create_model("vit_tiny_patch16_224", **SIZE),
    "deit3_small": lambda: timm.create_model("deit3_small_patch16_224", **SIZE),
    "torchvision": lambda: VisionTransformer(48, 16, 4, 3, 48, 96, num_classes=5),
}
CASES = [(name, attention) for name in NETWORKS for attention in ("value", "both")][:-1]
"""LXT has no AttnLRP for torch's own multi-head attention."""


def lxt() -> tuple[ModuleType, ModuleType]:
    """LXT's rules and patches, without its package's initialisation."""
    if find_spec("lxt") is None:
        needs("lxt")
    places = find_spec("lxt").submodule_search_locations
    package = ModuleType("lxt.efficient")
    package.__path__ = [str(Path(places[0]) / "efficient")]
    sys.modules.setdefault("lxt.efficient", package)
    return importlib.import_module("lxt.efficient.rules"), importlib.import_module("lxt.efficient.patches")


def patched(model: nn.Module, attention: str) -> nn.Module:
    """A copy whose gradient x activation is LXT's relevance."""
    rules, patches = lxt()
    twin = copy.deepcopy(model)
    for module in twin.modules():
        if isinstance(module, nn.LayerNorm):
            module.forward = MethodType(patches.layer_norm_forward, module)
        elif isinstance(module, nn.GELU) or type(module).__name__ == "GELU":
            module.original_forward = module.forward
            module.forward = MethodType(patches.non_linear_forward, module)
        elif isinstance(module, nn.MultiheadAttention):
            module.original_forward = module.forward
            module.forward = MethodType(patches.cp_multi_head_attention_forward, module)
        elif hasattr(module, "qkv"):
            module.fused_attn = False
            plain = module.qkv.forward

            def parts(x: Tensor, plain: Callable[[Tensor], Tensor] = plain) -> Tensor:
                q, k, v = plain(x).chunk(3, -1)
                if attention == "value":
                    return torch.cat([rules.stop_gradient(q), rules.stop_gradient(k), v], -1)
                return torch.cat([rules.divide_gradient(t, by) for t, by in ((q, 4), (k, 4), (v, 2))], -1)

            module.qkv.forward = parts
    return twin


def relevance(model: nn.Module, x: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Gradient x activation at some layers, tokens without the class token, as a grid."""
    kept: dict[str, Tensor] = {}
    for layer in layers:
        path, _, side = layer.partition("@")

        def keep(module: nn.Module, args: Any, output: Any = None, layer: str = layer) -> None:
            tensor = args[0] if output is None else output
            tensor.retain_grad()
            kept[layer] = tensor

        module = model.get_submodule(path)
        (module.register_forward_pre_hook if side else module.register_forward_hook)(keep)
    model(x.clone().requires_grad_())[:, TARGET].sum().backward()
    maps = {}
    for layer, tensor in kept.items():
        R = (tensor * tensor.grad).detach()
        R = R.flatten(2).mT if R.ndim == 4 else R
        maps[layer] = R[0, R.shape[1] - 9 :].sum(-1).reshape(3, 3)
    return maps


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_every_layers_relevance_is_lxts(name: str, attention: str) -> None:
    lxt()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = NETWORKS[name]().to(DOUBLE).eval()
        for parameter in model.parameters():
            if not parameter.any() or parameter.ndim == 1:
                nn.init.normal_(parameter, 0.3, 0.3)
        x = torch.randn(1, 3, 48, 48, dtype=DOUBLE)
    twin = patched(model, attention)
    assert torch.allclose(twin(x), model(x), rtol=1e-9)
    options = {"gamma": 0, "attention": attention}
    flow = sightline.explain(model, x, target=TARGET, method="lrp", options=options)[0].flow
    theirs = relevance(twin, x, flow.layers)
    assert len(theirs) == len(flow)
    for layer, expected in theirs.items():
        assert_same(flow[layer].values.double(), expected, within=1e-6)
