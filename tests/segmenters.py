"""Tiny segmenters, one per form of output; torchvision's own classes over small backbones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import segmentation
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

SIDE = 24
CLASSES = 4
BODY = "backbone.body"
"""Layer that every one of them has."""


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        out = self.body(x)
        return OrderedDict([("out", out), ("aux", out)])


def deeplab() -> nn.Module:
    return segmentation.DeepLabV3(Backbone(), DeepLabHead(8, CLASSES, (1, 2)), FCNHead(8, CLASSES))


def fcn() -> nn.Module:
    return segmentation.FCN(Backbone(), FCNHead(8, CLASSES))


class Plain(nn.Module):
    """`[b, classes, h, w]` of the picture's size."""

    outputs = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Conv2d(8, self.outputs, 1)

    def forward(self, x: Tensor) -> Any:
        return F.interpolate(self.head(self.backbone(x)["out"]), x.shape[2:], mode="bilinear", align_corners=False)


class SemanticSegmenterOutput(NamedTuple):
    loss: None
    logits: Tensor


class Quarter(Plain):
    """Hugging Face's SegFormer: logits of a quarter of the side in an output object."""

    def forward(self, x: Tensor) -> Any:
        return SemanticSegmenterOutput(None, self.head(self.backbone(x)["out"]))


class One(Plain):
    """One logit: there or not."""

    outputs = 1


SEGMENTERS: dict[str, Callable[[], nn.Module]] = {
    "deeplab": deeplab, "fcn": fcn, "plain": Plain, "quarter": Quarter, "one": One,
}  # fmt: skip


def build(name: str) -> nn.Module:
    """The same weights every time, spread out so that scores differ."""
    torch.manual_seed(1)
    model = SEGMENTERS[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1.5 * parameter[0].numel() ** -0.5)
    return model.eval()


def pictures(count: int = 1) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
