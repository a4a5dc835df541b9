"""How a box is asked for: four numbers, a list of them, `top3`, or `x0,y0,x1,y1,CLASS` as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.numbers import real
from sightline.common.text import clipped
from sightline.errors import TargetError
from sightline.targets.boxes import Box
from sightline.targets.classes import ClassId
from sightline.targets.detections import Probabilities
from sightline.targets.parse import FORMS

BoxLike = Sequence[float] | Sequence[Sequence[float]] | Tensor | str | None
HINT = "a box is x0,y0,x1,y1: its left, top, right and bottom in pixels of the model's input"


def box(
    where: BoxLike = None,
    of: ClassId | Sequence[ClassId | None] | None = None,
    *,
    contrast: ClassId | None = None,
    probabilities: Probabilities = "auto",
    reader: Callable[[Any], Any] | None = None,
) -> Box:
    """A detector's decision: the score of a class in a box.

    Args:
        where: `(x0, y0, x1, y1)` in pixels of the model's input; several such, or `[k, 4]`; `[b, k, 4]` for boxes of
            each sample's own; None, `"top"` or `"top3"` for the detector's own detections; or
            `"x0,y0,x1,y1,CLASS"`.
        of: class by index or name, one for all boxes or one for each; None is the class that fits the box best.
        contrast: a class: why `of` in this box rather than that.
        probabilities: what makes probabilities of a DETR-like model's logits, by which its proposals are matched:
            `softmax`, the last class being "no object", or `sigmoid`; `auto` takes soft-max except for the Hugging
            Face classes whose logits are of the other kind.
        reader: callable that makes `[{"boxes", "scores", "labels"}, ...]`, one for each picture, of an output of
            another form.

    Raises:
        TargetError: the box is not of this form.

    Example:
        >>> box((10, 20, 200, 180), "dog")
        Box(10,20,200,180 dog)
        >>> box("top3")
        Box(top3)
    """
    if isinstance(where, str):
        return _of_text(where, of, contrast, probabilities, reader)
    if where is None:
        _refuse_class(of)
        return Box(contrast=contrast, probabilities=probabilities, reader=reader)
    boxes = _corners(where)
    names = (of,) if of is None or isinstance(of, int | str) else tuple(of)
    classes = names * boxes.shape[-2] if len(names) == 1 else names
    if len(classes) != boxes.shape[-2]:
        raise TargetError(f"{boxes.shape[-2]} boxes came with {len(classes)} classes; give one, or one for each box")
    return Box(boxes, classes, contrast, probabilities=probabilities, reader=reader)


@FORMS.register("box:x0,y0,x1,y1,CLASS")
def _form(text: str) -> Box | None:
    """A box: box:10,20,200,180, box:10,20,200,180,dog, box:top3."""
    head, sign, rest = text.partition(":")
    return box(rest) if sign and head.strip().lower() == "box" else None


def _of_text(
    text: str,
    of: ClassId | Sequence[ClassId | None] | None,
    contrast: ClassId | None,
    probabilities: Probabilities,
    reader: Callable[[Any], Any] | None,
) -> Box:
    """The box that a text means."""
    if top := re.fullmatch(r"top[-_ ]?([0-9]{0,18})", text.strip().lower()):
        _refuse_class(of)
        return Box(contrast=contrast, k=int(top[1] or 1), probabilities=probabilities, reader=reader)
    parts = [part.strip() for part in text.split(",", 4)]
    sides = [side for part in parts[:4] if (side := real(part)) is not None]
    if len(sides) < 4 or parts[4:] == [""]:
        raise TargetError(f"the box {clipped(text)} is not understood; {HINT}, and a class behind them if you like")
    if parts[4:] and of is not None:
        raise TargetError(f"the box {clipped(text)} names a class, and {of!r} was named besides; name one of them")
    return box(sides, parts[4] if parts[4:] else of, contrast=contrast, probabilities=probabilities, reader=reader)


def _refuse_class(of: Any) -> None:
    if of is not None:
        raise TargetError(
            f"the detector's own detections have their own classes, so {of!r} cannot be asked for; add a box"
        )


def _corners(where: Sequence[Any] | Tensor) -> Float[Tensor, "*b k 4"]:
    """Boxes as a tensor.

    Raises:
        TargetError: they are no boxes, or the wrong way round.
    """
    try:
        boxes = torch.as_tensor(where, dtype=torch.float32).detach()
    except (TypeError, ValueError, RuntimeError) as problem:
        raise TargetError(f"the box {clipped(str(where))} is not understood; {HINT}") from problem
    boxes = boxes[None] if boxes.ndim == 1 else boxes
    if boxes.ndim not in (2, 3) or boxes.shape[-1] != 4 or not boxes.numel() or not bool(boxes.isfinite().all()):
        raise TargetError(f"the box {clipped(str(where))} is not understood; {HINT}")
    for x0, y0, x1, y1 in boxes.reshape(-1, 4).tolist():
        if x1 <= x0 or y1 <= y0:
            raise TargetError(
                f"the box {x0:g},{y0:g},{x1:g},{y1:g} ends before it begins; {HINT}, not its width and height"
            )
        if max(x1, y1) <= 1:
            raise TargetError(f"the box {x0:g},{y0:g},{x1:g},{y1:g} lies within one pixel; {HINT}, not shares of it")
    return boxes
