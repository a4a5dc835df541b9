"""The bird encoder: the bundled network's body with an embedding in the place of its heads.

`sightline train contrastive` writes its weights. It knows nothing of birds or of how it is trained.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.reading import parse_json
from sightline.common.records import restored
from sightline.models.architectures import (
    BuiltNetwork,
    architecture,
    build_network,
    half_precision,
    read_spec,
    write_network,
)
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.models.zoo.birdnet import ResidualBlock

ARCHITECTURE = "bird-encoder"
"""What its weights files say they are of."""


@dataclass(frozen=True)
class EncoderSpec:
    """What is needed to build a `BirdEncoder`.

    Args:
        widths: channels of the four stages.
        blocks: residual blocks of the four stages.
        dimensions: numbers in the embedding.
        size: side of the input in pixels.
        mean: means of the input's channels, which are subtracted.
        std: standard deviations of the input's channels, by which is divided.
    """

    widths: tuple[int, ...] = (16, 32, 48, 64)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    dimensions: int = 64
    size: int = 96
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)

    @property
    def preprocess(self) -> Preprocess:
        """How a photo is preprocessed for it; InputError where the numbers make no sense."""
        return Preprocess((self.size, self.size), mean=self.mean, std=self.std)

    @classmethod
    def from_json(cls, text: str) -> EncoderSpec:
        """Read what `to_json` wrote; ValueError or InputError where it is damaged."""
        spec = restored(cls, parse_json(text))
        _ = spec.preprocess  # refuses what the file's numbers cannot be, before a network is built
        return spec

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))


class BirdEncoder(nn.Module):
    """Stem, four residual stages (strides 4, 8, 16, 16), maximum pooling, one linear projection without a bias.

    The strongest place of each channel is pooled: the bird is a small part of the scene, and an average would
    drown it.

    Example:
        >>> import torch
        >>> BirdEncoder(EncoderSpec(dimensions=8))(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 8])
    """

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        inside = spec.widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, inside, 3, 2, 1, bias=False), nn.BatchNorm2d(inside), nn.ReLU())
        stages = []
        for width, count, stride in zip(spec.widths, spec.blocks, (2, 2, 2, 1), strict=True):
            first = ResidualBlock(inside, width, stride)
            stages.append(nn.Sequential(first, *(ResidualBlock(width, width, 1) for _ in range(count - 1))))
            inside = width
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.projection = nn.Linear(inside, spec.dimensions, bias=False)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """The embedding, not normalised."""
        features = self.stage4(self.stage3(self.stage2(self.stage1(self.stem(x)))))
        out: Tensor = self.projection(self.pool(features).flatten(1))
        return out


def save_encoder(net: BirdEncoder, path: str | Path) -> Path:
    """Write an encoder in half precision with all that is needed to load it, whole or not at all."""
    return write_network(path, half_precision(net), ARCHITECTURE, net.spec.to_json())


def load_encoder(path: str | Path) -> BirdEncoder:
    """An encoder that `sightline train contrastive` wrote, in eval mode and fp32 on the CPU.

    Raises:
        ModelError: the file is missing, or is not a bird encoder's.
    """
    return _net(read_weights(path))


@architecture(ARCHITECTURE, random=lambda: _built(BirdEncoder(EncoderSpec()).eval()))
def built(weights: Weights) -> BuiltNetwork:
    """The encoder of a file, with its preprocessing."""
    return _built(_net(weights))


def _built(net: BirdEncoder) -> BuiltNetwork:
    return BuiltNetwork(net, None, net.spec.preprocess)


def _net(weights: Weights) -> BirdEncoder:
    spec = read_spec(weights, ARCHITECTURE, EncoderSpec.from_json, "sightline train contrastive")
    net = build_network(weights, lambda: BirdEncoder(spec), sized=True)
    fit_weights(net, weights, name=ARCHITECTURE)
    return net.eval()
