"""Counterfactual agreement: where the scene was rendered anew with one change, does the map change there too?

Two maps of one decision, before and after, and the mask of what was changed. Needs no model.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.elements import on_grid
from sightline.metrics.masks import area, mask_check
from sightline.metrics.registry import metric
from sightline.metrics.scores import Scores, map_check, same_length, scored

ROUNDING = 1e-5
"""A movement below this share of the mean value of a map is fp32 rounding, and counts as none."""


def movement(before: Float[Tensor, "b ..."], after: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
    r"""$|M/\sum|M| - M'/\sum|M'||$: what moved, once both maps have the same mass.

    Raises:
        InputError: shapes differ.
    """
    same_length(before=before, after=after)
    if before.shape != after.shape:
        raise InputError(f"two maps of one scene have one shape; got {tuple(before.shape)} and {tuple(after.shape)}")
    ours, theirs = (
        maps.double() / maps.double().flatten(1).abs().sum(1).reshape(-1, *[1] * (maps.ndim - 1))
        for maps in (before, after)
    )
    return (ours - theirs).abs()


@metric(
    "counterfactual-agreement",
    title="Counterfactual agreement: does the map move where the change was",
    family="counterfactual",
    higher_is_better=True,
    low=-float("inf"),
    needs=("maps", "after", "masks"),
    signed="as they are",
    cannot="whether the map should have moved: ask first whether the decision did. A map that never moves is skipped",
    cite=("hesse2023funnybirds", "adebayo2018sanity"),
    chance="0, exactly",
    expected=lambda maps, after, masks, **_: torch.zeros(len(maps), device=maps.device),
)
def counterfactual_agreement(
    maps: Float[Tensor, "b ..."], after: Float[Tensor, "b ..."], masks: Bool[Tensor, "b ..."]
) -> Scores:
    r"""$(e - q)/(1 - q)$, $e$ the share of the movement inside the change, $q$ the change's share of the elements.

    0 is a map that moves anywhere, 1 one that moves only where the scene did. Two maps that are the same up to scale
    move nowhere: `undefined`; how many those are is part of the answer (see `counterfactual_shift`).

    Args:
        maps: maps of the scene as it was.
        after: maps of the scene with the change, for the same decision.
        masks: what was changed, on the grid of the picture or of the maps.

    Raises:
        InputError: shapes do not fit.
    """
    size, inside = tuple(masks.shape[1:]), masks.to(maps.device).bool()
    same_length(maps=maps, masks=masks)
    moved = movement(on_grid(maps, size), on_grid(after, size)).flatten(1)
    moved = torch.where(moved > ROUNDING / moved.shape[1], moved, 0)
    share = (moved * inside.flatten(1)).sum(1) / moved.sum(1)
    control = area(inside)
    value = ((share - control) / (1 - control)).float()
    return scored(value, map_check(maps, skips=()), map_check(after, skips=()), mask_check(inside, full=True))


@metric(
    "counterfactual-shift",
    title="Counterfactual shift: how much of the map moves at all",
    family="counterfactual",
    higher_is_better=True,
    needs=("maps", "after"),
    signed="as they are",
    cannot="where it moves, and whether it should: noise moves most",
    cite=("adebayo2018sanity",),
    chance="1/3, up to terms of order 1/n",
    expected=lambda maps, after, **_: torch.full((len(maps),), 1 / 3, device=maps.device),
)
def counterfactual_shift(maps: Float[Tensor, "b ..."], after: Float[Tensor, "b ..."]) -> Scores:
    r"""$\frac12 \sum |M/\sum|M| - M'/\sum|M'||$: 0 for maps alike up to scale, 1 for maps with nothing in common.

    Args:
        maps: maps of the scene as it was.
        after: maps of the scene with the change, for the same decision.

    Raises:
        InputError: shapes differ.
    """
    shift = movement(maps, after).flatten(1).sum(1).float() / 2
    return scored(shift, map_check(maps, skips=()), map_check(after, skips=()))
