"""A class against all others at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.targets.base import Readout, Rows, Target, check_several, class_logits, class_name, rows_in
from sightline.targets.classes import ClassId, index_of_each
from sightline.targets.names import class_index


@dataclass(frozen=True, eq=False)
class ContrastOthers(Target):
    """Why this class and none of the others: `s = y[t] - sum_{j != t} w_j y[j]`, with `w` the soft-max of the others.

    The weights are held constant, so the gradient to the logits is 1 at the class and `-w_j` at the others; it does
    not shrink as the network grows sure, as that of `LogSoftmax` does [gu2018understanding; iwana2019explaining].

    Args:
        this: the class, or `[b]` one per sample; None is the top class of each sample.
        weights: `[b, c]` weights of the others, 0 at the class; None takes them from the logits that are read.
    """

    this: ClassId | Int[Tensor, " b"] | None = None
    weights: Float[Tensor, "b c"] | None = None

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        check_several(classes, labels, "a contrast")
        if isinstance(self.this, int | str):
            class_index(self.this, labels, classes)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`; the weights of the others are fixed with the class."""
        logits = class_logits(output)
        this = index_of_each(self.this, logits, labels)
        return ContrastOthers(this[:, 0], weights_of_others(logits, this))

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.this, self.weights)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        this = self.this[part] if isinstance(self.this, Tensor) and len(self.this) > 1 else self.this
        return ContrastOthers(this, None if self.weights is None else self.weights[part])

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        logits = class_logits(output)
        self.check(logits.shape[1], labels)
        this = index_of_each(self.this, logits, labels)
        weights = weights_of_others(logits, this) if self.weights is None else self.weights.to(logits)
        scores = logits.gather(1, this) - (weights * logits).sum(1, keepdim=True)
        names = tuple((f"{class_name(i, labels)} rather than the others",) for i in this[:, 0].tolist())
        return Readout(scores, names, this, logits.detach().float().softmax(1).gather(1, this))


def weights_of_others(logits: Float[Tensor, "b c"], this: Int[Tensor, "b 1"]) -> Float[Tensor, "b c"]:
    """Soft-max over all classes but one, detached; 0 at that one.

    Example:
        >>> weights_of_others(torch.zeros(1, 3), torch.tensor([[0]]))
        tensor([[0.0000, 0.5000, 0.5000]])
    """
    others = logits.detach().scatter(1, this, -torch.inf)
    wide = others if others.dtype == torch.float64 else others.float()
    return wide.softmax(1).to(logits.dtype)
