"""The bundled network: a small residual net with a class head and an attribute head that looks at places.

A plain `nn.Module` without in-place operations; `forward` gives class logits, so every explainer takes it.
Knows nothing of how birds are drawn or how it is trained: labels, attribute names and preprocessing
come with the weights.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.common.reading import parse_json
from sightline.common.records import restored
from sightline.models.architectures import (
    ARCHITECTURES,
    BuiltNetwork,
    architecture,
    build_network,
    half_precision,
    read_spec,
    write_network,
)
from sightline.models.preprocess import Preprocess
from sightline.models.scope import Scope
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.models.zoo.birdnet_scope import bundled_scope

ARCHITECTURE = "birdnet"
"""What its weights files say they are of."""


@dataclass(frozen=True)
class BirdNetSpec:
    """What is needed to build a `BirdNet`, and what its outputs mean.

    Args:
        labels: names of the classes.
        attributes: names of the binary attributes, `has_group::value`; groups lie together.
        widths: channels of the four stages.
        blocks: residual blocks of the four stages.
        reading: channels of the features that the attribute head reads.
        size: side of the input in pixels.
        mean: means of the input's channels, which are subtracted.
        std: standard deviations of the input's channels, by which is divided.
    """

    labels: tuple[str, ...]
    attributes: tuple[str, ...]
    widths: tuple[int, ...] = (32, 48, 80, 112)
    blocks: tuple[int, ...] = (2, 2, 3, 3)
    reading: int = 64
    size: int = 128
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)

    @property
    def groups(self) -> tuple[int, ...]:
        """How many attributes each group has, in order."""
        return tuple(len(list(names)) for _, names in groupby(self.attributes, lambda name: name.split("::")[0]))

    @property
    def preprocess(self) -> Preprocess:
        """How a photo is preprocessed for it; InputError where the numbers make no sense."""
        return Preprocess((self.size, self.size), mean=self.mean, std=self.std)

    @classmethod
    def from_json(cls, text: str) -> BirdNetSpec:
        """Read what `to_json` wrote; ValueError or InputError where it is damaged."""
        spec = restored(cls, parse_json(text))
        _ = spec.preprocess  # refuses what the file's numbers cannot be, before a network is built
        return spec

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))


class ResidualBlock(nn.Module):
    """y = relu(conv(relu(conv(x))) + shortcut(x)), with BatchNorm after every convolution."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d g v"]:
        """One block."""
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


class PlaceReader(nn.Module):
    """Attribute logits read at places: every group of attributes looks where it likes, and reads there.

    Features of strides 4, 8 and 16 meet on the grid of the first; one 1x1 convolution says for every group how
    much each place counts (a soft-max over places), another what each place says. A logit is the mean of what is
    said, weighted by what counts, so that how much each place contributed can be read off.

    Args:
        inside: channels of the three inputs, fine to coarse.
        width: channels on the common grid.
        groups: how many attributes each group has.
    """

    def __init__(self, inside: tuple[int, ...], width: int, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList([nn.Conv2d(channels, width, 1, bias=False) for channels in inside])
        self.norm = nn.BatchNorm2d(width)
        self.mix = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.where = nn.Conv2d(width, len(groups), 1)
        self.what = nn.Conv2d(width, sum(groups), 1)
        nn.init.zeros_(self.where.weight)
        group = [g for g, size in enumerate(groups) for _ in range(size)]
        self.register_buffer("group", torch.tensor(group), persistent=False)

    def forward(
        self, features: list[Float[Tensor, "b c g v"]]
    ) -> tuple[Float[Tensor, "b a"], Float[Tensor, "b n h w"]]:
        """Logits, and how much each place counts for each group (sums to 1 over places)."""
        size = features[0].shape[-2:]
        pairs = zip(self.laterals, features, strict=True)
        met = torch.stack([fn.interpolate(lateral(x), size=size) for lateral, x in pairs]).sum(0)
        mixed = self.mix(self.norm(met))
        weights = self.where(mixed).flatten(2).softmax(2)
        answers = self.what(mixed).flatten(2)
        return (answers * weights[:, self.group]).sum(2), weights.unflatten(2, size)


class BirdNet(nn.Module):
    """Stem, four residual stages (strides 4, 8, 16, 16); a class head after average pooling, and a `PlaceReader`.

    Example:
        >>> net = BirdNet(BirdNetSpec(labels=("a", "b"), attributes=("has_x::y",), widths=(8, 8, 8, 8)))
        >>> net(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 2])
    """

    def __init__(self, spec: BirdNetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.scope: Scope | None = None
        first = spec.widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        inside, stages = first, []
        for width, count, stride in zip(spec.widths, spec.blocks, (2, 2, 2, 1), strict=True):
            blocks = [
                ResidualBlock(inside if i == 0 else width, width, stride if i == 0 else 1) for i in range(count)
            ]
            stages.append(nn.Sequential(*blocks))
            inside = width
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.class_head = nn.Linear(inside, len(spec.labels))
        self.attribute_head = PlaceReader((*spec.widths[:2], inside), spec.reading, spec.groups)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.spec.labels

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the binary attributes."""
        return self.spec.attributes

    def forward_features(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c g v"]:
        """The last stage's activations."""
        out: Tensor = self.stage4(self.stage3(self.stage2(self.stage1(self.stem(x)))))
        return out

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        """Class logits."""
        return self._classes(self.forward_features(x))

    def attribute_logits(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b a"]:
        """Attribute logits; a soft-max inside each group of names gives probabilities."""
        return self.read(x)[1]

    def both(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b a"]]:
        """Class and attribute logits from one pass."""
        return self.read(x)[:2]

    def read(
        self, x: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b a"], Float[Tensor, "b n g v"]]:
        """Class logits, attribute logits, and where each group of attributes was read (sums to 1 over places)."""
        one = self.stage1(self.stem(x))
        two = self.stage2(one)
        last = self.stage4(self.stage3(two))
        attributes, places = self.attribute_head([one, two, last])
        return self._classes(last), attributes, places

    def _classes(self, features: Float[Tensor, "b c g v"]) -> Float[Tensor, "b k"]:
        out: Tensor = self.class_head(self.pool(features).flatten(1))
        return out

    def scores_of_bytes(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        """Class logits of images as bytes, with the preprocessing of the spec."""
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (self.spec.mean, self.spec.std))
        return self.forward((images.float() / 255 - mean) / std)


def save_birdnet(net: BirdNet, path: str | Path) -> Path:
    """Write a net in half precision with all that is needed to load it, whole or not at all."""
    return write_network(path, half_precision(net), ARCHITECTURE, net.spec.to_json())


def load_birdnet(path: str | Path | None = None) -> BirdNet:
    """The bundled network, or one that `sightline train birdnet` wrote, in eval mode and fp32 on the CPU.

    Args:
        path: a weights file; None takes the bundled one.

    Raises:
        ModelError: the file is missing, or is not a BirdNet's.
    """
    if path is not None:
        return _net(read_weights(path))
    with ARCHITECTURES[ARCHITECTURE].bundled(ARCHITECTURE) as bundled:
        return _net(read_weights(bundled))


@architecture(ARCHITECTURE, asset="birdnet.safetensors")
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file, with its labels, preprocessing and, of the bundled weights, what it knows."""
    net = _net(weights)
    return BuiltNetwork(net, net.spec.labels, net.spec.preprocess)


def _net(weights: Weights) -> BirdNet:
    spec = read_spec(weights, ARCHITECTURE, BirdNetSpec.from_json, "sightline train birdnet")
    net = build_network(weights, lambda: BirdNet(spec), sized=True)
    fit_weights(net, weights, name=ARCHITECTURE)
    net.scope = bundled_scope(weights.sha256)
    return net.eval()
