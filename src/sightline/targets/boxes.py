"""A detector's decision: the score of what it finds where a reference box lies.

Which proposal that is is settled anew in every forward: a changed input may move, split or lose it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.base import Readout, Rows, Target, class_name, rows_in
from sightline.targets.classes import ClassId
from sightline.targets.detections import Detections, Probabilities, detections_of
from sightline.targets.names import class_index

NOTHING = -1
"""Class of a box in which no proposal lies."""
NOWHERE = "0,0,0,0"
"""The box of a detection that there is not."""


@dataclass(frozen=True, eq=False, repr=False)
class Box(Target):
    """The score of a class in a box: `s = y[n*, t]` with `n* = argmax_n IoU(box_n, box) p[n, t]`.

    The proposal n* is searched anew in every forward and held constant by the gradient; where none of the class
    overlaps the box the score is 0. The score is what the model gives: torchvision's detectors a probability (behind
    non-maximum suppression), DETR and its kin a logit.

    Args:
        boxes: `[k, 4]` for all samples, or `[b, k, 4]`: x0, y0, x1, y1 in pixels of the model's input. None are the
            model's own detections, the most probable ones.
        classes: a class for each box, by index or name, None being the one that fits the box best; or `[b, k]`
            indices.
        contrast: a class whose score in the same box is taken off.
        k: how many detections, where no box is named.
        probabilities: what makes them of logits: `softmax` (the last class is "no object"), `sigmoid`, or `auto`.
        reader: callable that brings the model's output into a form that `detections_of` reads.
        size: height and width of the input, where they are known.
        wording: what each box is called, where it was asked for in other units than pixels of the input.
    """

    boxes: Float[Tensor, "*b k 4"] | None = None
    classes: tuple[ClassId | None, ...] | Int[Tensor, "b k"] = ()
    contrast: ClassId | None = None
    k: int = 1
    probabilities: Probabilities = "auto"
    reader: Callable[[Any], Any] | None = None
    size: tuple[int, int] | None = None
    wording: tuple[str, ...] = ()

    wants_raw = True

    def __repr__(self) -> str:
        if self.boxes is None:
            return f"Box(top{self.k})"
        rows = list(self.wording) or [in_words(row) for row in self.boxes.reshape(-1, 4).tolist()]
        if not isinstance(self.classes, Tensor):
            rows = [row if name is None else f"{row} {name}" for row, name in zip(rows, self.classes, strict=False)]
        return f"Box({'; '.join(rows)}{'' if self.contrast is None else f' rather than {self.contrast}'})"

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`; how many classes a detector has, its output tells."""
        if self.k < 1:
            raise TargetError(f"the top {self.k} detections were asked for; ask for at least 1")
        names = () if isinstance(self.classes, Tensor) else self.classes
        for name in (*names, self.contrast):
            if name is not None:
                class_index(name, labels)

    def on(self, size: tuple[int, ...]) -> Target:
        """See `Target.on`.

        Raises:
            TargetError: a box lies outside the picture, or the input is none.
        """
        if len(size) != 2:
            raise TargetError(f"boxes lie in pictures, but the input extends over {len(size)} axes")
        height, width = size
        for x0, y0, x1, y1 in [] if self.boxes is None else self.boxes.reshape(-1, 4).tolist():
            if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
                raise TargetError(
                    f"the box {in_words((x0, y0, x1, y1))} lies outside the input, which is {width} pixels wide and "
                    f"{height} high; a box is x0,y0,x1,y1 in pixels of it"
                )
        return replace(self, size=(height, width))

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.boxes, single=2) or rows_in(self.classes)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        boxes, classes = self.boxes, self.classes
        if boxes is not None and boxes.ndim == 3 and len(boxes) > 1:
            boxes = boxes[part]
        if isinstance(classes, Tensor) and len(classes) > 1:
            classes = classes[part]
        return replace(self, boxes=boxes, classes=classes)

    def against(self, other: ClassId) -> Target:
        """See `Target.against`: why this class in the box and not the other."""
        return replace(self, contrast=other)

    def frozen(self, output: Any, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`; boxes and classes are fixed, the proposal is not."""
        question = self._settled(self._detections(output), labels)
        return replace(self, boxes=question.boxes, classes=question.classes)

    def read(self, output: Any, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        detections = self._detections(output)
        boxes, classes = self._settled(detections, labels)
        other = None if self.contrast is None else class_index(self.contrast, labels)
        cells = [
            [_answer(one, box, index, other) for box, index in zip(corners, indices, strict=True)]
            for one, corners, indices in zip(detections, boxes, classes.tolist(), strict=True)
        ]
        return Readout(
            scores=torch.stack([torch.stack([cell.score for cell in row]) for row in cells]),
            labels=tuple(
                tuple(
                    _label(cell, where, index, other, labels)
                    for cell, where, index in zip(row, self.wording or map(in_words, corners), indices, strict=True)
                )
                for row, corners, indices in zip(cells, boxes.tolist(), classes.tolist(), strict=True)
            ),
            indices=classes,
            probabilities=torch.tensor([[cell.probability for cell in row] for row in cells], device=boxes.device),
            against=None if other is None else torch.full_like(classes, other),
            boxes=None if self.size is None else _shares(boxes, self.size),
        )

    def _detections(self, output: Any) -> list[Detections]:
        return detections_of(output if self.reader is None else self.reader(output), self.size, self.probabilities)

    def _settled(self, detections: list[Detections], labels: Sequence[str] | None) -> _Question:
        """Boxes and classes as they are on this output."""
        if self.boxes is None:
            tops = [_top(one, self.k) for one in detections]
            return _Question(torch.stack([top[0] for top in tops]), torch.stack([top[1] for top in tops]))
        if self.boxes.ndim == 3 and len(self.boxes) not in (1, len(detections)):
            raise TargetError(f"boxes of {len(self.boxes)} pictures were given for a batch of {len(detections)}")
        boxes = self.boxes.to(detections[0].boxes).expand(len(detections), -1, 4)
        if isinstance(self.classes, Tensor):
            return _Question(boxes, self.classes.to(boxes.device).expand(len(boxes), -1))
        names = [None if name is None else class_index(name, labels) for name in self.classes]
        rows = [
            [_fitting(one, box) if index is None else index for box, index in zip(corners, names, strict=True)]
            for one, corners in zip(detections, boxes, strict=True)
        ]
        return _Question(boxes, torch.tensor(rows, device=boxes.device))


class _Question(NamedTuple):
    """Which box and class is asked about, for each sample and decision."""

    boxes: Float[Tensor, "b k 4"]
    classes: Int[Tensor, "b k"]


class _Answer(NamedTuple):
    """The score of a box, its probability, and whether a proposal lies there at all."""

    score: Float[Tensor, ""]
    probability: float
    there: bool


def _answer(detections: Detections, box: Float[Tensor, "4"], index: int, other: int | None) -> _Answer:
    """The score of a class in a box, less that of another where there is one."""
    answer = match(detections, box, index)
    if other is None:
        return answer
    return answer._replace(score=answer.score - match(detections, box, other).score)


def match(detections: Detections, box: Float[Tensor, "4"], index: int) -> _Answer:
    """Score of the proposal that maximises IoU with the box times the class's probability; 0 if there is none."""
    if index != NOTHING and len(detections.boxes):
        scores, chances = detections.of(index)
        fit = _overlap(detections, box) * chances
        best = int(fit.argmax())
        if fit[best] > 0:
            return _Answer(scores[best], float(chances[best]), True)
    return _Answer(detections.nothing(), 0.0, False)


def _fitting(detections: Detections, box: Float[Tensor, "4"]) -> int:
    """The class that maximises IoU times probability in a box."""
    if not len(detections.boxes):
        return NOTHING
    chances, classes = detections.best()
    fit = _overlap(detections, box) * chances
    best = int(fit.argmax())
    return int(classes[best]) if fit[best] > 0 else NOTHING


def _top(detections: Detections, k: int) -> tuple[Float[Tensor, "k 4"], Int[Tensor, " k"]]:
    """Boxes and classes of the k most probable proposals; where there are fewer, boxes of nothing."""
    chances, classes = detections.best()
    x0, y0, x1, y1 = detections.boxes.unbind(1)
    order = torch.sort(chances, descending=True, stable=True).indices
    order = order[((x1 > x0) & (y1 > y0))[order]][:k]  # torchvision's detectors also report boxes of no area
    boxes, indices = detections.boxes.new_zeros(k, 4), torch.full((k,), NOTHING, device=detections.boxes.device)
    boxes[: len(order)], indices[: len(order)] = detections.boxes[order], classes[order]
    return boxes, indices


def _overlap(detections: Detections, box: Float[Tensor, "4"]) -> Float[Tensor, " n"]:
    """Intersection over union of every proposal with the box."""
    from torchvision.ops import box_iou

    # A proposal or box of no area has no overlap with anything, where the quotient is 0 / 0.
    overlap: Tensor = box_iou(detections.boxes, box[None].to(detections.boxes))[:, 0]
    return overlap.nan_to_num(0.0)


def _shares(boxes: Float[Tensor, "b k 4"], size: tuple[int, int]) -> Float[Tensor, "b k 4"]:
    """Corners in pixels as x, y, width and height in shares of an input of a size, cut at its edges."""
    height, width = size
    x0, y0, x1, y1 = (
        (boxes.detach().double() / boxes.new_tensor([width, height, width, height])).clamp(0, 1).unbind(-1)
    )
    return torch.stack([x0, y0, x1 - x0, y1 - y0], -1)


def _label(answer: _Answer, where: str, index: int, other: int | None, labels: Sequence[str] | None) -> str:
    """The decision in words."""
    if index == NOTHING:
        return f"no detection at {where}" if where != NOWHERE else "no such detection"
    name = class_name(index, labels) + ("" if other is None else f" rather than {class_name(other, labels)}")
    return f"{name} at {where}" + ("" if answer.there else " (no such detection)")


def in_words(box: Sequence[float]) -> str:
    """A box as it is written.

    Example:
        >>> in_words((10.0, 20.25, 200.0, 180.0))
        '10,20,200,180'
    """
    return ",".join(f"{side:.0f}" for side in box)
