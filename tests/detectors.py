"""Tiny detectors, one per form of output; torchvision's own classes over small backbones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

SIDE = 32
CLASSES = 4
BODY = "backbone.body"
"""Layer that every one of them has."""


class Backbone(nn.Module):
    """One feature map, a quarter of the picture's side."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, channels, 3, 2, 1), nn.ReLU())
        self.out_channels = channels

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict([("0", self.body(x))])


OWN_SIZE = {"min_size": SIDE, "max_size": SIDE, "image_mean": [0.0] * 3, "image_std": [1.0] * 3}
ANCHORS = AnchorGenerator(((6, 12, 20),), ((0.5, 1.0, 2.0),))


def faster_rcnn(threshold: float = 0.0) -> nn.Module:
    pool = MultiScaleRoIAlign(["0"], output_size=3, sampling_ratio=2)
    return detection.FasterRCNN(
        Backbone(), rpn_anchor_generator=ANCHORS, box_roi_pool=pool, box_score_thresh=threshold,
        box_head=detection.faster_rcnn.TwoMLPHead(8 * 9, 16),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(16, CLASSES),
        rpn_post_nms_top_n_test=12, box_detections_per_img=12, **OWN_SIZE,
    )  # fmt: skip


def retinanet(threshold: float = 0.0) -> nn.Module:
    return detection.RetinaNet(
        Backbone(), CLASSES, anchor_generator=ANCHORS, score_thresh=threshold, detections_per_img=12, **OWN_SIZE
    )


def fcos(threshold: float = 0.0) -> nn.Module:
    anchors = AnchorGenerator(((8,),), ((1.0,),))
    return detection.FCOS(
        Backbone(32), CLASSES, anchor_generator=anchors, score_thresh=threshold, detections_per_img=12, **OWN_SIZE
    )


class Detr(nn.Module):
    """DETR in small: queries that look at the features, a class and a box for each; the last class is "no object"."""

    def __init__(self, queries: int = 6) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.queries = nn.Parameter(torch.randn(queries, 8))
        self.decoder = nn.MultiheadAttention(8, 2, batch_first=True)
        self.names, self.places = nn.Linear(8, CLASSES + 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        memory = self.backbone(x)["0"].flatten(2).mT
        queries = self.queries.expand(len(x), -1, -1)
        out = queries + self.decoder(queries, memory, memory, need_weights=False)[0]
        return self.packed(self.names(out), self.places(out).sigmoid())

    def packed(self, logits: Tensor, boxes: Tensor) -> Any:
        return {"pred_logits": logits, "pred_boxes": boxes}


class Batched(Detr):
    """Corners, scores and classes of all pictures in three tensors."""

    def packed(self, logits: Tensor, boxes: Tensor) -> Any:
        scores, labels = logits.softmax(2)[..., :-1].max(2)
        x, y, w, h = (boxes * SIDE).unbind(2)
        corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 2)
        return {"boxes": corners, "scores": scores, "labels": labels}


DETECTORS: dict[str, Callable[[], nn.Module]] = {
    "faster_rcnn": faster_rcnn, "retinanet": retinanet, "fcos": fcos, "detr": Detr, "batched": Batched,
}  # fmt: skip


def build(name: str, **options: Any) -> nn.Module:
    """The same weights every time, spread out so that scores differ."""
    torch.manual_seed(0)
    model = DETECTORS[name](**options)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1.2 * parameter[0].numel() ** -0.5)
            elif name in ("retinanet", "fcos"):  # their biases make every class improbable
                parameter.clamp_(-1.0, 1.0)
    return model.eval()


def pictures(count: int = 1) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
