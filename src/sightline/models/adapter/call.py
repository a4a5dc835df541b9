"""`Call`: how a model is called with the tensor that is explained - alone, or with others beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from sightline.common.chunks import out_of_memory
from sightline.common.nested import mapped, tensors_of
from sightline.errors import ModelError, SightlineError


class _Hole:
    """Where the explained tensor goes."""

    def __repr__(self) -> str:
        return "the explained input"


HOLE = _Hole()


@dataclass(frozen=True, eq=False)
class Call:
    """Arguments of a model, with a hole for the tensor that is explained.

    Tensors beside it whose first axis has a row for each sample go with it: they are cut with a batch and repeated
    with its variants.

    Args:
        args: positional arguments.
        kwargs: arguments by name.
        samples: number of samples that the others were given for; 0 where there are none.
    """

    args: tuple[Any, ...] = (HOLE,)
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 0

    def __call__(self, model: nn.Module, x: Tensor) -> Any:
        """What the model returns for these samples, or variants of them (sample by sample, variant by variant)."""
        if self is PLAIN:
            return model(x)
        index = torch.arange(len(x)) % max(self.samples, 1)
        args, kwargs = self._rows(index, len(x) == self.samples)
        return model(
            *(x if arg is HOLE else arg for arg in args),
            **{name: x if arg is HOLE else arg for name, arg in kwargs.items()},
        )

    def rows(self, part: slice) -> Call:
        """The call for some of the samples."""
        if self is PLAIN:
            return self
        index = torch.arange(self.samples)[part]
        args, kwargs = self._rows(index, False)
        return replace(self, args=args, kwargs=kwargs, samples=len(index))

    def _rows(self, index: Tensor, same: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def take(tensor: Tensor) -> Tensor:
            has_rows = tensor.ndim > 0 and len(tensor) == self.samples
            return tensor if same or not has_rows else tensor[index.to(tensor.device)]

        return mapped(self.args, take), mapped(dict(self.kwargs), take)

    @property
    def signature(self) -> tuple[Any, ...]:
        """What of the call a recorded structure depends on: names, and shapes and types without the samples."""
        if self is PLAIN:
            return ()
        names = (len(self.args), *self.kwargs)
        others = tensors_of((self.args, dict(self.kwargs)))
        return (*names, *((tuple(t.shape[1:]), t.dtype) for t in others))


PLAIN = Call()
"""The model is called with the explained tensor alone."""

OWN_PROBLEMS = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError, KeyError)
"""What a model raises that does not like its input."""


@contextmanager
def told(model: nn.Module, x: Tensor) -> Iterator[None]:
    """What goes wrong inside the model is told in a sentence that says on what.

    Raises:
        ModelError: the model raised an error of its own; the original is its cause. Memory shortage passes through.
    """
    try:
        yield
    except OWN_PROBLEMS as problem:
        if out_of_memory(problem) or isinstance(problem, SightlineError):
            raise
        reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise ModelError(
            f"{type(model).__name__} failed on inputs of shape {tuple(x.shape)}: {reason}; "
            "check the size, channels and normalisation that it was built for"
            + ("; if this is one picture, add the batch axis with inputs[None]" if x.ndim == 3 else "")
        ) from problem
