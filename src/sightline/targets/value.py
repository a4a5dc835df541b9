"""One number that a model gives: a regression, and what speaks for a higher or a lower value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.base import Readout, Target

FORM = re.compile("(?:(higher|lower|both)[-_ ])?value(?::([0-9]{1,9}(?:,[0-9]{1,9})*))?")
SIDES: dict[str, tuple[float, ...]] = {"higher": (1.0,), "lower": (-1.0,), "both": (1.0, -1.0)}
"""The signs with which the value is explained."""


@dataclass(frozen=True)
class Value(Target):
    """One value of the output, as it is: `s = y[index]`, or `-y[index]` for what speaks for a lower one.

    Args:
        index: which value of a sample: `(2,)` of outputs `[b, n]`, `(0, 5, 7)` of a depth map `[b, 1, h, w]`; empty
            where there is one value for each sample.
        side: `higher`, `lower`, or `both`, which gives two decisions.

    Example:
        >>> import torch
        >>> Value((1,), side="lower").read(torch.tensor([[3.0, 5.0]]), None).scores
        tensor([[-5.]])
    """

    index: tuple[int, ...] = ()
    side: str = "higher"

    reads_classes = False

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        if self.side not in SIDES:
            raise TargetError(f"the side of a value is 'higher', 'lower' or 'both', not {self.side!r}")

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        self.check(None, labels)
        values = self._values(output)
        signs = SIDES[self.side]
        name = self._name(labels)
        words = tuple(f"{'higher' if sign > 0 else 'lower'} {name}" for sign in signs)
        return Readout(values[:, None] * values.new_tensor(signs), (words,) * len(values))

    def _values(self, output: Tensor) -> Tensor:
        """The value of each sample."""
        if output.ndim == 0 or not output.is_floating_point():
            raise TargetError(f"a value is a number of floats for each sample, but the output is {_kind(output)}")
        if not self.index:
            if output.numel() != len(output):
                raise TargetError(
                    f"the model gives {output[0].numel()} values for each sample, shape {tuple(output.shape[1:])}; "
                    "say which: value:0, or value:0,5,7 for one of several axes"
                )
            return output.reshape(-1)
        if output.ndim == 1:
            output = output[:, None]
        shape = tuple(output.shape[1:])
        fits = len(self.index) == len(shape) and all(0 <= i < n for i, n in zip(self.index, shape, strict=True))
        if not fits:
            raise TargetError(
                f"there is no value {','.join(map(str, self.index))} in an output of {_kind(output)}: each sample "
                f"has shape {shape}"
            )
        return output.movedim(0, -1)[self.index]

    def _name(self, labels: Sequence[str] | None) -> str:
        at = self.index[0] if len(self.index) == 1 else 0
        if labels is not None and len(self.index) <= 1 and at < len(labels):
            return labels[at]
        return "value" + (f" {','.join(map(str, self.index))}" if self.index else "")


def value_of(text: str) -> Value | None:
    """The value that a text means: `value`, `value:2`, `lower value`, `both value:0,5,7`; None where it is none."""
    match = FORM.fullmatch(text.strip().lower())
    if match is None:
        return None
    return Value(tuple(map(int, match[2].split(","))) if match[2] else (), match[1] or "higher")


def _kind(output: Tensor) -> str:
    return f"shape {tuple(output.shape)}" + ("" if output.is_floating_point() else f" and type {output.dtype}")
