"""Robustness: how far the map moves when the input hardly does. The caller supplies what makes maps."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.registry import metric
from sightline.metrics.scores import Scores, map_check, scored

Explain = Callable[[Tensor], Tensor]
"""From inputs `[b, ...]` to maps `[b, ...]`, with the decision held fixed."""


@metric(
    "max-sensitivity",
    title="Max-sensitivity: largest relative change of the map in a small ball",
    family="robustness",
    higher_is_better=False,
    high=float("inf"),
    needs=("explain", "inputs", "maps"),
    cost="d explanations",
    signed="as they are",
    cannot="faithfulness: a map that ignores input and model never moves; and a model that does move there",
    cite=("yeh2019infidelity",),
    chance="about sqrt(1/2) for maps drawn anew each time, up to terms of order 1/sqrt(n)",
    expected=lambda explain, inputs, maps, **_: torch.full((len(inputs),), math.sqrt(0.5), device=inputs.device),
)
def max_sensitivity(
    explain: Explain,
    inputs: Float[Tensor, "b ..."],
    maps: Float[Tensor, "b ..."],
    *,
    draws: int = 10,
    radius: float = 0.02,
    seed: int = 0,
) -> Scores:
    r"""$\max_{\|\delta\|_\infty \le r} \|\Phi(x + \delta) - \Phi(x)\| / \|\Phi(x)\|$ [yeh2019infidelity].

    The ball is searched by random draws, so the value is a lower bound.

    Args:
        explain: makes the maps; hold the targets fixed in it.
        inputs: samples.
        maps: the maps of the samples as they are.
        draws: number of perturbed copies, all samples at once in each.
        radius: radius of the ball, in units of the input.
        seed: seed of the perturbations, which are one field for all samples, so that a batch gives what singles give.

    Raises:
        InputError: the new maps have another shape, or there is no draw.
    """
    if draws < 1:
        raise InputError(f"max-sensitivity needs at least one draw; got {draws}")
    generator = torch.Generator().manual_seed(seed)
    size = maps.flatten(1).norm(dim=1)
    worst = torch.zeros_like(size)
    for _ in range(draws):
        shift = (torch.rand(inputs.shape[1:], generator=generator) * 2 - 1).to(inputs) * radius
        moved = explain(inputs + shift)
        if moved.shape != maps.shape:
            raise InputError(f"the maps changed their shape from {tuple(maps.shape)} to {tuple(moved.shape)}")
        worst = torch.maximum(worst, (moved.detach() - maps).flatten(1).norm(dim=1) / size)
    return scored(worst, map_check(maps, skips=()))
