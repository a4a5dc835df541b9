"""The two heads of an attribute network: one reads attributes off a feature map, one decides the class.

They know features and vocabularies, not where the features come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.errors import ModelError, near
from sightline.tasks.attributes.data import Vocabulary

Join = Literal["parallel", "fusion", "bottleneck"]
Pool = Literal["average", "max", "places"]
JOINS: tuple[Join, ...] = get_args(Join)
POOLS: tuple[Pool, ...] = get_args(Pool)
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class HeadOutput(NamedTuple):
    """What an attribute head makes of features.

    Args:
        logits: z_k.
        maps: M_k, what each place adds to z_k.
        evidence: e_k, what each place says.
        shares: how much each place counts, by group (`places`), by attribute (`max`) or everywhere alike.
    """

    logits: Float[Tensor, "b k"]
    maps: Float[Tensor, "b k h w"]
    evidence: Float[Tensor, "b k h w"]
    shares: Tensor


class AttributeHead(nn.Module):
    """Logits z_k and, for every attribute, the map whose sum they are: z_k = b_k + sum_p M_k(p).

    With e_k(p) = w_k . F(p): `average` takes M_k = e_k / (h w); `max` takes e_k at its highest place and nothing
    elsewhere; `places` lets every group of attributes weigh the places, M_k = s_g(p) e_k(p) with
    s_g = softmax_p(u_g . F(p)).

    Args:
        channels: number of channels of the features.
        words: the attributes.
        pool: how places are put together.
        seed: seed of the weights, which are drawn apart from everything else.

    Raises:
        ModelError: there is no such pool.
    """

    group: Tensor

    def __init__(self, channels: int, words: Vocabulary, *, pool: Pool = "average", seed: int = 0) -> None:
        super().__init__()
        if pool not in POOLS:
            raise ModelError(f"there is no pool {pool!r}; {near(pool, POOLS)}")
        self.pool = pool
        self.what = _drawn(nn.Linear(channels, len(words)), seed)
        self.where = nn.Conv2d(channels, len(words.groups), 1, bias=False) if pool == "places" else None
        if self.where is not None:
            # equal weights for all places: training begins as `average` would
            nn.init.zeros_(self.where.weight)
        self.register_buffer("group", torch.tensor(words.group_of), persistent=False)

    def forward(self, features: Float[Tensor, "b c h w"]) -> HeadOutput:
        """Logits, maps, and what they are made of."""
        evidence = nn.functional.conv2d(features, self.what.weight[:, :, None, None])
        shares = self._shares(features, evidence)
        maps = evidence * (shares[:, self.group] if self.pool == "places" else shares)
        return HeadOutput(maps.sum((2, 3)) + self.what.bias, maps, evidence, shares)

    def _shares(self, features: Float[Tensor, "b c h w"], evidence: Float[Tensor, "b k h w"]) -> Tensor:
        """How much every place counts: [b, g, h, w], [b, k, h, w] or one number; over places it sums to 1."""
        if self.where is not None:
            out: Tensor = self.where(features).flatten(2).softmax(2).unflatten(2, features.shape[2:])
            return out
        if self.pool == "max":
            top = evidence.flatten(2).argmax(2, keepdim=True)
            return torch.zeros_like(evidence.flatten(2)).scatter_(2, top, 1.0).view_as(evidence)
        return features.new_ones(()) / features[0, 0].numel()

    def part_attention(self, read: HeadOutput, chosen: Int[Tensor, "b g"]) -> Float[Tensor, "b g h w"]:
        """Where each group of attributes is read: its own weights of places, or else softmax_p(e_k) of one of them.

        Args:
            read: what this head returned.
            chosen: for every group the attribute whose places are meant.
        """
        if self.pool == "places":
            return read.shares
        own = read.evidence.flatten(2).gather(1, chosen[..., None].expand(-1, -1, read.evidence[0, 0].numel()))
        return own.softmax(2).view(len(own), -1, *read.evidence.shape[2:])


class FeatureFusion(nn.Module):
    """Features of several grids on the finest of them: 1x1 convolutions, a sum, and a 3x3 convolution.

    Args:
        inside: channels of the inputs, fine to coarse.
        width: channels on the common grid.
        seed: seed of the weights, which are drawn apart from everything else.
    """

    def __init__(self, inside: tuple[int, ...], width: int, *, seed: int = 0) -> None:
        super().__init__()
        sides = [
            _drawn(nn.Conv2d(channels, width, 1, bias=False), seed + 10 + i) for i, channels in enumerate(inside)
        ]
        self.laterals = nn.ModuleList(sides)
        self.norm = nn.BatchNorm2d(width)
        self.mix = _drawn(nn.Conv2d(width, width, 3, 1, 1, bias=False), seed + 9)
        self.after = nn.BatchNorm2d(width)

    def forward(self, features: Sequence[Float[Tensor, "b c g v"]]) -> Float[Tensor, "b d h w"]:
        """One grid."""
        size = features[0].shape[-2:]
        pairs = zip(self.laterals, features, strict=True)
        total = torch.stack([nn.functional.interpolate(lateral(x), size=size) for lateral, x in pairs]).sum(0)
        out: Tensor = self.after(self.mix(self.norm(total).relu())).relu()
        return out


class ClassHead(nn.Module):
    """Class scores from features v and attributes a, joined in one of three ways.

    `parallel`: s = U v + c. `fusion`: s = U v + V a + c. `bottleneck`: s = V a + c.

    Args:
        channels: number of channels of the features.
        attributes: how many attributes there are.
        classes: how many classes there are.
        join: name of the join.
        seed: seed of the weights, which are drawn apart from everything else.

    Raises:
        ModelError: there is no such join.
    """

    def __init__(self, channels: int, attributes: int, classes: int, *, join: Join, seed: int = 0) -> None:
        super().__init__()
        if join not in JOINS:
            raise ModelError(f"there is no join {join!r}; {near(join, JOINS)}")
        self.join = join
        from_features, from_attributes = join != "bottleneck", join != "parallel"
        self.of_features = _drawn(nn.Linear(channels, classes), seed + 1) if from_features else None
        self.of_attributes = (
            _drawn(nn.Linear(attributes, classes, bias=not from_features), seed + 2) if from_attributes else None
        )

    def forward(self, v: Float[Tensor, "b c"], a: Float[Tensor, "b k"]) -> Float[Tensor, "b y"]:
        """Class scores."""
        parts: list[Tensor] = [] if self.of_features is None else [self.of_features(v)]
        parts += [] if self.of_attributes is None else [self.of_attributes(a)]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _drawn(layer: Layer, seed: int) -> Layer:
    """Weights and bias uniform in +-1/sqrt(inputs), as torch has it, from a generator of their own."""
    draw = torch.Generator().manual_seed(seed)
    reach = 1 / math.sqrt(layer.weight[0].numel())
    with torch.no_grad():
        for values in (layer.weight, layer.bias):
            if values is not None:
                values.uniform_(-reach, reach, generator=draw)
    return layer
