"""Faithfulness by random subsets: does what the map says of a subset equal what deleting the subset does?

Infidelity and sensitivity-n. They ask for numbers in the units of the score, not only for an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from sightline.common.statistics.correlation import pearson
from sightline.errors import InputError
from sightline.metrics.baselines import Baseline, filler
from sightline.metrics.elements import Elements, lay
from sightline.metrics.probe import Probe
from sightline.metrics.registry import FAITHFULNESS, metric
from sightline.metrics.scores import Scores, map_check, model_check, scored

Units = Literal["contribution", "gradient"]
SHARES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def subset_changes(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    subsets: Bool[Tensor, "d m"],
    baseline: Baseline = "mean",
    units: Units = "contribution",
) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"]]:
    r"""What the map promises for each subset, and what deleting it does.

    Promise: $\sum_{i \in S} \phi_i$ for contributions; $\sum_i \phi_i (x - x_{\setminus S})_i$, summed over channels,
    for gradients. Effect: $f(x) - f(x_{\setminus S})$.

    Args:
        probe: the decision.
        inputs: samples.
        maps: one per sample.
        subsets: sets of elements, the same for every sample.
        baseline: what takes the place of what is deleted.
        units: whether the map's values are contributions (units of the score) or gradients (score per input unit).

    Raises:
        InputError: shapes do not fit.
    """
    values, elements = lay(maps, inputs, domain=probe.domain, grid=probe.grid)
    fill = filler(baseline, inputs, elements)
    fixed, whole = probe.scores(inputs)
    subsets = subsets.to(inputs.device)
    samples = torch.arange(len(inputs), device=inputs.device).repeat_interleave(len(subsets))
    sets = torch.arange(len(subsets), device=inputs.device).repeat(len(inputs))
    shape = (len(inputs), len(subsets))
    after = fixed.rows(samples, lambda rows: fill(samples[rows], elements.spread(subsets[sets[rows]])))
    if units == "contribution":
        promise = values @ subsets.to(values.dtype).T
    else:
        spans = [
            _slope(values, inputs, elements, fill(samples[at], elements.spread(subsets[sets[at]])), samples[at])
            for at in torch.split(torch.arange(len(samples), device=inputs.device), probe.at_once(inputs))
        ]
        promise = torch.cat(spans).reshape(shape)
    return promise, whole[:, None] - after.reshape(shape)


def _slope(values: Tensor, inputs: Tensor, elements: Elements, left: Tensor, samples: Tensor) -> Float[Tensor, "r"]:
    slope = elements.spread(values[samples])
    return (slope * (inputs[samples] - left)).flatten(1).sum(1)


def random_subsets(count: int, size: int, *, draws: int, seed: int = 0) -> Bool[Tensor, "d m"]:
    """`draws` subsets of exactly `size` of `count` elements.

    Raises:
        InputError: the size is out of range.
    """
    if not 1 <= size <= count or draws < 1:
        raise InputError(f"a subset holds 1 to {count} elements and there is at least one; got {size} and {draws}")
    # in fp64 two of the numbers are never the same, so that the size is exact
    noise = torch.rand(draws, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise <= noise.kthvalue(size, dim=1, keepdim=True).values


@dataclass(frozen=True)
class RandomSubsets:
    """Subsets of one size, drawn at random.

    Args:
        draws: number of subsets.
        share: share of the elements that a subset holds.
        seed: random seed of the draws.
    """

    draws: int = 64
    share: float = 0.2
    seed: int = 0

    def of(self, count: int) -> Bool[Tensor, "d m"]:
        """The subsets of `count` elements.

        Raises:
            InputError: the share is out of range, or nothing is drawn.
        """
        return random_subsets(count, max(1, round(self.share * count)), draws=self.draws, seed=self.seed)


SUBSETS = RandomSubsets()


def _elements(probe: Probe, inputs: Tensor, maps: Tensor) -> int:
    return lay(maps, inputs, domain=probe.domain, grid=probe.grid)[1].count


@metric(
    "infidelity",
    title="Infidelity: squared error between what the map promises and what deletion does",
    higher_is_better=False,
    high=float("inf"),
    cost="d + 1",
    forwards=lambda *, subsets=SUBSETS, **_: subsets.draws + 1,
    signed="as they are",
    cannot="which map is better in absolute terms: it depends on the perturbation and, unscaled, on the map's units",
    cite=("yeh2019infidelity",),
    chance="none known: it depends on how much the score varies",
    **FAITHFULNESS,
)
def infidelity(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    subsets: RandomSubsets = SUBSETS,
    baseline: Baseline = "mean",
    scale: bool = True,
) -> Scores:
    r"""$E_S[(\beta \sum_{i \in S}\phi_i - (f(x) - f(x_{\setminus S})))^2]$ over random subsets [yeh2019infidelity].

    With `scale`, $\beta = E[pq]/E[p^2]$ of promise $p$ and effect $q$ is the best scale of the map, because most maps
    are not in the units of the score; otherwise $\beta = 1$.

    Args:
        probe: the decision.
        inputs: samples.
        maps: contributions, one per element (`infidelity_of` takes gradients and the caller's own numbers).
        subsets: what is deleted.
        baseline: what takes the place of what is deleted.
        scale: whether the map may be rescaled.

    Raises:
        InputError: shapes do not fit, or the share is out of range.
    """
    chosen = subsets.of(_elements(probe, inputs, maps))
    promise, effect = subset_changes(probe, inputs, maps, subsets=chosen, baseline=baseline)
    skips = map_check(maps) if scale else map_check(maps, skips=())
    return scored(infidelity_of(promise, effect, scale=scale), skips, model_check(effect))


def infidelity_of(
    promise: Float[Tensor, "b d"], effect: Float[Tensor, "b d"], *, scale: bool = True
) -> Float[Tensor, "b"]:
    """Infidelity from promises and effects, for any perturbation; see `infidelity`."""
    square = (promise * promise).mean(1, keepdim=True)
    beta = torch.where(square > 0, (promise * effect).mean(1, keepdim=True) / square, 0) if scale else 1.0
    return ((beta * promise - effect) ** 2).mean(1)


@metric(
    "sensitivity-n",
    title="Sensitivity-n: correlation between what the map promises and what deletion does",
    higher_is_better=True,
    low=-1.0,
    cost="n d + 1",
    forwards=lambda *, draws=32, shares=SHARES, **_: draws * len(shares) + 1,
    signed="as they are",
    cannot="whether the scale is right; and interactions: for a model with them no map reaches 1 at every n",
    cite=("ancona2018towards",),
    chance="0: exchangeable values are uncorrelated with every effect",
    expected=lambda probe, inputs, maps, **_: torch.zeros(len(inputs), device=inputs.device),
    **FAITHFULNESS,
)
def sensitivity_n(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    shares: Sequence[float] = SHARES,
    draws: int = 32,
    baseline: Baseline = "mean",
    seed: int = 0,
) -> Scores:
    r"""$\operatorname{corr}_{|S| = n}(\sum_{i \in S}\phi_i, f(x) - f(x_{\setminus S}))$, averaged over n.

    The subsets of each size n are drawn at random [ancona2018towards].

    Args:
        probe: the decision; the paper reads logits (`output="logit"`).
        inputs: samples.
        maps: contributions, one per element.
        shares: the sizes n, as shares of the elements.
        draws: subsets per size.
        baseline: what takes the place of what is deleted.
        seed: random seed of the subsets.

    Raises:
        InputError: shapes do not fit, or a share is out of range.
    """
    count = _elements(probe, inputs, maps)
    sizes = [max(1, round(share * count)) for share in shares]
    subsets = torch.cat([random_subsets(count, size, draws=draws, seed=seed + k) for k, size in enumerate(sizes)])
    promise, effect = subset_changes(probe, inputs, maps, subsets=subsets, baseline=baseline)
    pairs = zip(torch.split(promise, draws, dim=1), torch.split(effect, draws, dim=1), strict=True)
    correlation = torch.stack([pearson(promises, effects) for promises, effects in pairs], dim=1).mean(1)
    return scored(correlation, map_check(maps), model_check(effect))
