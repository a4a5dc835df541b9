"""Curves of deletion and insertion: the decision's score while a map's elements go away, or come back, in its order.

Knows probes and baselines, no explainers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.baselines import Baseline, Filler, filler
from sightline.metrics.elements import Elements, lay, ranks
from sightline.metrics.probe import Probe

Build = Callable[[slice], Tensor]
"""From rows to the inputs that a model sees there."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores of the decision while elements go away or come back.

    Args:
        fractions: share of the elements that is deleted (or inserted) at each point.
        scores: the decision's score there.
    """

    fractions: Float[Tensor, "s"]
    scores: Float[Tensor, "b s"]

    def area(self) -> Float[Tensor, "b"]:
        """Area under the curve by the trapezoidal rule over the true fractions."""
        return torch.trapezoid(self.scores, self.fractions.to(self.scores), dim=1)


def steps_of(count: int, steps: int) -> Int[Tensor, "s"]:
    """Numbers of elements deleted at `steps + 1` equidistant points from none to all; never twice the same.

    Example:
        >>> steps_of(10, 4).tolist()
        [0, 2, 5, 8, 10]
    """
    if steps < 1:
        raise InputError(f"a curve needs at least one step; got {steps}")
    counts = (torch.arange(steps + 1, dtype=torch.float64) * count / steps).round().long()
    fresh = torch.ones_like(counts, dtype=torch.bool)
    fresh[1:] = counts[1:] != counts[:-1]
    return counts[fresh]


def deletion_curve(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    steps: int = 20,
    baseline: Baseline = "mean",
    least_first: bool = False,
    seed: int = 0,
) -> Curve:
    r"""Scores while elements are deleted, the largest values of the map first.

    $c_k = f(x_{\setminus S_k})$, $S_k$ the share $k/s$ of largest elements [bach2015pixel; petsiuk2018rise]. All
    steps of all samples share one batch axis, in chunks of `probe.batch_size`; it costs steps + 1 forwards.

    Args:
        probe: the decision.
        inputs: samples.
        maps: one per sample, over `probe.domain`; signed maps are ordered by their signed values.
        steps: number of deletions; fewer where the domain has fewer elements.
        baseline: what takes the place of what is deleted; see `sightline.metrics.baselines.filler`.
        least_first: delete the smallest values first.
        seed: random seed of the order of tied values, and of the noise of `"road"`.

    Raises:
        InputError: shapes do not fit, or the baseline is unknown.
    """
    return _curve(Deletion.of(probe, inputs, maps, baseline=baseline, seed=seed, least_first=least_first), steps)


def insertion_curve(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    steps: int = 20,
    baseline: Baseline = "blur",
    seed: int = 0,
) -> Curve:
    r"""Scores while elements come back onto the baseline, the largest values of the map first.

    $c_k = f(b_{S_k \leftarrow x})$ [petsiuk2018rise]. Arguments and errors as for `deletion_curve`.
    """
    plan = Deletion.of(probe, inputs, maps, baseline=baseline, seed=seed, least_first=False)
    return _curve(plan, steps, keep=True)


@dataclass(frozen=True, eq=False)
class Deletion:
    """A deletion laid out: the order of the elements, and what takes their place.

    Args:
        probe: the decision.
        inputs: samples.
        order: place of every element; the first goes first.
        fill: makes the inputs without some of their elements.
        elements: how they lie over the inputs.
    """

    probe: Probe
    inputs: Tensor
    order: Int[Tensor, "b m"]
    fill: Filler
    elements: Elements

    @staticmethod
    def of(
        probe: Probe, inputs: Tensor, maps: Tensor, *, baseline: Baseline, seed: int, least_first: bool
    ) -> Deletion:
        """Order the elements of maps; arguments and errors as for `deletion_curve`."""
        values, elements = lay(maps, inputs, domain=probe.domain, grid=probe.grid)
        order = ranks(-values if least_first else values, seed=seed)
        return Deletion(probe, inputs, order, filler(baseline, inputs, elements, seed=seed), elements)

    def rows(self, counts: Int[Tensor, "s"], *, keep: bool = False) -> tuple[Int[Tensor, "r"], Build]:
        """Which sample each row is of, and what builds rows: the first `counts` elements hidden - or all others."""
        samples = torch.arange(len(self.inputs), device=self.inputs.device).repeat_interleave(len(counts))
        limits = counts.to(self.inputs.device).repeat(len(self.inputs))[:, None]

        def build(rows: slice) -> Tensor:
            owner = samples[rows]
            chosen = self.order[owner] < limits[rows]
            return self.fill(owner, self.elements.spread(~chosen if keep else chosen))

        return samples, build

    def scores(self, probe: Probe, counts: Int[Tensor, "s"], *, keep: bool = False) -> Float[Tensor, "b s"]:
        """The decision's scores with the first `counts` elements hidden - or, with `keep`, all others hidden."""
        return probe.rows(*self.rows(counts, keep=keep)).reshape(len(self.inputs), len(counts))


def _curve(plan: Deletion, steps: int, *, keep: bool = False) -> Curve:
    counts = steps_of(plan.elements.count, steps)
    probe, whole = plan.probe.scores(plan.inputs)
    inner = plan.scores(probe, counts[:-1] if keep else counts[1:], keep=keep)
    parts = [inner, whole[:, None]] if keep else [whole[:, None], inner]
    return Curve(counts.double() / plan.elements.count, torch.cat(parts, dim=1))
