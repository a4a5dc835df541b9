"""Between which numbers the pixels of an input lie, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sightline.errors import MethodError
from sightline.explainers.method import Request

SLACK = 1e-3
"""How far beyond its range a pixel may lie, as a share of it: that much is rounding."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """The smallest and the largest value of each channel.

    Args:
        low, high: they broadcast to the inputs.
        origin: how they are known, in words.
    """

    low: Tensor
    high: Tensor
    origin: str

    def words(self, sample: int = 0) -> str:
        """A sentence on what was taken for a sample."""
        low, high = (_numbers(ends[min(sample, len(ends) - 1)]) for ends in (self.low, self.high))
        return f"The pixels lie between {low} and {high}: {self.origin}."


def bounds_of(request: Request) -> Bounds:
    """The bounds that the options name, else those of the preprocessing, else each sample's own.

    Raises:
        MethodError: only one of `low` and `high` is given, they are no numbers, too many, or inputs lie beyond them.
    """
    x = request.inputs
    axis = request.adapter.structure(x).channel_axis
    low, high = request.option("low", None), request.option("high", None)
    if (low is None) != (high is None):
        raise MethodError("the options low and high of lrp come together; give both, or none")
    if low is not None:
        ends = _per_channel(low, "low", x, axis), _per_channel(high, "high", x, axis)
        bounds = Bounds(*ends, "so say the options low and high")
        if not _hold(bounds, x):
            raise MethodError(
                f"the options low and high of lrp say that inputs lie between {_numbers(bounds.low[0])} and "
                f"{_numbers(bounds.high[0])}, but these go from {float(x.min()):g} to {float(x.max()):g}; give the "
                "range of the inputs as the model takes them, normalised, or leave both out"
            )
        return bounds
    settings = request.preprocess or _settings_of(request.adapter.model)
    known = None if settings is None else _normalised(settings, x, axis)
    if known is not None and _hold(known, x):
        return known
    dims = tuple(d for d in range(1, x.ndim) if d != axis)
    why = "the preprocessing is not known" if known is None else "they lie beyond those of the preprocessing"
    return Bounds(
        x.amin(dims, keepdim=True),
        x.amax(dims, keepdim=True),
        f"the ends of each channel of the input itself, as {why}",
    )


def _per_channel(value: Any, name: str, x: Tensor, axis: int | None) -> Tensor:
    """One number for all channels, or one for each."""
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, Tensor):
        parts = parts.flatten().tolist()
    parts = list(parts) if isinstance(parts, Sequence) else [parts]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        raise MethodError(f"the option {name} is a number, or one for each channel, not {value!r}") from None
    channels = _channels(x, axis)
    if len(numbers) not in (1, channels):
        raise MethodError(
            f"the option {name} has {len(numbers)} numbers, and the inputs have {channels} channels; give one "
            "number, or one for each channel"
        )
    return _along(x.new_tensor(numbers), x, axis)


def _channels(x: Tensor, axis: int | None) -> int:
    return 1 if axis is None else x.shape[axis]


def _along(values: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """One value, or one for each channel, shaped to work on the inputs."""
    return values.reshape([-1 if d == (axis or 0) else 1 for d in range(x.ndim)])


def _normalised(settings: Mapping[str, Any], x: Tensor, axis: int | None) -> Bounds | None:
    """What becomes of 0 and 1 in the preprocessing; None where it does not say, or is for other channels."""
    mean, std = (torch.as_tensor(settings.get(name, ()), dtype=torch.float32).flatten() for name in ("mean", "std"))
    if len(mean) != len(std) or len(mean) not in (1, _channels(x, axis)) or not bool((std > 0).all()):
        return None
    low, high = ((end - mean) / std for end in (0.0, 1.0))
    return Bounds(_along(low.to(x), x, axis), _along(high.to(x), x, axis), "0 and 1 after the model's preprocessing")


def _settings_of(model: nn.Module) -> Mapping[str, Any] | None:
    """The preprocessing that a model of timm carries with it."""
    settings = getattr(model, "pretrained_cfg", None)
    return settings if isinstance(settings, Mapping) else None


def _hold(bounds: Bounds, x: Tensor) -> bool:
    """Whether the inputs lie within the bounds."""
    slack = SLACK * (bounds.high - bounds.low).clamp_min(0)
    return bool(((x >= bounds.low - slack) & (x <= bounds.high + slack)).all())


def _numbers(ends: Tensor) -> str:
    """The end of each channel, or the one of all."""
    values = [f"{float(value):.3g}" for value in ends.flatten()]
    return values[0] if len(set(values)) == 1 else f"({', '.join(values[:4])}{', ...' if len(values) > 4 else ''})"
