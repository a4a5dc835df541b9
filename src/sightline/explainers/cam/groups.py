"""Groups of similar channels, so that a method that masks channels one by one needs few forwards."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

STEPS = 20


@dataclass(frozen=True, eq=False)
class Groups:
    """A partition of one sample's channels.

    Args:
        of: `[c]` group of each channel.
        centres: `[g, n]` mean of each group's profiles.
        sizes: `[g]` channels per group.
        error: share of the profiles' energy that the centres do not keep, 0 (nothing lost) to 1.
    """

    of: Int[Tensor, " c"]
    centres: Float[Tensor, "g n"]
    sizes: Float[Tensor, " g"]
    error: float


def group_channels(profiles: Float[Tensor, "c n"], count: int, *, seed: int = 0) -> Groups:
    """Group channels whose maps look alike, by k-means on their profiles.

    Args:
        profiles: one row per channel.
        count: number of groups; with as many as there are channels, every channel is its own.
        seed: seed of the first centres (k-means++).
    """
    channels = len(profiles)
    if count >= channels:
        index = torch.arange(channels, device=profiles.device)
        return Groups(index, profiles, torch.ones_like(profiles[:, 0]), 0.0)
    centres = _spread(profiles, count, torch.Generator().manual_seed(seed))
    for _ in range(STEPS):
        of = torch.cdist(profiles, centres).argmin(1)
        means = _means(profiles, of, centres)
        if torch.equal(means, centres):
            break
        centres = means
    of = torch.cdist(profiles, centres).argmin(1)
    sizes = torch.bincount(of, minlength=count).to(profiles)
    lost = (profiles - centres[of]).square().sum() / profiles.square().sum().clamp_min(1e-30)
    return Groups(of, centres, sizes, float(lost))


def _means(profiles: Tensor, of: Tensor, centres: Tensor) -> Tensor:
    """Mean profile of each group; an empty group keeps its centre."""
    sums = torch.zeros_like(centres).index_add_(0, of, profiles)
    sizes = torch.bincount(of, minlength=len(centres))[:, None]
    return torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)


def _spread(profiles: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """First centres that lie far apart (k-means++), drawn on the CPU so that they do not depend on the device."""
    chosen = [int(torch.randint(len(profiles), (1,), generator=generator))]
    distance = (profiles - profiles[chosen[0]]).square().sum(1)
    for _ in range(count - 1):
        weights = distance.cpu().double()
        total = float(weights.sum())
        draw = (
            torch.multinomial(weights / total, 1, generator=generator) if total > 0 else torch.tensor([len(chosen)])
        )
        chosen.append(int(draw))
        distance = torch.minimum(distance, (profiles - profiles[chosen[-1]]).square().sum(1))
    return profiles[chosen].clone()
