"""Faithfulness by deletion: take elements away in the order of the map and watch the decision's score.

Deletion, insertion, AOPC and ROAD are summaries of such curves. Knows probes and baselines, no explainers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.baselines import Baseline
from sightline.metrics.curves import Deletion, deletion_curve, insertion_curve, steps_of
from sightline.metrics.probe import Probe
from sightline.metrics.registry import FAITHFULNESS, metric
from sightline.metrics.scores import Scores, map_check, model_check, scored

ROAD_FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
_ORDERED = {**FAITHFULNESS, "signed": "ordered by signed value"}
_CURVE = {
    **_ORDERED,
    "cost": "s + 1",
    "forwards": lambda *, steps=20, **_: steps + 1,
    "chance": "none known from the map alone; the random control measures it",
}


def _judge(values: Tensor, maps: Tensor, curve: Tensor) -> Scores:
    return scored(values, map_check(maps), model_check(curve))


@metric(
    "deletion",
    title="Deletion: area under the score while the strongest elements go",
    higher_is_better=False,
    cannot="whether the score fell because evidence went or because the picture became strange; compare baselines",
    cite=("petsiuk2018rise",),
    **_CURVE,
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
    the model is unsure scores low for any map.
    """
    curve = deletion_curve(probe, inputs, maps, steps=steps, baseline=baseline, seed=seed)
    return _judge(curve.area(), maps, curve.scores)


@metric(
    "insertion",
    title="Insertion: area under the score while the strongest elements come back",
    higher_is_better=True,
    cannot="whether the model needs more than what came back; a blurred canvas already says much",
    cite=("petsiuk2018rise",),
    **_CURVE,
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
    higher_is_better=True,
    low=-1.0,
    cannot="the same as deletion; a drop on a strange picture need not be evidence lost",
    cite=("samek2017evaluating",),
    **_CURVE,
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
        seed: random seed of the order in which tied values are deleted.

    Raises:
        InputError: shapes do not fit, or `until` is not a share.
    """
    if not 0 < until <= 1:
        raise InputError(f"until is the share that the last step has deleted, in (0, 1]; got {until}")
    plan = Deletion.of(probe, inputs, maps, baseline=baseline, seed=seed, least_first=False)
    counts = steps_of(max(1, round(until * plan.elements.count)), steps)
    fixed, whole = probe.scores(inputs)
    drops = whole[:, None] - plan.scores(fixed, counts[1:])
    return _judge(drops.sum(1) / len(counts), maps, drops)


@metric(
    "road",
    title="ROAD: least relevant first against most relevant first, in-painted",
    higher_is_better=True,
    low=-0.5,
    high=0.5,
    cost="2s",
    forwards=lambda *, fractions=ROAD_FRACTIONS, **_: 2 * len(fractions),
    cannot="evidence that the in-painting restores from the surroundings: it counts as not deleted",
    cite=("rong2022road",),
    chance="0: both orders are equally random",
    expected=lambda probe, inputs, maps, **_: torch.zeros(len(inputs), device=inputs.device),
    **_ORDERED,
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
        seed: random seed of the order of tied values and of the noise.

    Raises:
        InputError: shapes do not fit, or a fraction is out of (0, 1).
    """
    fixed = probe if probe.targets is not None else probe.scores(inputs)[0]
    sides = []
    for least in (True, False):
        plan = Deletion.of(fixed, inputs, maps, baseline=baseline, seed=seed, least_first=least)
        sides.append(plan.scores(fixed, removals(fractions, plan.elements.count)))
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
    plan = Deletion.of(fixed, inputs, maps, baseline="road", seed=seed, least_first=least_first)
    counts = removals(fractions, plan.elements.count)
    samples, build = plan.rows(counts)
    return (fixed.choices(samples, build) == targets.to(inputs.device)[samples]).reshape(len(inputs), len(counts))


def removals(fractions: Sequence[float], count: int) -> Int[Tensor, "s"]:
    """Shares as numbers of elements, at least one each.

    Raises:
        InputError: a fraction is out of (0, 1), or there is none.
    """
    if not fractions or not all(0 < fraction < 1 for fraction in fractions):
        raise InputError(f"fractions are shares between 0 and 1, ends excluded; got {tuple(fractions)}")
    return (torch.tensor(fractions, dtype=torch.float64) * count).long().clamp(min=1)
