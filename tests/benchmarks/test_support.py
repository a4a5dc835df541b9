"""A sample of the support table and of the sweep over sizes, on meta tensors: no arithmetic, seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from layout_sizes import MISREAD, on_meta, sizes_of, wrong_layers
from sightline.models import adapt

SAMPLE: dict[str, tuple[tuple[int, ...], int, tuple[int, ...], tuple[int, ...], str]] = {
    "torchvision:resnet18": ((224, 224), 8, (56, 56), (7, 7), "grid"),
    "torchvision:vit_b_32": ((224, 224), 12, (7, 7), (7, 7), "tokens"),
    "torchvision:swin_t": ((224, 320), 16, (56, 80), (7, 10), "windows"),
    "torchvision:r3d_18": ((4, 64, 96), 9, (4, 32, 48), (1, 4, 6), "grid"),
    "timm:tresnet_m": ((224, 224), 22, (56, 56), (7, 7), "grid"),  # space to depth
    "timm:halonet26t": ((256, 256), 11, (128, 128), (8, 8), "grid"),  # windows that look beyond their edge
    "timm:hieradet_small": ((256, 256), 17, (64, 64), (8, 8), "windows"),  # pooled within windows
    "timm:gcvit_xxtiny": ((224, 224), 23, (56, 56), (7, 7), "windows"),  # queries of one window asked in every one
    "timm:mobilevit_xxs": ((256, 256), 12, (128, 128), (8, 8), "grid"),  # patches unfolded
    "timm:mixer_s32_224": ((224, 224), 9, (7, 7), (7, 7), "tokens"),
}


@pytest.mark.parametrize("name", SAMPLE)
def test_layers_and_layouts_of_a_network_of_each_kind(name: str) -> None:
    size, count, first, last, kind = SAMPLE[name]
    model = on_meta(name)
    structure = adapt(model).structure(torch.empty(1, 3, *size, device="meta"))
    specs = structure.layers()
    layouts = [structure.site(spec.path, spec.side, 1).layout for spec in specs]
    assert len(specs) == count
    assert (layouts[0].size, layouts[-1].size) == (first, last)
    assert layouts[-1].kind == kind


@pytest.mark.parametrize("name", ["torchvision:resnet18", "torchvision:mobilenet_v3_small", "timm:mobilenetv2_050"])
@pytest.mark.parametrize("size", MISREAD[:5])
def test_layouts_of_a_cnn_are_the_closed_form_at_sizes_that_were_once_misread(
    name: str, size: tuple[int, int], kept: dict[str, nn.Module]
) -> None:
    if name not in kept:
        kept[name] = on_meta(name)
    layers, wrong = wrong_layers(kept[name], size)
    assert layers >= 8
    assert wrong == []


@pytest.fixture(scope="module")
def kept() -> dict[str, nn.Module]:
    return {}


def test_the_random_sizes_are_the_same_in_every_run_and_none_is_square() -> None:
    assert sizes_of(200) == sizes_of(200)
    assert len(sizes_of(200)) in range(200, 208)
    assert all(h != w for h, w in sizes_of(None))
