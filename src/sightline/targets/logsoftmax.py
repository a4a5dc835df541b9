"""The logarithm of a class's soft-max share instead of its logit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from sightline.targets.base import Readout, Rows, Target, check_several, class_logits


@dataclass(frozen=True)
class LogSoftmax(Target):
    """The log-probability of classes: `s = y[t] - log sum_j exp y[j]`, with gradient `1[j=t] - p_j` to the logits.

    Evidence that speaks for all classes alike cancels. The gradient shrinks as the network grows sure of the class;
    `ContrastOthers` asks the same question without that.

    Args:
        of: which classes, as a target on the logits.

    Example:
        >>> import torch
        >>> from sightline.targets import ClassScore
        >>> LogSoftmax(ClassScore((0,))).read(torch.zeros(1, 2), None).labels
        (('log p of class 0',),)
    """

    of: Target

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        check_several(classes, labels, "a log-softmax")
        self.of.check(classes, labels)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        return LogSoftmax(self.of.frozen(output, labels))

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return self.of.row_count()

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        return LogSoftmax(self.of.rows(part))

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = class_logits(output)
        self.check(logits.shape[1], labels)
        readout = self.of.read(logits.log_softmax(1), labels)
        return replace(readout, labels=tuple(tuple(f"log p of {name}" for name in row) for row in readout.labels))
