"""From what a user says - a number, a name, `top3`, a callable - to a target.

A task whose decisions are no classes registers how its own are written, under an entry point of the group
`sightline.targets`:

    @FORMS.register("attribute:NAME")
    def attribute(text: str) -> Target | None: ...

What no form takes is the number or the name of a class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from sightline.errors import TargetError
from sightline.registry import Registry
from sightline.targets.base import Target, takes_classes
from sightline.targets.classes import ClassPerSample, ClassScore, Contrast, TopClasses
from sightline.targets.closest import WEIGHT, ContrastClosest, closest_of
from sightline.targets.custom import Custom
from sightline.targets.logsoftmax import LogSoftmax
from sightline.targets.others import ContrastOthers
from sightline.targets.value import value_of

TargetLike = Target | int | str | Tensor | Callable[[Any], Tensor] | Sequence[int | str] | None

Form = Callable[[str], Target | None]
"""From what stands on the command line to a target; None where it is not of this form."""

FORMS: Registry[Form] = Registry("form of target", group="sightline.targets", error=TargetError)
"""By how they are written; tried in this order."""

Score = Literal["logit", "log-softmax"]


def parse_target(
    what: TargetLike = None,
    *,
    contrast: int | str | None = None,
    contrast_weight: float | None = None,
    score: Score = "logit",
) -> Target:
    """The target that a user means.

    Args:
        what: None (the top class), a class index or label name, `"top3"`, a list of classes, a tensor of one class
            per sample, a callable on the model's output, or a `Target`.
        contrast: a second class: explain why `what` rather than this one; `"runner-up"` is the best of the rest,
            `"others"` all of them by their soft-max weights, `"closest:3"` the three most like it.
        contrast_weight: how much the closest classes weigh, 0.6 by default.
        score: what is read of a class: its `logit` or its `log-softmax`.

    Raises:
        TargetError: it is none of these, or a contrast of more than one class.

    Example:
        >>> parse_target("top3")
        TopClasses(k=3)
        >>> parse_target("zebra", contrast="horse")
        Contrast(this='zebra', other='horse')
    """
    if score not in get_args(Score):
        raise TargetError(f"the score of a class is its 'logit' or its 'log-softmax', not {score!r}")
    if contrast_weight is not None and (isinstance(contrast_weight, bool) or not isinstance(contrast_weight, Real)):
        raise TargetError(f"the weight of a contrast is a number, not {contrast_weight!r}")
    if isinstance(what, Tensor | np.ndarray | np.generic):
        what = _of_numbers(torch.as_tensor(what))
    closest = closest_of(contrast) if isinstance(contrast, str) else None
    if contrast_weight is not None and closest is None:
        raise TargetError("a contrast weight belongs to contrast='closest:3'; add that, or leave the weight out")
    if contrast is None:
        target = _parsed(what)
    elif closest is not None:
        weight = WEIGHT if contrast_weight is None else contrast_weight
        target = ContrastClosest(_one_class(what), closest, weight)
    else:
        target = _contrast(what, contrast)
    if score == "logit":
        return target
    if not takes_classes(target) or isinstance(target, LogSoftmax):
        raise TargetError(f"a log-softmax is taken of classes, but the target is {type(target).__name__}")
    return LogSoftmax(target)


@FORMS.register("top3")
def _top(text: str) -> Target | None:
    """The classes that score highest: top, top1, top-3."""
    top = re.fullmatch(r"top[-_ ]?([0-9]{0,18})", text.strip().lower())
    return TopClasses(int(top[1] or 1)) if top else None


@FORMS.register("value:2")
def _value(text: str) -> Target | None:
    """One number of the output: value, value:2, lower value, both value:0,5,7."""
    return value_of(text)


def _of_a_form(text: str) -> Target | None:
    """The target of the first form that takes the text; None where it is left to be a class."""
    return next((target for form in FORMS.values() if (target := form(text)) is not None), None)


def _parsed(what: TargetLike) -> Target:
    """The target without a contrast."""
    if isinstance(what, Target):
        return what
    if what is None:
        return TopClasses(1)
    if isinstance(what, bool):
        raise TargetError(f"a target cannot be {what!r}; give a class index, a label name or a callable")
    if isinstance(what, Tensor):
        return ClassPerSample(what)
    if isinstance(what, str) and (target := _of_a_form(what)) is not None:
        return target
    if isinstance(what, int | str):
        return ClassScore((what,))
    if callable(what):
        return Custom(what)
    if isinstance(what, Sequence):
        return ClassScore(tuple(what)) if len(what) != 1 else _parsed(what[0])
    raise TargetError(f"a target cannot be a {type(what).__name__}; give a class index, a label name or a callable")


def _of_numbers(indices: Tensor) -> Tensor | int:
    """Class indices in a tensor or an array: a single number is a class, several are one for each sample."""
    if indices.dtype == torch.bool or indices.is_floating_point() or indices.is_complex() or indices.ndim > 2:
        raise TargetError(
            f"a tensor of classes holds whole numbers, one for each sample or a row of them, not {indices.dtype} of "
            f"shape {tuple(indices.shape)}"
        )
    return indices if indices.ndim else int(indices)


def _one_class(what: TargetLike) -> int | str | None:
    """The class that is compared with others; None for the top one."""
    if isinstance(what, Sequence) and not isinstance(what, str) and len(what) == 1:
        what = what[0]
    target = _of_a_form(what) if isinstance(what, str) else None
    if target == TopClasses(1):
        what = None
    elif target is not None or isinstance(what, bool) or not isinstance(what, int | str | None):
        raise TargetError(f"a contrast compares one class with another, but the target is {what!r}")
    return what


def _contrast(what: TargetLike, contrast: int | str) -> Target:
    """One class, or the top one, against another or against all others."""
    target = what if isinstance(what, Target) else _of_a_form(what) if isinstance(what, str) else None
    if target is not None and (pair := target.against(contrast)) is not None:
        return pair
    what = _one_class(what)
    if str(contrast).lower() == "others":
        return ContrastOthers(what)
    other = None if str(contrast).lower() in ("runner-up", "runner up", "rest") else contrast
    return Contrast(what, other)
