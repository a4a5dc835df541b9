"""A segmenter's decision: the mean score of a class over a region, its own or one that is given.

The region is settled on the unchanged input and kept: a changed input is asked about the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import TargetError
from sightline.targets.base import Readout, Rows, Target, class_name, rows_in
from sightline.targets.classes import ClassId
from sightline.targets.embedding import HALF
from sightline.targets.head import misfit
from sightline.targets.names import class_index

OWN, ALL = "own", "all"
"""The places where the class is the highest; and all places."""
RUNNER_UP = "runner-up"


@dataclass(frozen=True, eq=False, repr=False)
class Segment(Target):
    """The mean logit of a class over a region: `s = sum_i m_i y[t, i] / sum_i m_i`.

    Args:
        classes: by index or name, or `[b, k]` indices; none are those that cover most of the picture.
        region: `own`, where the class is the highest (where the logit is positive, if there is one only); `all`; or a
            mask `[h, w]` or `[b, h, w]` of the picture, brought to the size of the logits.
        contrast: a class whose mean over the same region is taken off; `runner-up` is the highest of the rest there.
        k: how many classes, where none is named.
        weights: `[b, k, h, w]` the regions on the logits, where they are settled.
    """

    classes: tuple[ClassId, ...] | Int[Tensor, "b k"] = ()
    region: str | Float[Tensor, "*b h w"] = OWN
    contrast: ClassId | Int[Tensor, "b k"] | None = None
    k: int = 1
    weights: Float[Tensor, "b k h w"] | None = None

    reads_classes = False

    def __repr__(self) -> str:
        if isinstance(self.classes, Tensor):
            names = "settled"
        else:
            names = ", ".join(map(str, self.classes)) or f"top{self.k}"
        region = self.region if isinstance(self.region, str) else f"a mask {tuple(self.region.shape)}"
        against = (
            "" if self.contrast is None or isinstance(self.contrast, Tensor) else f" rather than {self.contrast}"
        )
        return f"Segment({names}{against}; {region})"

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`; how many classes a segmenter has, its output tells."""
        if self.k < 1:
            raise TargetError(f"the top {self.k} regions were asked for; ask for at least 1")
        names = () if isinstance(self.classes, Tensor) else self.classes
        others = (self.contrast,) if isinstance(self.contrast, int | str) and self.contrast != RUNNER_UP else ()
        for name in (*names, *others):
            class_index(name, labels)

    def on(self, size: tuple[int, ...]) -> Target:
        """See `Target.on`.

        Raises:
            TargetError: the mask has another shape than the picture.
        """
        if isinstance(self.region, Tensor) and (shape := tuple(self.region.shape[-len(size) :])) != size:
            raise TargetError(f"the mask of the region has shape {shape}, but the input has {size}; resize the mask")
        return self

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.region, single=2) or rows_in(self.weights)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        if self.weights is not None and isinstance(self.classes, Tensor):
            if len(self.weights) == 1:
                return self
            other = self.contrast[part] if isinstance(self.contrast, Tensor) else self.contrast
            return replace(self, classes=self.classes[part], weights=self.weights[part], contrast=other)
        own = isinstance(self.region, Tensor) and self.region.ndim > 2 and len(self.region) > 1
        return replace(self, region=self.region[part]) if own and isinstance(self.region, Tensor) else self

    def against(self, other: ClassId) -> Target:
        """See `Target.against`: why this class in its region and not the other."""
        return replace(self, contrast=other)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`; classes and regions are fixed."""
        logits = dense_logits(output)
        question = self._settled(logits, fitting_labels(labels, logits.shape[1]))
        return replace(self, classes=question.classes, weights=question.weights, contrast=question.others)

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = dense_logits(output)
        labels = fitting_labels(labels, logits.shape[1])
        question = self._settled(logits, labels)
        scores = means(logits, question.classes, question.weights)
        if question.others is not None:
            scores = scores - means(logits, question.others, question.weights)
        names = _labels(question, logits, labels)
        part = logits.ndim in (3, 4) and not (isinstance(self.region, str) and self.region == ALL)
        regions = question.weights.detach() if part else None
        return Readout(scores, names, question.classes, against=question.others, regions=regions)

    def _settled(self, logits: Float[Tensor, "b c *places"], labels: Sequence[str] | None) -> _Question:
        """Classes and regions as they are on this output."""
        if self.weights is not None and isinstance(self.classes, Tensor):
            count = len(logits)  # a single row serves any number of copies of its sample
            other = self.contrast.to(logits.device).expand(count, -1) if isinstance(self.contrast, Tensor) else None
            weights = self.weights.to(logits).expand(count, *[-1] * (self.weights.ndim - 1))
            return _Question(self.classes.to(logits.device).expand(count, -1), weights, other)
        winners = winners_of(logits)
        classes = self._classes(winners, logits.shape[1], labels)
        weights = self._weights(winners, classes, logits)
        return _Question(classes, weights, self._others(logits, classes, weights, labels))

    def _classes(
        self, winners: Int[Tensor, "b *places"], count: int, labels: Sequence[str] | None
    ) -> Int[Tensor, "b k"]:
        if isinstance(self.classes, Tensor):
            return self.classes.to(winners.device).expand(len(winners), -1)
        if not self.classes:
            if self.k > count:
                raise TargetError(f"the top {self.k} regions were asked for; this model has {count} classes")
            return torch.sort(areas(winners, count), dim=1, descending=True, stable=True).indices[:, : self.k]
        indices = [class_index(name, labels, count) for name in self.classes]
        return torch.tensor(indices, device=winners.device).expand(len(winners), -1)

    def _weights(
        self, winners: Int[Tensor, "b *places"], classes: Int[Tensor, "b k"], logits: Tensor
    ) -> Float[Tensor, "b k *places"]:
        places = tuple(winners.shape[1:])
        if isinstance(self.region, Tensor):
            mask = self.region.to(logits.device, torch.float32)
            mask = mask[None] if mask.ndim == len(places) else mask
            if len(mask) not in (1, len(winners)):
                raise TargetError(f"masks of {len(mask)} pictures were given for a batch of {len(winners)}")
            fitted = F.interpolate(mask[:, None], size=places, mode="area")
            return fitted.to(logits.dtype).expand(len(winners), classes.shape[1], *places)
        if self.region == ALL:
            return logits.new_ones(len(winners), classes.shape[1], *places)
        wanted = classes.reshape(*classes.shape, *[1] * len(places))
        return (winners[:, None] == wanted).to(logits.dtype)

    def _others(
        self, logits: Tensor, classes: Tensor, weights: Tensor, labels: Sequence[str] | None
    ) -> Int[Tensor, "b k"] | None:
        if self.contrast is None:
            return None
        if logits.shape[1] < 2:
            raise TargetError("a contrast needs two classes, but this model has one output")
        if self.contrast == RUNNER_UP:
            every = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
            rows = [means(logits.detach(), every, weights[:, [i]]) for i in range(classes.shape[1])]
            rest = torch.stack(rows, 1).scatter(2, classes[:, :, None], -torch.inf)
            return rest.argmax(2)
        if isinstance(self.contrast, Tensor):
            return self.contrast.to(logits.device).expand_as(classes)
        return torch.full_like(classes, class_index(self.contrast, labels, logits.shape[1]))


class _Question(NamedTuple):
    """Which class is asked about where, for each sample and decision."""

    classes: Int[Tensor, "b k"]
    weights: Float[Tensor, "b k *places"]
    others: Int[Tensor, "b k"] | None


def dense_logits(output: Tensor) -> Float[Tensor, "b c *places"]:
    """The output as logits of every class at every place.

    Raises:
        TargetError: it has no places.
    """
    if output.ndim < 3 or not output.is_floating_point():
        raise TargetError(
            f"a segment needs logits of shape [batch, classes, height, width], but what was read is "
            f"{tuple(output.shape)}, {output.dtype}; say where they are by output=<key, index or callable>"
        )
    return output


def fitting_labels(labels: Sequence[str] | None, count: int) -> Sequence[str] | None:
    """The labels, if they are as many as the outputs; of two names for one output the second is what it finds.

    Raises:
        TargetError: they are not.
    """
    if labels is None or len(labels) == count:
        return labels
    if count == 1 and len(labels) == 2:
        return labels[1:]
    raise TargetError(misfit(labels, count))


def winners_of(logits: Float[Tensor, "b c *places"]) -> Int[Tensor, "b *places"]:
    """The highest class at every place; with a single output 0 where it is positive, and -1 elsewhere."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).long() - 1
    return logits.detach().argmax(1)


def areas(winners: Int[Tensor, "b *places"], count: int) -> Int[Tensor, "b c"]:
    """Places of every class."""
    return torch.stack([(winners.flatten(1) == c).sum(1) for c in range(count)], 1)


def means(
    logits: Float[Tensor, "b c *places"], classes: Int[Tensor, "b k"], weights: Float[Tensor, "b k *places"]
) -> Float[Tensor, "b k"]:
    """Mean of each class over a region; 0 where the region is empty."""
    flat, mask = logits.flatten(2), weights.flatten(2)
    chosen = flat.gather(1, classes[:, :, None].expand(-1, -1, flat.shape[2]))
    if chosen.dtype in HALF:  # the sum of a large region is out of their range
        chosen, mask = chosen.float(), mask.float()
    # Places outside are left out, not multiplied by 0: there a masked model may hold infinities.
    inside = torch.where(mask > 0, chosen * mask, torch.zeros_like(chosen))
    total = mask.sum(2)
    return inside.sum(2) / torch.where(total > 0, total, torch.ones_like(total))


def _labels(
    question: _Question, logits: Float[Tensor, "b c *places"], labels: Sequence[str] | None
) -> tuple[tuple[str, ...], ...]:
    """Each decision in words; where the region is empty, what there is instead."""
    empty = (question.weights.flatten(2).sum(2) == 0).tolist()
    others = None if question.others is None else question.others.tolist()
    rows = []
    for b, row in enumerate(question.classes.tolist()):
        names = [class_name(index, labels) for index in row]
        if others is not None:
            names = [f"{name} rather than {class_name(o, labels)}" for name, o in zip(names, others[b], strict=True)]
        nowhere = f" (nowhere; {_there(logits[b : b + 1], labels)})" if any(empty[b]) else ""
        rows.append(tuple(name + nowhere if gone else name for name, gone in zip(names, empty[b], strict=True)))
    return tuple(rows)


def _there(logits: Float[Tensor, "1 c *places"], labels: Sequence[str] | None) -> str:
    """What covers the picture, the largest first."""
    sizes = areas(winners_of(logits), logits.shape[1])[0]
    order = [index for index in sizes.argsort(descending=True).tolist() if sizes[index]][:3]
    return "there is " + ", ".join(class_name(index, labels) for index in order) if order else "there is nothing"
