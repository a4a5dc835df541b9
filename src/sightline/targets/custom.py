"""Any callable as a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sightline.common.chunks import out_of_memory
from sightline.errors import TargetError
from sightline.targets.base import Readout, Target
from sightline.targets.outputs import describe


@dataclass(frozen=True)
class Custom(Target):
    """A callable that turns the model's raw output into scores.

    Args:
        function: output of the model to `[b]` or `[b, k]` differentiable scores. It is not known what it does
            with a batch, so methods that mask or change inputs ask it about one changed batch at a time.
        label: what is explained, in words; a list gives one name per score.
    """

    function: Callable[[Any], Tensor]
    label: str | tuple[str, ...] = "custom score"

    wants_raw = True
    reads_rows = False

    def read(self, output: Any, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        scores = self._scores(output)
        if not isinstance(scores, Tensor) or scores.ndim not in (1, 2):
            kind = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise TargetError(f"a custom target must return scores of shape [batch] or [batch, k], but gave {kind}")
        scores = scores[:, None] if scores.ndim == 1 else scores
        return Readout(scores, (self._names(scores.shape[1]),) * len(scores))

    def _scores(self, output: Any) -> Any:
        try:
            return self.function(output)
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as problem:
            if out_of_memory(problem):
                raise
            reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
            raise TargetError(
                f"the callable target failed ({type(problem).__name__}: {reason}) on what the model returned: "
                f"{describe(output)}"
            ) from problem

    def _names(self, k: int) -> tuple[str, ...]:
        if isinstance(self.label, str):
            return (self.label,) if k == 1 else tuple(f"{self.label} {i}" for i in range(k))
        if len(self.label) != k:
            raise TargetError(f"a custom target returned {k} scores per sample but has {len(self.label)} labels")
        return self.label
