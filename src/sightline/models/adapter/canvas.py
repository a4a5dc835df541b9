"""Tensors that are filled part by part: a batch that is padded picture by picture, a row of tokens with a gap.

Such a tensor begins as a constant; what is written into a view of it is known, so in the end the whole is known too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from sightline.models.adapter.axes import BATCH, Axes, concatenated, feature, padded, source, whole_digit

VIEWS = ("select", "slice", "narrow")


@dataclass(eq=False)
class Canvas:
    """What has been written into a constant.

    Args:
        shape: its shape.
        axes: what lies along its axes so far.
        samples: which samples were written along `batch`, the axis that samples lie along.
    """

    shape: tuple[int, ...]
    axes: Axes | None = None
    samples: set[int] = field(default_factory=set)
    batch: int | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """A view of a canvas.

    Args:
        base: the canvas itself.
        spans: start and stop along each axis of the base.
        dims: for each axis of the view, the base's axis.
        chosen: axes of the base at which one entry was chosen, and which.
    """

    base: Tensor
    spans: tuple[tuple[int, int], ...]
    dims: tuple[int, ...]
    chosen: tuple[tuple[int, int], ...] = ()


class Canvases:
    """All constants of a recording into which something was written, and views of them."""

    def __init__(self) -> None:
        self._regions = WeakTensorKeyDictionary()
        self._canvases = WeakTensorKeyDictionary()

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor in self._canvases or tensor in self._regions

    def view(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        """A view of a constant was taken."""
        of = args[0]
        region = self._region(of)
        dim = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % of.ndim
        at = region.dims[dim]
        if name == "select":
            index = args[2] % of.shape[dim]
            rest = tuple(d for i, d in enumerate(region.dims) if i != dim)
            low = region.spans[at][0] + index
            spans = _with(region.spans, at, (low, low + 1))
            self._regions[result] = Region(region.base, spans, rest, (*region.chosen, (at, low)))
            return
        start = args[2] if len(args) > 2 and args[2] is not None else kwargs.get("start") or 0
        start = start + of.shape[dim] if start < 0 else start
        low = region.spans[at][0] + start
        spans = _with(region.spans, at, (low, low + result.shape[dim]))
        if len(args) < 5 or args[4] == 1:
            self._regions[result] = replace(region, spans=spans)

    def paint(self, view: Tensor, axes: Axes, sample: int | None) -> tuple[Tensor, Axes] | None:
        """Something known was written into a tensor.

        Returns:
            The canvas and what is known of it now; None if the tensor is no view of one.
        """
        region = self._regions.get(view)  # type: ignore[no-untyped-call]
        if region is None:
            return None
        base = region.base
        canvas = self._canvases.get(base)  # type: ignore[no-untyped-call]
        if canvas is None:
            canvas = self._canvases[base] = Canvas(tuple(base.shape))
        rows: Axes = [feature(n) for n in canvas.shape]
        for axis, dim in zip(axes, region.dims, strict=True):
            rows[dim] = _placed(axis, region.spans[dim], canvas.shape[dim])
        if region.chosen:
            if len(region.chosen) > 1 or sample != region.chosen[0][1]:
                return None
            canvas.batch = region.chosen[0][0]
            canvas.samples.add(sample)
            if canvas.axes is not None and canvas.axes[: canvas.batch] + canvas.axes[canvas.batch + 1 :] != (
                rows[: canvas.batch] + rows[canvas.batch + 1 :]
            ):
                return None
            if canvas.samples == set(range(canvas.shape[canvas.batch])):
                rows[canvas.batch] = source(BATCH, canvas.shape[canvas.batch])
        canvas.axes = rows
        return base, rows

    def _region(self, tensor: Tensor) -> Region:
        region: Region | None = self._regions.get(tensor)  # type: ignore[no-untyped-call]
        if region is not None:
            return region
        return Region(tensor, tuple((0, n) for n in tensor.shape), tuple(range(tensor.ndim)))


def _with(spans: tuple[tuple[int, int], ...], at: int, span: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return (*spans[:at], span, *spans[at + 1 :])


def _placed(axis: Any, span: tuple[int, int], n: int) -> Any:
    """An axis with whatever lies before and behind it."""
    before, after = span[0], n - span[1]
    if not before and not after:
        return axis
    if whole_digit(axis) is not None:
        return padded(axis, before, after)
    parts = [(before, feature(before)), (span[1] - span[0], axis), (after, feature(after))]
    return concatenated([part for part in parts if part[0]])
