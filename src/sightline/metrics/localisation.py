"""Localisation: does the map lie where the object is known to be? Needs a mask (or a box) per sample, no model.

For any domain: a mask has the axes of the map. Every value is meant to be read beside its control.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.elements import on_grid
from sightline.metrics.masks import area, box_check, box_masks, centred_gaussian, dilate, mask_check, peaks
from sightline.metrics.registry import LOCALISATION, metric
from sightline.metrics.scores import SampleStatus, Scores, map_check, same_length, scored

FULL_CANNOT = "whether the model used the object: a map can be right about a model that looks at the background"
_ENERGY = {**LOCALISATION, "signed": "positive part", "skips": (SampleStatus.NAN, SampleStatus.ZERO)}


def on_masks(maps: Tensor, masks: Tensor) -> tuple[Float[Tensor, "b ..."], Bool[Tensor, "b ..."]]:
    """Maps on the grid of the masks.

    Raises:
        InputError: batches or axes differ.
    """
    same_length(maps=maps, masks=masks)
    if maps.ndim != masks.ndim:
        raise InputError(
            f"a mask has the axes of its map; got maps {tuple(maps.shape)} and masks {tuple(masks.shape)}. "
            "Try: box_masks(boxes, size) for boxes"
        )
    return on_grid(maps, tuple(masks.shape[1:])), masks.to(maps.device).bool()


def _share(maps: Tensor, masks: Tensor, **_: object) -> Float[Tensor, "b"]:
    return area(masks)


@metric(
    "pointing-game",
    title="Pointing game: is the peak on the object",
    signed="largest signed value",
    cannot="anything about the rest of the map; on centred objects the picture's middle is nearly always a hit",
    cite=("zhang2018excitation",),
    chance="share of the (widened) mask",
    expected=lambda maps, masks, *, tolerance=0.0, **_: area(_wide(masks, tolerance)),
    **LOCALISATION,
)
def pointing_game(maps: Float[Tensor, "b ..."], masks: Bool[Tensor, "b ..."], *, tolerance: float = 0.0) -> Scores:
    r"""$1[\arg\max M \in \Omega]$, $\Omega$ widened by `tolerance` pixels [zhang2018excitation].

    Where several places share the largest value, the value is the share of them that hits: a plateau gets what a
    random choice among its places would.

    Args:
        maps: one per sample; enlarged to the masks' grid.
        masks: where the object is.
        tolerance: pixels (samples of a signal, voxels); the common protocol on photos takes 15.

    Raises:
        InputError: shapes do not fit.
    """
    values, inside = on_masks(maps, masks)
    hit = (peaks(values) * _wide(inside, tolerance).flatten(1)).sum(1)
    return scored(hit.clamp(max=1).float(), map_check(maps), mask_check(inside))


def _wide(masks: Tensor, tolerance: float) -> Tensor:
    return dilate(masks.bool(), tolerance) if tolerance else masks.bool()


def energy_share(maps: Float[Tensor, "b ..."], masks: Bool[Tensor, "b ..."]) -> Float[Tensor, "b"]:
    r"""$\sum_\Omega M^+ / \sum M^+$; NaN where no value is positive."""
    values, inside = on_masks(maps, masks)
    positive = values.clamp(min=0).double().flatten(1)
    return ((positive * inside.flatten(1)).sum(1) / positive.sum(1)).to(values.dtype)


def energy_inside(map_: Float[Tensor, "..."], mask: Bool[Tensor, "..."]) -> float | None:
    """Share of a map's positive part that lies inside a mask; None where nothing is positive.

    Args:
        map_: raw.
        mask: mask of the object, on the grid of the input; the map is enlarged to it.
    """
    share = float(energy_share(map_[None], mask[None].bool())[0])
    return share if share == share else None


@metric(
    "energy-in-mask",
    title="Energy in the mask",
    cannot=FULL_CANNOT + "; and, alone, whether it beats the mask's share (see concentration)",
    cite=("wang2020scorecam", "arras2022clevrxai"),
    chance="share of the mask, exactly",
    expected=_share,
    **_ENERGY,
)
def energy_in_mask(maps: Float[Tensor, "b ..."], masks: Bool[Tensor, "b ..."]) -> Scores:
    r"""$\sum_\Omega M^+ / \sum M^+$ [wang2020scorecam; arras2022clevrxai]. A flat map has the mask's share.

    Args:
        maps: one per sample; enlarged to the masks' grid.
        masks: where the object is.

    Raises:
        InputError: shapes do not fit.
    """
    return scored(energy_share(maps, masks), positive_check(maps), mask_check(masks.bool()).to(maps.device))


def positive_check(maps: Tensor) -> Int[Tensor, "b"]:
    """Complains of maps with NaN and of maps without a positive value."""
    broken = map_check(maps, skips=())
    return torch.where(broken != 0, broken, map_check(maps.clamp(min=0), skips=(SampleStatus.ZERO,)))


@metric(
    "energy-in-box",
    title="Energy in the box",
    cannot=FULL_CANNOT + "; a box holds background too",
    cite=("wang2020scorecam",),
    chance="share of the box, exactly",
    expected=lambda maps, boxes, *, size, **_: area(box_masks(boxes, size)),
    **{**_ENERGY, "needs": ("maps", "boxes")},
)
def energy_in_box(maps: Float[Tensor, "b ..."], boxes: Float[Tensor, "b n"], *, size: tuple[int, ...]) -> Scores:
    r"""$\sum_{box} M^+ / \sum M^+$ [wang2020scorecam].

    Args:
        maps: one per sample.
        boxes: x, y, width, height in pixels of a picture of `size`; see `box_masks` for other inputs.
        size: height and width of the picture that the boxes were drawn on, or sizes of another input's place axes.

    Raises:
        InputError: shapes do not fit.
    """
    same_length(maps=maps, boxes=boxes)
    boxes = boxes.to(maps.device)
    masks = box_masks(boxes, size)
    return scored(energy_share(maps, masks), positive_check(maps), box_check(boxes, size), mask_check(masks))


@metric(
    "concentration",
    title="Concentration in the foreground, over its control",
    low=-float("inf"),
    cannot=FULL_CANNOT
    + "; against the area control a centre prior still looks clever, so ask for control='gaussian' too",
    cite=("arras2022clevrxai",),
    chance="0 against the area control; (share - g)/(1 - g) against a Gaussian that holds g",
    expected=lambda maps, masks, *, control="area", width=0.25: _gain(
        area(masks), _control(masks.bool(), control, width)
    ),
    **_ENERGY,
)
def concentration(
    maps: Float[Tensor, "b ..."],
    masks: Bool[Tensor, "b ..."],
    *,
    control: Literal["area", "gaussian"] = "area",
    width: float = 0.25,
) -> Scores:
    r"""$(e - e_0)/(1 - e_0)$, the energy share $e$ over that of a map that knows nothing [arras2022clevrxai].

    0 is the control, 1 is all inside.

    Args:
        maps: one per sample.
        masks: the foreground.
        control: `"area"`, the uniform map; `"gaussian"`, a centred Gaussian.
        width: standard deviation of that Gaussian, as a share of the side. Choose it as sharp as the maps are.

    Raises:
        InputError: shapes do not fit, or the control is unknown.
    """
    inside = masks.to(maps.device).bool()
    gain = _gain(energy_share(maps, inside), _control(inside, control, width))
    return scored(gain, positive_check(maps), mask_check(inside, full=True))


def _gain(energy: Tensor, control: Tensor) -> Float[Tensor, "b"]:
    return (energy - control) / (1 - control)


def _control(masks: Bool[Tensor, "b ..."], control: str, width: float) -> Float[Tensor, "b"]:
    if control == "area":
        return area(masks)
    if control != "gaussian":
        raise InputError(f"a control is 'area' or 'gaussian'; got {control!r}")
    prior = centred_gaussian(tuple(masks.shape[1:]), width=width).to(masks.device)
    return (masks * prior).flatten(1).sum(1)


@metric(
    "rank-accuracy",
    title="Rank accuracy: share of the strongest elements that lie in the mask",
    signed="largest signed values",
    cannot=FULL_CANNOT,
    cite=("arras2022clevrxai",),
    chance="share of the mask, exactly",
    expected=_share,
    **LOCALISATION,
)
def rank_accuracy(maps: Float[Tensor, "b ..."], masks: Bool[Tensor, "b ..."]) -> Scores:
    r"""Of the $|\Omega|$ strongest elements, the share inside $\Omega$; ties count in part [arras2022clevrxai].

    Args:
        maps: one per sample; enlarged to the masks' grid.
        masks: where the object is.

    Raises:
        InputError: shapes do not fit.
    """
    values, inside = on_masks(maps, masks)
    flat, flags = values.flatten(1), inside.flatten(1)
    count = flags.sum(1, keepdim=True)
    edge = flat.sort(1, descending=True).values.gather(1, (count - 1).clamp(min=0))
    above, level = flat > edge, flat == edge
    room = (count - above.sum(1, keepdim=True)) / level.sum(1, keepdim=True)
    hits = (flags * (above + level * room)).sum(1, keepdim=True)
    return scored((hits / count)[:, 0], map_check(maps), mask_check(inside))
