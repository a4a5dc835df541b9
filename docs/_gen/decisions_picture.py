"""Make the pictures of detection, segmentation and text: `python docs/_gen/decisions_picture.py`.

The three networks are made of the bundled bird model inside another module, by closed-form fits on drawn scenes that
are not shown: a detector (box and species at each place), a segmenter (bird or not), and two towers (attributes and
words).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as fn
from torchvision.ops import nms

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, save_small

import sightline
from sightline import targets
from sightline.models.zoo.birdnet import BirdNet, load_birdnet
from sightline.reports import save_montage
from sightline.worlds.aviary import World
from sightline.worlds.aviary.batch import render_batch

SIDE = 128
FIT = range(1000, 1120)
SHOWN = (11, 40)
"""Two scenes, drawn side by side."""


def ridge(features: Tensor, wanted: Tensor) -> Tensor:
    """Weights with a bias row: `(X'X + 1)^-1 X'y`."""
    x = torch.cat([features, torch.ones(len(features), 1)], 1).double()
    gram = x.T @ x + torch.eye(x.shape[1], dtype=x.dtype)
    return torch.linalg.solve(gram, x.T @ wanted.double()).float()


class Frame(nn.Module):
    """The bird model inside another module, as people have it."""

    def __init__(self, net: BirdNet) -> None:
        super().__init__()
        self.net = net

    def features(self, x: Tensor) -> Tensor:
        """`[b, c, h, w]`, stride 16."""
        return self.net.forward_features(x)


class Segmenter(Frame):
    """Ground or bird at every place."""

    head: nn.Conv2d

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of the picture's size under `out`, as torchvision has them."""
        logits = self.head(self.features(x))
        return {"out": fn.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=False)}


class Detector(Frame):
    """At every place a box, and how sure it is of each species there."""

    there: nn.Conv2d
    sides: nn.Conv2d

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        """One dictionary for each picture, as torchvision's detectors give them."""
        features = self.features(x)
        sure = (6 * self.there(features)).sigmoid()
        head = self.net.class_head
        species = fn.conv2d(features, head.weight[:, :, None, None], head.bias).softmax(1)
        rows, columns = (torch.arange(n) * 16.0 + 8 for n in features.shape[2:])
        middle = torch.stack([columns[None].expand(len(rows), -1), rows[:, None].expand(-1, len(columns))])
        left_top, right_bottom = (16 * self.sides(features)).chunk(2, 1)
        boxes = torch.cat([middle - left_top, middle + right_bottom], 1)
        return [self._kept(*one) for one in zip(boxes, sure * species, strict=True)]

    @staticmethod
    def _kept(boxes: Tensor, scores: Tensor) -> dict[str, Tensor]:
        best, labels = scores.flatten(1).max(0)
        corners = boxes.flatten(1).T
        kept = nms(corners, best, 0.3)[:5]
        return {"boxes": corners[kept], "scores": best[kept], "labels": labels[kept]}


class Towers(Frame):
    """Attributes of the picture against attributes that a sentence names."""

    def encode_image(self, images: Tensor) -> Tensor:
        """Attribute logits less their mean in each group."""
        logits = self.net.attribute_logits(images)
        return torch.cat([part - part.mean(1, keepdim=True) for part in logits.split(self.net.spec.groups, 1)], 1)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """1 at each attribute whose words all stand in the sentence."""
        return tokens.float()

    def tokenizer(self, sentences: list[str]) -> Tensor:
        """Which attributes a sentence names."""
        names = [name.removeprefix("has_").replace("::", "_").split("_") for name in self.net.attributes]
        rows = [[set(name) - {"color"} <= set(sentence.split()) for name in names] for sentence in sentences]
        return torch.tensor(rows)


def convolution(weights: Tensor) -> nn.Conv2d:
    """A fitted linear map at every place."""
    layer = nn.Conv2d(len(weights) - 1, weights.shape[1], 1)
    layer.weight.data, layer.bias.data = weights[:-1].T[:, :, None, None].contiguous(), weights[-1].contiguous()  # type: ignore[union-attr]
    return layer


def fitted(net: BirdNet) -> tuple[Detector, Segmenter]:
    """Both heads, by ridge regression on scenes that are not shown."""
    batch = render_batch(World(), FIT, SIDE)
    with torch.no_grad():
        grid = net.forward_features(batch.normalised(net.spec.mean, net.spec.std))
    share = fn.adaptive_avg_pool2d(batch.foreground[:, None].float(), grid.shape[2:])
    rows = grid.permute(0, 2, 3, 1).flatten(0, 2)
    detector, segmenter = Detector(net), Segmenter(net)
    bird = ridge(rows, 2 * share.flatten()[:, None] - 1)
    segmenter.head = convolution(torch.cat([-bird, bird], 1))
    inside = share.flatten() > 0.3
    detector.there = convolution(bird)
    detector.sides = convolution(ridge(rows[inside], sides_of(batch.foreground, grid.shape[2])[inside]))
    return detector.eval(), segmenter.eval()


def sides_of(foreground: Tensor, n: int) -> Tensor:
    """For each place how far the bird reaches to the left, top, right and bottom, in places."""
    middle = torch.arange(n) * 16.0 + 8
    out = []
    for mask in foreground:
        y, x = mask.nonzero().unbind(1)
        ends = x.min(), y.min(), x.max() + 1, y.max() + 1
        out += [[c - ends[0], r - ends[1], ends[2] - c, ends[3] - r] for r in middle for c in middle]
    return torch.tensor(out) / 16


def montage(name: str, items: Any) -> None:
    """Keep a picture of the page."""
    with tempfile.TemporaryDirectory() as folder:
        save_small(Image.open(save_montage(items, Path(folder) / "one.png")), ASSETS / name)


def main() -> None:
    """Explain two birds side by side, and keep the montages."""
    net = load_birdnet()
    detector, segmenter = fitted(net)
    batch = render_batch(World(), SHOWN, SIDE)
    view = torch.cat(list(batch.images), 2)[None].float() / 255
    inputs = torch.cat(list(batch.normalised(net.spec.mean, net.spec.std)), 2)[None]
    layers = ["net.stage1.1", "net.stage2.1", "net.stage3.2", "net.stage4.2"]
    common: dict[str, Any] = {"labels": net.labels, "layers": layers, "method": "lrp"}

    with torch.no_grad():
        found = detector(inputs)[0]
    print([(net.labels[c], round(float(s), 2), [round(v) for v in b]) for b, s, c in
           zip(found["boxes"].tolist(), found["scores"], found["labels"], strict=True)])  # fmt: skip
    both = {**common, "method": ["lrp", "gradcam"]}
    tops = sightline.explain(detector, inputs, target=targets.box("top2"), images=view, sources=["two birds"], **both)
    montage("detection.jpg", tops)
    mask = torch.zeros(SIDE, 2 * SIDE)
    mask[:, SIDE:] = 1
    two = {**common, "labels": ("ground", "bird")}
    own = sightline.explain(
        segmenter, inputs, target=targets.segment("bird"), images=view, sources=["two birds"], **two
    )
    part = targets.segment("bird", region=mask)
    right = sightline.explain(segmenter, inputs, target=part, images=view, sources=["right half"], **two)
    montage("segmentation.jpg", [*own, *right])

    one, seen = inputs[..., :SIDE], view[..., :SIDE]
    words = ["a bird with a blue crown", "a bird with a green wing"]
    print([name for name, value in zip(net.attributes, batch.attributes[0], strict=True) if value])
    likeness = sightline.explain(
        Towers(net).eval(),
        one,
        target=targets.text(words),
        images=seen,
        sources=["a bird"],
        method="lrp",
        layers=layers,
    )
    montage("text.jpg", likeness)


if __name__ == "__main__":
    main()
