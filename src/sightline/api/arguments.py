"""Several inputs at once: which of them is explained, and what goes to the model beside it.

A mapping holds arguments by name (a dictionary, or what a processor of Hugging Face makes), a tuple by position.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
import torch
from torch import Tensor

from sightline.errors import InputError, SightlineError
from sightline.models.adapter.call import HOLE, Call
from sightline.results import Explanations

P = ParamSpec("P")
log = logging.getLogger(__name__)

ALL = "all"
"""The word that asks for an explanation over every input in turn."""

USUAL = ("pixel_values", "image", "images", "pixels", "x", "input", "inputs", "pixel_values_videos", "input_values")
"""Names under which the input that is looked at is passed, the first of which is taken where several would do."""

Explained = str | int | None
"""Which input is explained: its name or its position; None finds it."""


@dataclass(frozen=True, eq=False)
class Arguments:
    """The arguments of one call.

    Args:
        values: name or position to value.
    """

    values: Mapping[str | int, Any]

    @classmethod
    def of(cls, inputs: Any) -> Arguments | None:
        """The arguments that were passed; None where one input was."""
        if isinstance(inputs, Mapping):
            return cls({str(name): _as_tensor(value) for name, value in inputs.items()})
        if isinstance(inputs, tuple) and len(inputs) > 1 and any(isinstance(value, Tensor) for value in inputs):
            return cls({position: _as_tensor(value) for position, value in enumerate(inputs)})
        return None

    @property
    def wording(self) -> str:
        """What they are, in words."""
        return ", ".join(f"{name!r} {_kind(value)}" for name, value in self.values.items()) or "nothing"

    def explained(self, wish: Explained) -> str | int:
        """The name or position of the input that is explained.

        Raises:
            InputError: there is none such, or it is not clear which is meant.
        """
        if wish is not None:
            return self._named(wish)
        names = self.candidates()
        if not names:
            raise InputError(
                f"no part of the inputs holds floats, which could be explained; they hold {self.wording}"
            )
        usual: list[str | int] = [name for name in USUAL if name in names]
        most = max(self.values[name].ndim for name in names)
        likely = usual or [name for name in names if self.values[name].ndim == most]
        if len(likely) > 1 and not usual:
            raise InputError(
                f"several parts of the inputs hold floats: {', '.join(map(repr, likely))}; say which is explained by "
                f"explained={likely[0]!r}, or explained='all' for each; they hold {self.wording}"
            )
        return likely[0]

    def candidates(self) -> list[str | int]:
        """Inputs that can be explained: tensors of floats with samples and places."""
        return [
            name
            for name, value in self.values.items()
            if isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1
        ]

    def without(self, name: str | int, samples: int) -> Call:
        """The call with a hole for one of them; tensors with as many rows as there are samples belong to these."""
        filled = {key: HOLE if key == name else value for key, value in self.values.items()}
        args = tuple(value for key, value in filled.items() if isinstance(key, int))
        kwargs = {key: value for key, value in filled.items() if isinstance(key, str)}
        return replace(Call(), args=args, kwargs=kwargs, samples=samples)

    def _named(self, wish: str | int) -> str | int:
        if wish in self.values:
            return wish
        raise InputError(f"the inputs have no part {wish!r} of floats; they hold {self.wording}")


def over_each_input(function: Callable[P, Explanations]) -> Callable[P, Explanations]:
    """`explain`, which with `explained="all"` explains every input in turn; one that cannot be is left out."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Explanations:
        if kwargs.get("explained") != ALL:
            return function(*args, **kwargs)
        arguments = Arguments.of(args[1] if len(args) > 1 else kwargs.get("inputs"))
        if arguments is None or not arguments.candidates():
            raise InputError("explained='all' is for a mapping or a tuple of inputs; leave it out for one input")
        items: list[Any] = []
        problems: dict[str, SightlineError] = {}
        for name in arguments.candidates():
            kwargs["explained"] = name
            try:
                items += function(*args, **kwargs)
            except SightlineError as problem:
                log.warning("the input %s was left out: %s", name, problem)
                problems[str(name)] = problem
        if not items:
            raise next(iter(problems.values()))
        if not problems:
            return Explanations(tuple(items))
        reasons = {name: str(problem) for name, problem in problems.items()}
        return Explanations(
            tuple(replace(item, provenance={**item.provenance, "inputs_left_out": reasons}) for item in items)
        )

    return call


def _as_tensor(value: Any) -> Any:
    """Numbers of numpy as a tensor; anything else as it is."""
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{tuple(value.shape)} {value.dtype}".replace("torch.", "")
