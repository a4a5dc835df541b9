"""Faithfulness by deletion: take elements away in the order of the map and watch the decision's score.

Deletion, insertion, AOPC and ROAD are summaries of such curves. Knows probes and baselines, no explainers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.baselines import Baseline, Filler, filler
from sightline.metrics.elements import Elements, lay, ranks
from sightline.metrics.probe import Probe
from sightline.metrics.registry import metric
from sightline.metrics.scores import Scores, map_check, model_check, scored

ROAD_FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)


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
        seed: of the order of ties, and of the noise of `"road"`.

    Raises:
        InputError: shapes do not fit, or the baseline is unknown.
    """
    return _curve(_Course.of(probe, inputs, maps, baseline=baseline, seed=seed, least_first=least_first), steps)


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
    course = _Course.of(probe, inputs, maps, baseline=baseline, seed=seed, least_first=False)
    return _curve(course, steps, keep=True)


@dataclass(frozen=True, eq=False)
class _Course:
    """A deletion that has been laid out: the order of the elements and what replaces them."""

    probe: Probe
    inputs: Tensor
    order: Int[Tensor, "b m"]
    fill: Filler
    elements: Elements

    @staticmethod
    def of(
        probe: Probe, inputs: Tensor, maps: Tensor, *, baseline: Baseline, seed: int, least_first: bool
    ) -> _Course:
        values, elements = lay(maps, inputs, domain=probe.domain, grid=probe.grid)
        order = ranks(-values if least_first else values, seed=seed)
        return _Course(probe, inputs, order, filler(baseline, inputs, elements, seed=seed), elements)

    def scores(self, probe: Probe, counts: Int[Tensor, "s"], *, keep: bool = False) -> Float[Tensor, "b s"]:
        """Scores with the first `counts` elements hidden - or, with `keep`, all others hidden."""
        samples = torch.arange(len(self.inputs), device=self.inputs.device).repeat_interleave(len(counts))
        limits = counts.to(self.inputs.device).repeat(len(self.inputs))[:, None]

        def build(rows: slice) -> Tensor:
            owner = samples[rows]
            chosen = self.order[owner] < limits[rows]
            return self.fill(owner, self.elements.spread(~chosen if keep else chosen))

        return probe.rows(samples, build).reshape(len(self.inputs), len(counts))


def _curve(course: _Course, steps: int, *, keep: bool = False) -> Curve:
    counts = steps_of(course.elements.count, steps)
    probe, whole = course.probe.scores(course.inputs)
    inner = course.scores(probe, counts[:-1] if keep else counts[1:], keep=keep)
    parts = [inner, whole[:, None]] if keep else [whole[:, None], inner]
    return Curve(counts.double() / course.elements.count, torch.cat(parts, dim=1))


def _judge(values: Tensor, maps: Tensor, curve: Tensor) -> Scores:
    return scored(values, map_check(maps), model_check(curve))


@metric(
    "deletion",
    title="Deletion: area under the score while the strongest elements go",
    family="faithfulness",
    higher_is_better=False,
    low=0.0,
    high=1.0,
    needs=("probe", "inputs", "maps"),
    cost="s + 1",
    forwards=lambda *, steps=20, **_: steps + 1,
    signed="ordered by signed value",
    cannot="whether the score fell because evidence went or because the picture became strange; compare baselines",
    cite=("petsiuk2018rise",),
    chance="none known from the map alone; the random control measures it",
)
def deletion(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    steps: int = 20,
    baseline: Baseline = "mean",
    seed: int = 0,
) -> Scores:
    r"""Area under the deletion curve, $\int_0^1 f(x_{\setminus S_t})\,dt$ [petsiuk2018rise].

    Arguments and errors as for `deletion_curve`. It is not divided by the original score: a sample of which
    the model is unsure scores low whatever the map says.
    """
    curve = deletion_curve(probe, inputs, maps, steps=steps, baseline=baseline, seed=seed)
    return _judge(curve.area(), maps, curve.scores)


@metric(
    "insertion",
    title="Insertion: area under the score while the strongest elements come back",
    family="faithfulness",
    higher_is_better=True,
    low=0.0,
    high=1.0,
    needs=("probe", "inputs", "maps"),
    cost="s + 1",
    forwards=lambda *, steps=20, **_: steps + 1,
    signed="ordered by signed value",
    cannot="whether what came back is all that the model needs; a blurred canvas already says much",
    cite=("petsiuk2018rise",),
    chance="none known from the map alone; the random control measures it",
)
def insertion(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    steps: int = 20,
    baseline: Baseline = "blur",
    seed: int = 0,
) -> Scores:
    r"""Area under the insertion curve, $\int_0^1 f(b_{S_t \leftarrow x})\,dt$ [petsiuk2018rise].

    Arguments and errors as for `insertion_curve`.
    """
    curve = insertion_curve(probe, inputs, maps, steps=steps, baseline=baseline, seed=seed)
    return _judge(curve.area(), maps, curve.scores)


@metric(
    "aopc",
    title="AOPC: mean drop of the score over the deletion steps",
    family="faithfulness",
    higher_is_better=True,
    low=-1.0,
    high=1.0,
    needs=("probe", "inputs", "maps"),
    cost="s + 1",
    forwards=lambda *, steps=20, **_: steps + 1,
    signed="ordered by signed value",
    cannot="the same as deletion; a drop on a strange picture need not be evidence lost",
    cite=("samek2017evaluating",),
    chance="none known from the map alone; the random control measures it",
)
def aopc(
    probe: Probe,
    inputs: Num[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    steps: int = 20,
    until: float = 1.0,
    baseline: Baseline = "mean",
    seed: int = 0,
) -> Scores:
    r"""Area over the perturbation curve, $\frac{1}{s+1} \sum_{k=0}^{s} f(x) - f(x_{\setminus S_k})$.

    [samek2017evaluating], the most relevant elements first.

    Args:
        probe: the decision.
        inputs: samples.
        maps: one per sample.
        steps: number of deletions.
        until: share of the elements that the last step has deleted.
        baseline: what takes the place of what is deleted.
        seed: of the order of ties.

    Raises:
        InputError: shapes do not fit, or `until` is no share.
    """
    if not 0 < until <= 1:
        raise InputError(f"until is the share that the last step has deleted, in (0, 1]; got {until}")
    course = _Course.of(probe, inputs, maps, baseline=baseline, seed=seed, least_first=False)
    counts = steps_of(max(1, round(until * course.elements.count)), steps)
    fixed, whole = probe.scores(inputs)
    drops = whole[:, None] - course.scores(fixed, counts[1:])
    return _judge(drops.sum(1) / len(counts), maps, drops)


@metric(
    "road",
    title="ROAD: least relevant first against most relevant first, in-painted",
    family="faithfulness",
    higher_is_better=True,
    low=-0.5,
    high=0.5,
    needs=("probe", "inputs", "maps"),
    cost="2s",
    forwards=lambda *, fractions=ROAD_FRACTIONS, **_: 2 * len(fractions),
    signed="ordered by signed value",
    cannot="evidence that the in-painting restores from the surroundings: it counts as not deleted",
    cite=("rong2022road",),
    chance="0: both orders are equally random",
    expected=lambda probe, inputs, maps, **_: torch.zeros(len(inputs), device=inputs.device),
)
def road(
    probe: Probe,
    inputs: Float[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    fractions: Sequence[float] = ROAD_FRACTIONS,
    baseline: Baseline = "road",
    seed: int = 0,
) -> Scores:
    r"""Half the mean gap between deleting the least and the most relevant elements first, in-painting the holes.

    $\frac{1}{2s}\sum_k f(x_{\setminus L_k}) - f(x_{\setminus S_k})$ with noisy linear imputation [rong2022road]. The
    paper reports accuracies; scores of the decision need fewer samples to tell two maps apart (see `road_accuracy`).

    Args:
        probe: the decision; with `targets=None` one forward more, to see what the model prefers.
        inputs: pictures.
        maps: one per sample.
        fractions: shares of the elements that are removed.
        baseline: replaces the in-painting.
        seed: of the order of ties and of the noise.

    Raises:
        InputError: shapes do not fit, or a fraction is out of (0, 1).
    """
    fixed = probe if probe.targets is not None else probe.scores(inputs)[0]
    sides = []
    for least in (True, False):
        course = _Course.of(fixed, inputs, maps, baseline=baseline, seed=seed, least_first=least)
        sides.append(course.scores(fixed, removals(fractions, course.elements.count)))
    gaps = sides[0] - sides[1]
    return _judge(gaps.mean(1) / 2, maps, gaps)


def road_accuracy(
    probe: Probe,
    inputs: Float[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    fractions: Sequence[float] = ROAD_FRACTIONS,
    least_first: bool = False,
    seed: int = 0,
) -> Bool[Tensor, "b s"]:
    """Whether the model still prefers its target after each removal, as the paper counts it [rong2022road].

    Raises:
        InputError: shapes do not fit, a fraction is out of (0, 1), or the targets are a reader.
    """
    fixed = probe if probe.targets is not None else probe.scores(inputs)[0]
    targets = fixed.targets
    if not isinstance(targets, Tensor):
        raise InputError("an accuracy needs class targets, but this probe's targets are a reader; use road() instead")
    course = _Course.of(fixed, inputs, maps, baseline="road", seed=seed, least_first=least_first)
    counts = removals(fractions, course.elements.count)
    samples = torch.arange(len(inputs), device=inputs.device).repeat_interleave(len(counts))
    limits = counts.to(inputs.device).repeat(len(inputs))[:, None]
    chosen = fixed.choices(
        samples,
        lambda rows: course.fill(samples[rows], course.elements.spread(course.order[samples[rows]] < limits[rows])),
    )
    return (chosen == targets.to(inputs.device)[samples]).reshape(len(inputs), len(counts))


def removals(fractions: Sequence[float], count: int) -> Int[Tensor, "s"]:
    """Shares as numbers of elements, at least one each.

    Raises:
        InputError: a fraction is out of (0, 1), or there is none.
    """
    if not fractions or not all(0 < fraction < 1 for fraction in fractions):
        raise InputError(f"fractions are shares between 0 and 1, ends excluded; got {tuple(fractions)}")
    return (torch.tensor(fractions, dtype=torch.float64) * count).long().clamp(min=1)
