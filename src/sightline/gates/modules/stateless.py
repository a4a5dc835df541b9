"""Gates without a state whose equation is written here; the rest come from timm.

Each has `factor`: what its input is multiplied with. They know nothing of blocks or sharing.
"""

from __future__ import annotations

import torch
import torch.fx
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import GateError
from sightline.gates.validation import check_reduction

Maps = Float[Tensor, "b c h w"]


class Multiplied(nn.Module):
    """A gate that multiplies its input."""

    def forward(self, x: Maps) -> Maps:
        """The input times its factor."""
        return x * self.factor(x)

    def factor(self, x: Maps) -> Tensor:
        """What the input is multiplied with."""
        raise NotImplementedError


class Constant(Multiplied):
    """The same number everywhere: the control that tells an attention module from a smaller branch.

    Args:
        channels: number of channels of the maps; it makes no difference.
        value: the number; 0.25 is where the DIA unit begins.
    """

    def __init__(self, channels: int, *, value: float = 0.25) -> None:
        super().__init__()
        self.value = float(value)

    def factor(self, x: Maps) -> Float[Tensor, "1 1 1 1"]:
        """The number."""
        return torch.full((1, 1, 1, 1), self.value, dtype=x.dtype, device=x.device)

    def extra_repr(self) -> str:
        """The number, in the module's description."""
        return f"value={self.value:g}"


class SqueezeExcite(Multiplied):
    """sigmoid(W2 relu(W1 mean(x) + b1) + b2), per channel [hu2018squeeze].

    Args:
        channels: number of channels of the maps.
        reduction: the layer between has `channels // reduction` channels.

    Example:
        >>> sum(p.numel() for p in SqueezeExcite(256).parameters())
        8464
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        middle = check_reduction("se", channels, reduction)
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.expand = nn.Conv2d(middle, channels, 1)

    def factor(self, x: Maps) -> Float[Tensor, "b c 1 1"]:
        """One number per channel."""
        pooled = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.expand(torch.relu(self.reduce(pooled))))


class SpatialGroups(Multiplied):
    """SGE: per group of channels, how much each place is like the group's mean [li2019spatial].

        s = sum over the group's channels of x mean(x);   t = (s - mean s) / (std s + 1e-5);   sigmoid(w t + b)

    The standard deviation is the unbiased one. On a map of one place it does not exist; there t is 0.

    Args:
        channels: number of channels of the maps.
        groups: 64 as published, or where there are fewer than 256 channels, so many that each group has four.

    Raises:
        GateError: the groups do not divide the channels.
    """

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__()
        self.groups = _groups(channels) if groups is None else groups
        if self.groups < 1 or channels % self.groups:
            raise GateError(
                f"sge cannot split {channels} channels into {groups} groups of one size; "
                f"take a number that divides {channels}, such as {_groups(channels)}"
            )
        self.weight = nn.Parameter(torch.zeros(1, self.groups, 1, 1))
        self.bias = nn.Parameter(torch.ones(1, self.groups, 1, 1))

    def forward(self, x: Maps) -> Maps:
        """Every group times its map."""
        return times_group(x, self.places(x))

    def factor(self, x: Maps) -> Maps:
        """The groups' maps, one for every channel."""
        return times_group(torch.ones_like(x), self.places(x))

    def places(self, x: Maps) -> Float[Tensor, "b n h w"]:
        """A map per group."""
        return torch.sigmoid(self.weight * alike(x, self.groups) + self.bias)


@torch.fx.wrap
def alike(x: Maps, groups: int) -> Float[Tensor, "b n h w"]:
    """How much each place is like its group's mean, normalised over places."""
    parts = rearrange(x, "b (n m) h w -> b n m h w", n=groups)
    like = (parts * parts.mean((3, 4), keepdim=True)).sum(2)
    like = like - like.mean((2, 3), keepdim=True)
    one_place = like.shape[-2] * like.shape[-1] == 1
    out: Tensor = like if one_place else like / (like.std((2, 3), keepdim=True) + 1e-5)
    return out


@torch.fx.wrap
def times_group(x: Maps, places: Float[Tensor, "b n h w"]) -> Maps:
    """Every channel times the map of its group."""
    parts = rearrange(x, "b (n m) h w -> b n m h w", n=places.shape[1])
    out: Tensor = (parts * places[:, :, None]).flatten(1, 2)
    return out


def _groups(channels: int) -> int:
    """At most 64 groups, of four channels at least where there are four."""
    most = max(1, min(64, channels // 4))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)


class Eased(nn.Module):
    """A gate that opens from nothing, so that a trained net stays as it is.

    x (1 + a (factor - 1)), where a is 0 at its start. A gate without `factor` is eased as x + a (gate(x) - x).

    Args:
        gate: the gate; its state passes through where it has one.
    """

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.inner = gate
        self.opening = nn.Parameter(torch.zeros(()))
        self.recurrent = bool(getattr(gate, "recurrent", False))

    def forward(self, x: Maps, *state: object) -> object:
        """The gated maps, and the state of a gate that has one."""
        if not hasattr(self.inner, "factor"):
            out, *after = self.inner(x, *state) if self.recurrent else (self.inner(x),)
            eased: Tensor = x + self.opening * (out - x)
        else:
            factor, *after = self.inner.factor(x, *state) if self.recurrent else (self.inner.factor(x),)  # type: ignore[operator]
            eased = x * (1 + self.opening * (factor - 1))
        return (eased, *after) if self.recurrent else eased
