"""Faithfulness by masking: multiply the input with the map and see what is left of the decision's score."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.metrics.baselines import Baseline, filler
from sightline.metrics.elements import lay
from sightline.metrics.probe import Probe
from sightline.metrics.registry import FAITHFULNESS, metric
from sightline.metrics.scores import Scores, map_check, model_check, scored

_MASKING = {
    **FAITHFULNESS,
    "cost": "2",
    "forwards": lambda **_: 2,
    "signed": "positive part",
    "chance": "none known from the map alone; the random control measures it",
}


def shown(values: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    r"""How much of each element is let through: $M^+ / \max M^+$, between 0 and 1."""
    positive = values.clamp(min=0)
    peak = positive.amax(1, keepdim=True)
    return torch.where(peak > 0, positive / peak, 0)


def masked_scores(
    probe: Probe, inputs: Float[Tensor, "b ..."], maps: Float[Tensor, "b ..."], *, baseline: Baseline = "zero"
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    r"""The score $y$ of the whole input and the score $o$ of $e \cdot x + (1 - e) \cdot b$, $e = M^+/\max M^+$.

    Args:
        probe: the decision.
        inputs: samples, of floating point.
        maps: one per sample.
        baseline: what shows through where the map is low; `"zero"` is what the papers use.

    Raises:
        InputError: shapes do not fit, or the baseline is unknown.
    """
    values, elements = lay(maps, inputs, domain=probe.domain, grid=probe.grid)
    weights = shown(values)
    fill = filler(baseline, inputs, elements)
    count, samples = len(inputs), torch.arange(len(inputs), device=inputs.device)

    def masked(part: Tensor) -> Tensor:
        weight = elements.spread(weights[part]).to(inputs.dtype)
        hidden = fill(part, torch.ones_like(weight, dtype=torch.bool))
        return hidden + weight * (inputs[part] - hidden)

    if probe.targets is None or probe.memory is not None:
        fixed, whole = probe.scores(inputs)
        return whole, fixed.rows(samples, lambda rows: masked(samples[rows]))
    owners = samples.repeat(2)

    def build(rows: slice) -> Tensor:
        plain, part = owners[rows][: max(0, count - rows.start)], owners[rows][max(0, count - rows.start) :]
        return torch.cat([inputs[plain], masked(part)]) if len(part) else inputs[plain]

    both = probe.fixed(inputs).rows(owners, build)
    return both[:count], both[count:]


def _judge(values: Tensor, maps: Tensor, *scores: Tensor) -> Scores:
    positive = map_check(maps.clamp(min=0))
    return scored(values, map_check(maps), positive, *(model_check(score) for score in scores))


@metric(
    "average-drop",
    title="Average drop: share of the score lost when only what the map shows is kept",
    higher_is_better=False,
    cannot="anything about a map that shows everything: it drops nothing. Read it beside average gain and complexity",
    cite=("chattopadhay2018gradcampp",),
    **_MASKING,
)
def average_drop(
    probe: Probe, inputs: Float[Tensor, "b ..."], maps: Float[Tensor, "b ..."], *, baseline: Baseline = "zero"
) -> Scores:
    r"""$\max(0, y - o) / y$ [chattopadhay2018gradcampp]; for probabilities. See `masked_scores`."""
    whole, masked = masked_scores(probe, inputs, maps, baseline=baseline)
    return _judge((whole - masked).clamp(min=0) / whole, maps, whole, masked)


@metric(
    "average-increase",
    title="Average increase: how often the score rises when only what the map shows is kept",
    higher_is_better=True,
    cannot="how much it rises; a map that shows nearly everything wins by the width of a hair",
    cite=("chattopadhay2018gradcampp",),
    **_MASKING,
)
def average_increase(
    probe: Probe, inputs: Float[Tensor, "b ..."], maps: Float[Tensor, "b ..."], *, baseline: Baseline = "zero"
) -> Scores:
    r"""$1[o > y]$ [chattopadhay2018gradcampp]. See `masked_scores`."""
    whole, masked = masked_scores(probe, inputs, maps, baseline=baseline)
    return _judge((masked > whole).to(whole.dtype), maps, whole, masked)


@metric(
    "average-gain",
    title="Average gain: share of the missing confidence that is won",
    higher_is_better=True,
    cannot="much about samples of which the model is sure already: there is nothing to gain",
    cite=("zhang2024opticam",),
    **_MASKING,
)
def average_gain(
    probe: Probe, inputs: Float[Tensor, "b ..."], maps: Float[Tensor, "b ..."], *, baseline: Baseline = "zero"
) -> Scores:
    r"""$\max(0, o - y) / (1 - y)$ [zhang2024opticam]; for probabilities. See `masked_scores`."""
    whole, masked = masked_scores(probe, inputs, maps, baseline=baseline)
    return _judge((masked - whole).clamp(min=0) / (1 - whole), maps, whole, masked)
