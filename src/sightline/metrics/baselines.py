"""What a deleted element is replaced by: a constant, the mean, a blur, an in-painting, or the caller's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor
from torch.nn import functional

from sightline.errors import InputError, near
from sightline.metrics.elements import Elements
from sightline.metrics.imputation import impute

Filler = Callable[[Tensor, Tensor], Tensor]
"""From samples `[r]` and hidden `[r, ...]` (broadcasts against inputs) to the rows with what is hidden replaced."""
Baseline = str | float | Tensor | Callable[[Tensor], Tensor]
NAMES = ("zero", "mean", "blur", "road")


def filler(baseline: Baseline, inputs: Num[Tensor, "b ..."], elements: Elements, *, seed: int = 0) -> Filler:
    """Make the function that replaces hidden elements.

    Args:
        baseline: `"zero"`; `"mean"`, the mean of each sample and channel over the domain; `"blur"`, a Gaussian blur
            whose width is a twentieth of each side; `"road"`, noisy linear imputation from what is visible
            [rong2022road]; a number (a token's id, say); a tensor that broadcasts against the inputs; a function.
        inputs: the samples.
        elements: how the domain lies over them.
        seed: random seed of the noise of `"road"`.

    Raises:
        InputError: the baseline is unknown, or does not fit these inputs.
    """
    if baseline == "road":
        _need_float(inputs, "road")
        if len(elements.over) != 2 or elements.after:
            raise InputError(
                "the baseline 'road' in-paints pictures [b, c, h, w]; try 'mean' or 'zero' for this domain"
            )
        return lambda samples, hidden: _imputed(inputs, samples, hidden, seed)
    values = _replacement(baseline, inputs, elements)
    if len(values) != len(inputs):
        values = values.expand(len(inputs), *values.shape[1:])
    return lambda samples, hidden: torch.where(hidden, values[samples], inputs[samples])


def _replacement(baseline: Baseline, inputs: Tensor, elements: Elements) -> Tensor:
    """What stands in for deleted elements: one entry per sample or one for all, its other axes broadcast."""
    if isinstance(baseline, str):
        return _named(baseline, inputs, elements)
    if isinstance(baseline, (int, float)):
        return torch.full([1] * inputs.ndim, baseline, dtype=inputs.dtype, device=inputs.device)
    values = baseline if isinstance(baseline, Tensor) else baseline(inputs)
    try:
        return torch.broadcast_to(values.to(inputs), inputs.shape)
    except RuntimeError as problem:
        raise InputError(
            f"a baseline of shape {tuple(values.shape)} does not broadcast against inputs {tuple(inputs.shape)}"
        ) from problem


def _named(name: str, inputs: Tensor, elements: Elements) -> Tensor:
    if name == "zero":
        return inputs.new_zeros([1] * inputs.ndim)
    if name not in NAMES:
        raise InputError(f"there is no baseline {name!r}; {near(name, NAMES)}. A number or a tensor will do as well")
    _need_float(inputs, name)
    if name == "mean":
        return inputs.mean(elements.axes, keepdim=True)
    return blur(inputs, axes=elements.axes)


def _need_float(inputs: Tensor, name: str) -> None:
    if not inputs.is_floating_point():
        raise InputError(
            f"the baseline {name!r} averages values, but the inputs are {inputs.dtype}. "
            "Try: the number of a mask token, or feed embeddings"
        )


def blur(inputs: Float[Tensor, "b ..."], *, axes: tuple[int, ...], width: float = 0.05) -> Float[Tensor, "b ..."]:
    """Gaussian blur along `axes`, its standard deviation `width` of each side, edges mirrored."""
    for axis in axes:
        moved = inputs.movedim(axis, -1)
        side = moved.shape[-1]
        reach = min(side - 1, int(3 * width * side + 0.5))
        if reach < 1:
            continue
        offsets = torch.arange(-reach, reach + 1, device=inputs.device, dtype=inputs.dtype)
        kernel = torch.exp(-0.5 * (offsets / (width * side)) ** 2)
        padded = functional.pad(moved.reshape(-1, 1, side), (reach, reach), mode="reflect")
        smooth = functional.conv1d(padded, (kernel / kernel.sum())[None, None])
        inputs = smooth.reshape(moved.shape).movedim(-1, axis)
    return inputs


def _imputed(
    inputs: Float[Tensor, "b ..."], samples: Int[Tensor, "r"], hidden: Bool[Tensor, "r ..."], seed: int
) -> Tensor:
    rows = inputs[samples]
    pictures = rows if rows.ndim == 4 else rows[:, None]
    missing = hidden.reshape(len(rows), 1, *hidden.shape[-2:])
    return impute(pictures, missing, seed=seed).reshape(rows.shape)
