"""What a target is: it reads one or more scalars per sample off a model's output.

It knows nothing of models, layers or methods; only of outputs and label names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import TargetError

Rows = slice | list[int]
"""Some samples of a batch: a part of it, or their numbers in any order, also repeated."""


class Sides(tuple[str, ...]):
    """Names of the two sides of one logit: as many as classes, but one number decides between them."""


@dataclass(frozen=True)
class Readout:
    """The scalars that a target read, still attached to the autograd graph.

    Args:
        scores: `[b, k]`, in the units of the model's output.
        labels: the k decisions of each sample in words.
        indices: `[b, k]` class indices where a decision is a class, else None.
        probabilities: `[b, k]` where a decision is a class, by a soft-max unless `ClassHead` knows better; else None.
        against: `[b, k]` indices of the classes that these are weighed against, where a target names one, else None.
        boxes: `[b, k, 4]` the boxes that the decisions are about: x, y, width, height as shares of the input, zeros
            where there is none; else None.
        regions: `[b, k, h, w]` of a picture or `[b, k, t]` of a signal, the shares of each place of the input, on a
            grid of any size, that the decisions are about; None where that is all of it, or where it is not known.
    """

    scores: Float[Tensor, "b k"]
    labels: tuple[tuple[str, ...], ...]
    indices: Int[Tensor, "b k"] | None = None
    probabilities: Float[Tensor, "b k"] | None = None
    against: Int[Tensor, "b k"] | None = None
    boxes: Float[Tensor, "b k 4"] | None = None
    regions: Float[Tensor, "b k *places"] | None = None


class Target(ABC):
    """Base of all targets; a new one implements `read`, and `check` where it can fail early."""

    wants_raw = False
    """Whether `read` gets whatever the model returned, instead of the logits that were selected from it."""

    wants_embedding = False
    """Whether what it reads is the model's embedding `[b, d]` rather than its logits."""

    reads_classes = True
    """Whether the logits are classes to it, with names and probabilities, where it reads logits at all."""

    reads_rows = True
    """Whether each sample is read by itself, so that a stack of changed inputs can be read at once."""

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:  # noqa: B027 - optional
        """Raise `TargetError` before any work, if this cannot succeed on so many classes (None: not known)."""

    def frozen(self, output: Any, labels: Sequence[str] | None) -> Target:
        """The same decision with its classes fixed as they are on this output, for use on changed inputs."""
        return self

    def rows(self, part: Rows) -> Target:
        """The same decision for these samples of the batch; a target that holds a row per sample selects them."""
        return self

    def row_count(self) -> int | None:
        """For how many samples it holds a row of its own; None where one question serves all."""
        return None

    def on(self, size: tuple[int, ...]) -> Target:
        """The same decision on inputs of this size (height and width of pictures); raises `TargetError` early."""
        return self

    def against(self, other: int | str) -> Target | None:
        """Why this decision and not the other; None where a decision of this kind has no such contrast."""
        return None

    @abstractmethod
    def read(self, output: Any, labels: Sequence[str] | None) -> Readout:
        """Read the scalars off `output`: logits `[b, classes]`, unless `wants_raw`."""


def rows_in(*rows: Any, single: int = 0) -> int | None:
    """The number of rows of the first tensor among these that has several; `single` is the axes of one row."""
    held = (row for row in rows if isinstance(row, Tensor) and row.ndim > single and len(row) != 1)
    return next((len(row) for row in held), None)


def takes_classes(target: Target) -> bool:
    """Whether a target reads class logits, and not whatever else a model gives."""
    return target.reads_classes and not target.wants_raw and not target.wants_embedding


def check_several(classes: int | None, labels: Sequence[str] | None, what: str) -> None:
    """Refuse what compares outputs with each other where there is a single one.

    Raises:
        TargetError: saying that the one output is explained as it is.
    """
    if isinstance(labels, Sides):
        raise TargetError(
            f"{what} needs two outputs, but one logit decides between {' and '.join(map(repr, labels))}; each "
            "is weighed against the other already, so ask for it alone"
        )
    if classes is not None and classes < 2:
        raise TargetError(f"{what} needs two classes, but this model has one output; explain it as it is")


def check_rows(readout: Readout, count: int) -> Readout:
    """The readout itself, if it has a row for each of so many samples.

    Raises:
        TargetError: it has not, so that nobody knows which scores belong to which sample.
    """
    rows = len(readout.scores)
    if rows != count:
        raise TargetError(
            f"{rows} rows of scores were read for a batch of {count}; the model's output, or what a callable target "
            "makes of it, needs one row for each sample; where the model drops the batch axis, put it back by "
            "output=<callable>"
        )
    return readout


def class_logits(output: Tensor) -> Float[Tensor, "b c"]:
    """The output as class logits `[b, classes]`; a single score per sample counts as one class.

    Axes of size 1 are passed over: a head that is a 1x1 convolution gives `[b, classes, 1, 1]`.

    Raises:
        TargetError: the output has another shape, or holds no floats.
    """
    if not output.is_floating_point():
        raise TargetError(
            f"a class target needs logits that are floats, but what was read is {output.dtype}; say where the logits "
            "are by output=<key, index or callable>"
        )
    if output.ndim == 1:
        output = output[:, None]
    elif output.ndim > 2 and sum(size > 1 for size in output.shape[1:]) <= 1:
        output = output.flatten(1)
    if output.ndim != 2:
        raise TargetError(
            f"a class target needs logits of shape [batch, classes], but the model returned {tuple(output.shape)}; "
            "ask a segmenter about targets.segment(CLASS), a detector about targets.box(...), or pass a callable "
            "that makes one score per sample of it"
        )
    return output


def class_name(index: int, labels: Sequence[str] | None) -> str:
    """The label of a class, or `class N` where labels are not known."""
    return labels[index] if labels is not None and index < len(labels) else f"class {index}"


def read_classes(logits: Float[Tensor, "b c"], indices: Int[Tensor, "b k"], labels: Sequence[str] | None) -> Readout:
    """Readout of the logits at `indices`."""
    probabilities = logits.detach().float().softmax(1).gather(1, indices) if logits.shape[1] > 1 else None
    names = tuple(tuple(class_name(i, labels) for i in row) for row in indices.tolist())
    return Readout(logits.gather(1, indices), names, indices, probabilities)


def top_classes(logits: Float[Tensor, "b c"], k: int) -> Int[Tensor, "b k"]:
    """Indices of the k highest logits; ties go to the lower index."""
    if k == 1:
        return logits.detach().argmax(1, keepdim=True)  # the first of equals, as below
    return torch.sort(logits.detach(), dim=1, descending=True, stable=True).indices[:, :k]


def chosen_rows(rows: tuple[str, ...], part: Rows) -> tuple[str, ...]:
    """Some rows of a tuple, as a tensor would give them."""
    return rows[part] if isinstance(part, slice) else tuple(rows[i] for i in part)
