"""Class scores, the classes on top, and one class against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.base import (
    Readout,
    Rows,
    Target,
    check_several,
    class_logits,
    class_name,
    read_classes,
    rows_in,
    top_classes,
)
from sightline.targets.names import class_index

ClassId = int | str


@dataclass(frozen=True)
class ClassScore(Target):
    """The logit of one or more classes, the same for every sample: `s_k = y[class_k]`.

    Args:
        classes: indices or label names.
    """

    classes: tuple[ClassId, ...]

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        if not self.classes:
            raise TargetError("no class was asked for; name one, or leave the target out for the top class")
        for name in self.classes:
            class_index(name, labels, classes)

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = class_logits(output)
        indices = [class_index(name, labels, logits.shape[1]) for name in self.classes]
        return read_classes(logits, torch.tensor(indices, device=logits.device).expand(len(logits), -1), labels)


@dataclass(frozen=True, eq=False)
class ClassPerSample(Target):
    """A class of its own for each sample.

    Args:
        indices: `[b]` or `[b, k]` class indices; a single row serves every sample.
    """

    indices: Int[Tensor, "b k"]

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        for index in sorted(set(self.indices.flatten().tolist())):
            class_index(index, labels, classes)

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.indices)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        return self if len(self.indices) == 1 else ClassPerSample(self.indices[part])

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = class_logits(output)
        if len(self.indices) not in (1, len(logits)):
            raise TargetError(f"{len(self.indices)} classes were given for a batch of {len(logits)} samples")
        self.check(logits.shape[1], labels)
        indices = self.indices.to(logits.device).reshape(len(self.indices), -1).expand(len(logits), -1)
        return read_classes(logits, indices, labels)


@dataclass(frozen=True)
class TopClasses(Target):
    """The logits of the k classes that score highest on each sample."""

    k: int = 1

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        return ClassPerSample(top_classes(class_logits(output), self.k))

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        if self.k < 1 or (classes is not None and self.k > classes):
            most = f"at most {classes}" if classes is not None else "at least 1"
            raise TargetError(f"the top {self.k} classes were asked for; this model allows {most}")

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = class_logits(output)
        self.check(logits.shape[1], labels)
        return read_classes(logits, top_classes(logits, self.k), labels)


@dataclass(frozen=True)
class Contrast(Target):
    """Why A and not B: `s = y[A] - y[B]`, one backward for both.

    Args:
        this: class A, or `[b]` one per sample; None is the top class of each sample.
        other: class B, or `[b]` one per sample; None is the best of the rest.
    """

    this: ClassId | Int[Tensor, " b"] | None = None
    other: ClassId | Int[Tensor, " b"] | None = None

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        check_several(classes, labels, "a contrast")
        named = [name for name in (self.this, self.other) if isinstance(name, int | str)]
        both = [class_index(name, labels, classes) for name in named]
        if len(both) == 2 and both[0] == both[1]:
            raise TargetError(f"a contrast needs two classes, but {self.this!r} and {self.other!r} are the same")

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.this, self.other)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        this, other = (_rows_of(name, part) for name in (self.this, self.other))
        return Contrast(this, other)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        this, other = self._pair(class_logits(output), labels)
        return Contrast(this[:, 0], other[:, 0])

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = class_logits(output)
        self.check(logits.shape[1], labels)
        this, other = self._pair(logits, labels)
        scores = logits.gather(1, this) - logits.gather(1, other)
        names = tuple(
            (f"{class_name(a, labels)} rather than {class_name(b, labels)}",)
            for a, b in zip(this[:, 0].tolist(), other[:, 0].tolist(), strict=True)
        )
        return Readout(scores, names, this, logits.detach().float().softmax(1).gather(1, this), other)

    def _pair(self, logits: Tensor, labels: Sequence[str] | None) -> tuple[Int[Tensor, "b 1"], Int[Tensor, "b 1"]]:
        """Indices of A and B on each sample."""
        other = None if self.other is None else self._fixed(self.other, logits, labels)
        this = self._best(logits, other) if self.this is None else self._fixed(self.this, logits, labels)
        return this, self._best(logits, this) if other is None else other

    @staticmethod
    def _fixed(name: ClassId | Tensor, logits: Tensor, labels: Sequence[str] | None) -> Int[Tensor, "b 1"]:
        if isinstance(name, Tensor):
            return name.to(logits.device).reshape(-1, 1).expand(len(logits), 1)
        index = class_index(name, labels, logits.shape[1])
        return torch.full((len(logits), 1), index, device=logits.device)

    @staticmethod
    def _best(logits: Tensor, without: Int[Tensor, "b 1"] | None) -> Int[Tensor, "b 1"]:
        """The top class of each sample, or the best one other than `without`."""
        rest = logits.detach().float().clone()
        if without is not None:
            rest.scatter_(1, without, -torch.inf)
        return top_classes(rest, 1)


def _rows_of(name: ClassId | Tensor | None, part: Rows) -> ClassId | Tensor | None:
    """Some samples' classes, where each sample has its own."""
    return name[part] if isinstance(name, Tensor) and name.ndim and len(name) > 1 else name


def index_of_each(
    name: ClassId | Int[Tensor, " b"] | None, logits: Float[Tensor, "b c"], labels: Sequence[str] | None
) -> Int[Tensor, "b 1"]:
    """The class of each sample: its top class, one for all, or one of its own.

    Raises:
        TargetError: there is no such class, or there are more or fewer than samples.
    """
    if name is None:
        return top_classes(logits, 1)
    if not isinstance(name, Tensor):
        index = class_index(name, labels, logits.shape[1])
        return torch.full((len(logits), 1), index, device=logits.device)
    if name.numel() not in (1, len(logits)):
        raise TargetError(f"{name.numel()} classes were given for a batch of {len(logits)} samples")
    for index in sorted(set(name.flatten().tolist())):
        class_index(index, labels, logits.shape[1])
    return name.to(logits.device).reshape(-1, 1).expand(len(logits), 1)
