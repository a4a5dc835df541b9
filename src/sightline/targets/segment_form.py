"""How a segment is asked for: a class and a region, or `segment:CLASS` as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.classes import ClassId
from sightline.targets.parse import FORMS
from sightline.targets.segments import ALL, OWN, Segment


def segment(
    of: ClassId | Sequence[ClassId] | None = None,
    *,
    region: str | Tensor | Any = OWN,
    contrast: ClassId | None = None,
) -> Segment:
    """A segmenter's decision: the mean logit of a class over a region.

    Args:
        of: class by index or name, or several; None, `"top"` or `"top3"` are those that cover most of the picture.
        region: `"own"`, where the class is the highest on the unchanged input; `"all"`; or a mask `[h, w]` or
            `[b, h, w]` of the input's size, 0..1, of any number type.
        contrast: a class: why `of` in this region rather than that; `"runner-up"` is the highest of the rest there.

    Raises:
        TargetError: the region is none of these, or empty.

    Example:
        >>> segment("dog")
        Segment(dog; own)
        >>> segment("dog", region=torch.ones(4, 4), contrast="cat")
        Segment(dog rather than cat; a mask (4, 4))
    """
    region = _region(region)
    if isinstance(of, str) and (top := re.fullmatch(r"top[-_ ]?([0-9]{0,18})", of.strip().lower())):
        return Segment(region=region, contrast=contrast, k=int(top[1] or 1))
    if of is None:
        return Segment(region=region, contrast=contrast)
    names = (of,) if isinstance(of, int | str) else tuple(of)
    if not names:
        raise TargetError("no class was asked for; name one, or leave it out for the class that covers most")
    return Segment(names, region, contrast)


@FORMS.register("segment:CLASS")
def _form(text: str) -> Segment | None:
    """A class where it is: segment:dog, segment:15, segment:top3."""
    head, sign, name = text.partition(":")
    return segment(name.strip() or None) if sign and head.strip().lower() == "segment" else None


def _region(region: Any) -> str | Tensor:
    """The region as a word or a mask.

    Raises:
        TargetError: it is neither, or a mask without a place.
    """
    if isinstance(region, str):
        if region not in (OWN, ALL):
            raise TargetError(f"a region is 'own', 'all' or a mask of the input's size, not {region!r}")
        return region
    try:
        mask = torch.as_tensor(region).detach().float()
    except (TypeError, ValueError, RuntimeError) as problem:
        raise TargetError(
            f"a region is 'own', 'all' or a mask of the input's size, not {type(region).__name__}"
        ) from problem
    if not mask.ndim or not bool(mask.isfinite().all()) or not bool((mask >= 0).all()):
        raise TargetError("the mask of the region has numbers below 0, or none at all; give 0..1 at every place")
    if not bool((mask.flatten(1) if mask.ndim > 2 else mask.flatten()[None]).any(1).all()):
        raise TargetError("the mask of the region holds no place; give one that is above 0 somewhere in each picture")
    return mask
