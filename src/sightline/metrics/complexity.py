"""Complexity: how few elements the map speaks of. Needs the map alone, so it says nothing about being right."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.metrics.registry import metric
from sightline.metrics.scores import SampleStatus, Scores, map_check, scored

SKIPS = (SampleStatus.NAN, SampleStatus.ZERO)
CANNOT = "whether the map is right: a single arbitrary pixel is the simplest map of all"
_COMPLEXITY = {"family": "complexity", "needs": ("maps",), "signed": "magnitude", "skips": SKIPS}


def _magnitude(maps: Tensor) -> Float[Tensor, "b m"]:
    return maps.flatten(1).abs().double()


def _constant(maps: Tensor, value: float) -> Float[Tensor, "b"]:
    return torch.full((len(maps),), value, device=maps.device)


@metric(
    "sparseness",
    title="Sparseness: Gini index of the magnitudes",
    higher_is_better=True,
    cannot=CANNOT,
    cite=("chalasani2020concise",),
    chance="(n - 1)/(3n), up to terms of order 1/n",
    expected=lambda maps: _constant(maps, (maps[0].numel() - 1) / (3 * maps[0].numel())),
    **_COMPLEXITY,
)
def sparseness(maps: Float[Tensor, "b ..."]) -> Scores:
    r"""$\sum_i (2i - n - 1)|M|_{(i)} / (n \sum |M|)$, sorted upwards [chalasani2020concise].

    0 for a flat map, $1 - 1/n$ for a single element.

    Args:
        maps: one per sample, any domain.
    """
    values = _magnitude(maps).sort(1).values
    count = values.shape[1]
    weight = 2 * torch.arange(1, count + 1, device=maps.device, dtype=torch.float64) - count - 1
    return scored((values @ weight / (count * values.sum(1))).float(), map_check(maps, skips=SKIPS))


@metric(
    "entropy",
    title="Complexity: entropy of the magnitudes",
    higher_is_better=False,
    high=float("inf"),
    cannot=CANNOT + "; values on grids of different sizes do not compare",
    cite=("bhatt2020evaluating",),
    chance="ln n - ln 2 + 1/2, up to terms of order 1/n",
    expected=lambda maps: _constant(maps, math.log(maps[0].numel()) - math.log(2) + 0.5),
    **_COMPLEXITY,
)
def entropy(maps: Float[Tensor, "b ..."]) -> Scores:
    r"""$-\sum_i p_i \ln p_i$, $p = |M|/\sum|M|$, in nats [bhatt2020evaluating]: 0 for one element, $\ln n$ flat.

    Args:
        maps: one per sample, any domain.
    """
    values = _magnitude(maps)
    share = values / values.sum(1, keepdim=True)
    return scored(-torch.xlogy(share, share).sum(1).float(), map_check(maps, skips=SKIPS))


@metric(
    "effective-complexity",
    title="Effective complexity: share of the elements that matter",
    higher_is_better=False,
    cannot=CANNOT,
    cite=("nguyen2020quantitative",),
    chance="(1 + (n - 1)(1 - epsilon))/n, exactly",
    expected=lambda maps, *, epsilon=0.1: _constant(
        maps, (1 + (maps[0].numel() - 1) * (1 - epsilon)) / maps[0].numel()
    ),
    **_COMPLEXITY,
)
def effective_complexity(maps: Float[Tensor, "b ..."], *, epsilon: float = 0.1) -> Scores:
    r"""$|\{i: |M_i| > \epsilon \max|M|\}| / n$ [nguyen2020quantitative].

    Args:
        maps: one per sample, any domain.
        epsilon: what counts as nothing, as a share of the largest magnitude.
    """
    values = _magnitude(maps)
    share = (values > epsilon * values.amax(1, keepdim=True)).double().mean(1)
    return scored(share.float(), map_check(maps, skips=SKIPS))
