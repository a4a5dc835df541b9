"""What a detector found in each picture, read off the outputs of torchvision, DETR and Hugging Face alike.

It knows nothing of which box is asked about; see `boxes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.outputs import describe

Probabilities = Literal["auto", "softmax", "sigmoid"]
"""What makes class probabilities of a detector's logits; a soft-max has "no object" as its last class."""

SOFTMAX = ("Detr", "TableTransformer", "Yolos")
"""Beginnings of the names of Hugging Face outputs whose probabilities are a soft-max; all others' are sigmoids."""


@dataclass(frozen=True, eq=False)
class Detections:
    """The proposals for one picture.

    Args:
        boxes: `[n, 4]` corners x0, y0, x1, y1 in pixels of the input, detached.
        scores: `[n, c]` by class; or `[n]`, each of the class in `classes`. Still attached to the graph.
        probabilities: the same shape, detached.
        classes: `[n]` the class of each proposal, where it has one only.
    """

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, "n *c"]
    probabilities: Float[Tensor, "n *c"]
    classes: Int[Tensor, " n"] | None = None

    def of(self, index: int) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Score and probability of a class in every proposal; the probability is 0 where it is of another class."""
        if self.classes is not None:
            return self.scores, self.probabilities * (self.classes == index)
        if index >= (count := self.scores.shape[1]):
            raise TargetError(f"the class {index} was asked for, but this detector's classes are 0 to {count - 1}")
        return self.scores[:, index], self.probabilities[:, index]

    def best(self) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
        """Probability and index of the most probable class of each proposal."""
        if self.classes is not None:
            return self.probabilities, self.classes
        return tuple(self.probabilities.max(1))  # type: ignore[return-value]

    def nothing(self) -> Float[Tensor, ""]:
        """A score of 0 that hangs on the graph, so that it has a gradient: zero everywhere."""
        return self.scores.flatten()[:0].sum()


def detections_of(output: Any, size: tuple[int, int] | None, chances: Probabilities = "auto") -> list[Detections]:
    """The proposals for each picture of a batch.

    Args:
        output: a list of `{"boxes", "scores", "labels"}`, one for each picture (torchvision; `boxes` are corners in
            pixels); a mapping of the same with a batch axis; or `pred_boxes` (centre, width and height as shares of
            the picture) with `logits` or `pred_logits` (DETR, Hugging Face).
        size: height and width of the input, in pixels; needed where boxes are shares of it.
        chances: what makes probabilities of logits.

    Raises:
        TargetError: it is none of these; it lists what is there.
    """
    if isinstance(output, list | tuple) and all(_holds(part, "boxes", "scores") for part in output) and output:
        return [_corners(part) for part in output]
    boxes = _part(output, "pred_boxes")
    logits = next((x for name in ("logits", "pred_logits") if (x := _part(output, name)) is not None), None)
    if boxes is not None and logits is not None:
        return _shares(boxes, logits, size, _sigmoid(output, chances))
    if _holds(output, "boxes", "scores") and output["boxes"].ndim == 3:
        parts = {name: output[name] for name in ("boxes", "scores", "labels") if name in output}
        return [_corners({name: x[i] for name, x in parts.items()}) for i in range(len(output["boxes"]))]
    raise TargetError(
        f"no boxes were found in the model's output, which holds {describe(output)}; boxes are read from a list of "
        "{'boxes', 'scores', 'labels'} or from 'pred_boxes' with 'logits'; give reader=<callable that makes such a "
        "list of it>"
    )


def _holds(part: Any, *names: str) -> bool:
    return isinstance(part, Mapping) and all(isinstance(part.get(name), Tensor) for name in names)


def _part(output: Any, name: str) -> Tensor | None:
    part = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return part if isinstance(part, Tensor) else None


def _corners(part: Mapping[str, Tensor]) -> Detections:
    """One picture's detections in torchvision's form; scores are probabilities already."""
    scores, classes = part["scores"], part.get("labels")
    if scores.ndim == 1 and classes is None:
        classes = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return Detections(
        part["boxes"].detach().float(), scores, scores.detach().float(), classes if scores.ndim == 1 else None
    )


def _shares(
    boxes: Float[Tensor, "b n 4"], logits: Float[Tensor, "b n c"], size: tuple[int, int] | None, sigmoid: bool
) -> list[Detections]:
    """DETR's form."""
    if size is None:
        raise TargetError(
            "this model gives boxes as shares of the picture, so the picture's size must be known; "
            "use target.on((height, width))"
        )
    x, y, w, h = boxes.detach().float().unbind(2)
    corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 2)
    corners = corners * corners.new_tensor([size[1], size[0]] * 2)
    values = logits.detach().float()
    # With a soft-max the last class is "no object": it takes its share of the probability and is never asked about.
    chances = values.sigmoid() if sigmoid else values.softmax(2)[..., :-1]
    scores = logits if sigmoid else logits[..., :-1]
    return [Detections(*parts) for parts in zip(corners, scores, chances, strict=True)]


def _sigmoid(output: Any, chances: Probabilities) -> bool:
    """Whether probabilities are a sigmoid per class: as the user says, or as this kind of output has it."""
    kind = type(output).__name__
    return chances == "sigmoid" if chances != "auto" else "DetectionOutput" in kind and not kind.startswith(SOFTMAX)
