"""A target on classes with what is known of the outputs: their names, two sides of one logit, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.base import Readout, Rows, Sides, Target, class_logits
from sightline.targets.logsoftmax import LogSoftmax

Meaning = Literal["softmax", "sigmoid", "given", "exp"] | None
"""From outputs to probabilities; `given`: they are some, `exp`: they are their logarithms; None: nobody knows."""
Labels = Sequence[str] | None
HIGHER = "higher value"
"""What is explained of a single output without a name: what speaks for a higher one."""


@dataclass(frozen=True)
class ClassHead(Target):
    """Reads a target on classes off a model's outputs as they are meant.

    A single output with two names is a logit that decides between them: `[-y, y]`, or `[1 - y, y]` where it is a
    probability already. With one name the other side is its absence. Without names it is a value, and what is
    explained is what speaks for a higher one.

    Args:
        of: the target on classes.
        meaning: how the outputs become probabilities: by a `softmax` or `sigmoid`, `given` as they are, or `exp`
            where they are logarithms; None where unknown.
        strict: whether labels that are not as many as outputs are refused; those that the model itself carries are
            passed over instead.

    Example:
        >>> from sightline.targets import TopClasses
        >>> head = ClassHead(TopClasses(1), "sigmoid")
        >>> head.read(torch.tensor([[-2.0]]), ("benign", "malignant")).labels
        (('benign',),)
    """

    of: Target
    meaning: Meaning = "softmax"
    strict: bool = True

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        if isinstance(self.of, LogSoftmax) and self.meaning in ("given", "exp"):
            raise TargetError(
                "a log-softmax is taken of logits, but this model's outputs are probabilities or their logarithms "
                "already; leave the score out"
            )
        if classes is None and not self.strict:
            return  # what the model carries may not fit its outputs, which nobody has seen yet
        one = classes == 1 or (classes is None and labels is not None and len(labels) == 1)
        sides = _sides(labels) if one and self._has_sides(labels) else None
        if sides is None and labels is not None and classes not in (None, len(labels)):
            if self.strict:
                raise TargetError(misfit(labels, classes or 0))
            labels = None
        self.of.check(classes if sides is None else 2, labels if sides is None else sides)

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return self.of.row_count()

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        return replace(self, of=self.of.rows(part))

    def frozen(self, output: Any, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        return replace(self, of=self.of.frozen(*self._scores(output, labels)))

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        scores, names = self._scores(output, labels)
        readout = self.of.read(scores, names)
        if readout.indices is None:
            return readout
        chances = self._chances(scores.detach(), isinstance(names, Sides))
        return replace(readout, probabilities=None if chances is None else chances.gather(1, readout.indices))

    def _scores(self, output: Tensor, labels: Labels) -> tuple[Float[Tensor, "b c"], Labels]:
        """Scores of the classes, and their names."""
        logits = class_logits(output)
        count = logits.shape[1]
        if labels is None:
            return logits, (HIGHER,) if count == 1 else None
        if count == 1 and self._has_sides(labels):
            other = 1 - logits if self.meaning == "given" else -logits
            first, second = (logits, other) if len(labels) == 1 else (other, logits)
            return torch.cat([first, second], 1), _sides(labels)
        if len(labels) != count and not self.strict:
            return self._scores(output, None)
        if len(labels) != count:
            raise TargetError(misfit(labels, count))
        return logits, labels

    def _has_sides(self, labels: Sequence[str] | None) -> bool:
        """Whether a single output decides between two names; one name may also be that of a value."""
        return labels is not None and (len(labels) == 2 or (len(labels) == 1 and self.meaning is not None))

    def _chances(self, scores: Float[Tensor, "b c"], sides: bool) -> Float[Tensor, "b c"] | None:
        """Probability of every class."""
        wide = scores if scores.dtype == torch.float64 else scores.float()
        if self.meaning in ("given", None):
            return wide if self.meaning else None
        if self.meaning == "exp":
            return wide.exp()
        if self.meaning == "sigmoid" or sides:
            return wide.sigmoid()
        return wide.softmax(1) if scores.shape[1] > 1 else None


def _sides(labels: Sequence[str] | None) -> Sides:
    """The names of both sides of one logit."""
    names = tuple(labels or ())
    return Sides(names if len(names) == 2 else (*names, f"not {names[0]}"))


def misfit(labels: Sequence[str], count: int) -> str:
    """The sentence for labels that are not as many as the model's outputs."""
    background = len(labels) == count + 1 and labels[0].lower() in ("background", "__background__", "dummy")
    advice = (
        "the first name is a background class that this model does not have: leave it out"
        if background
        else "give the labels that the model was trained with, one for each output"
    )
    outputs = "1 output" if count == 1 else f"{count} outputs"
    return f"there are {len(labels)} labels, but the model has {outputs}; {advice}"
