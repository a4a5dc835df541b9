"""A class against the classes that are most like it: Finer-CAM's question, for every method."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import TargetError
from sightline.targets.base import Readout, Rows, Target, check_several, class_logits, class_name, rows_in
from sightline.targets.classes import ClassId, index_of_each
from sightline.targets.logsoftmax import LogSoftmax
from sightline.targets.names import class_index

COUNT, WEIGHT = 3, 0.6
"""Classes that are compared with, and how much they weigh, by default: the aggregate of the authors' own code."""


@dataclass(frozen=True, eq=False)
class ContrastClosest(Target):
    """What sets a class apart from those like it: `s = y[t] - w mean_d y[d]`, d the n classes closest to t.

    Closest are those whose rows in the classifier have the highest cosine with the class's own; where the classifier
    cannot be read, those whose logits are closest to its logit, as the authors' code takes them [zhang2025finer].
    The classes are constants of the gradient.

    Args:
        this: the class, or `[b]` one per sample; None is the top class of each sample.
        count: n.
        weight: w; 0 is the class alone, 1 the plain difference.
        classifier: `[c, d]` rows of the last linear layer; None where it cannot be read.
        others: `[b, n]` the closest classes, where they are fixed already.

    Example:
        >>> target = ContrastClosest(0, count=1, classifier=torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]]))
        >>> target.read(torch.tensor([[2.0, 1.0, 1.0]]), None).labels
        (('class 0 rather than class 2 (closest by the classifier)',),)
    """

    this: ClassId | Int[Tensor, " b"] | None = None
    count: int = COUNT
    weight: float = WEIGHT
    classifier: Float[Tensor, "c d"] | None = None
    others: Int[Tensor, "b n"] | None = None

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        check_several(classes, labels, "a contrast")
        if self.count < 1 or (classes is not None and self.count >= classes):
            most = "at least 1" if classes is None else f"1 to {classes - 1}"
            raise TargetError(f"the {self.count} closest classes were asked for; this model allows {most}")
        if not 0 <= self.weight < float("inf"):
            raise TargetError(f"the weight of a contrast is 0 or more, not {self.weight}")
        if isinstance(self.this, int | str):
            class_index(self.this, labels, classes)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        logits = class_logits(output)
        this = index_of_each(self.this, logits, labels)
        return replace(self, this=this[:, 0], others=self._closest(logits.detach(), this))

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.this, self.others)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        this = self.this[part] if isinstance(self.this, Tensor) and self.this.numel() > 1 else self.this
        others = self.others if self.others is None or len(self.others) == 1 else self.others[part]
        return replace(self, this=this, others=others)

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = class_logits(output)
        self.check(logits.shape[1], labels)
        this = index_of_each(self.this, logits, labels)
        others = self._closest(logits.detach(), this).expand(len(logits), -1)
        scores = logits.gather(1, this) - self.weight * logits.gather(1, others).mean(1, keepdim=True)
        names = tuple(
            (self._words(class_name(a, labels), [class_name(b, labels) for b in row], logits.shape[1]),)
            for a, row in zip(this[:, 0].tolist(), others.tolist(), strict=True)
        )
        chances = logits.detach().float().softmax(1).gather(1, this)
        return Readout(scores, names, this, chances)

    def _closest(self, logits: Float[Tensor, "b c"], this: Int[Tensor, "b 1"]) -> Int[Tensor, "b n"]:
        """The classes most like each sample's own; ties go to the lower index."""
        if self.others is not None:
            return self.others.to(logits.device)
        if self._by_classifier(logits.shape[1]) and self.classifier is not None:
            rows = F.normalize(self.classifier.to(logits.device).float(), dim=1)
            likeness = rows[this[:, 0]] @ rows.T
        else:
            likeness = -(logits - logits.gather(1, this)).abs().float()
        likeness = likeness.scatter(1, this, -torch.inf)
        return torch.sort(likeness, dim=1, descending=True, stable=True).indices[:, : self.count]

    def _by_classifier(self, classes: int) -> bool:
        return self.classifier is not None and len(self.classifier) == classes

    def _words(self, name: str, others: list[str], classes: int) -> str:
        how = "the classifier" if self._by_classifier(classes) else "logits"
        listed = ", ".join(others[:-1]) + (" and " if len(others) > 1 else "") + others[-1]
        return f"{name} rather than {listed} (closest by {how})"


def closest_of(text: str) -> int | None:
    """How many classes `closest` or `closest:3` means; None where it is something else."""
    match = re.fullmatch(r"closest(?::([0-9]{1,9}))?", text.strip().lower())
    return None if match is None else int(match[1] or COUNT)


def with_classifier(target: Target, rows: Float[Tensor, "c d"] | None) -> Target:
    """The target, knowing the rows of the model's classifier if it compares by them."""
    if isinstance(target, LogSoftmax):
        return LogSoftmax(with_classifier(target.of, rows))
    return replace(target, classifier=rows) if isinstance(target, ContrastClosest) else target


def needs_classifier(target: Target) -> bool:
    """Whether the rows of the model's classifier play a part."""
    return isinstance(target.of if isinstance(target, LogSoftmax) else target, ContrastClosest)
