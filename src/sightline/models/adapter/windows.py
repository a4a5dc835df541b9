"""The rules of operations that cut windows out of axes, put them together, or turn axes into spectra."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.models.adapter.axes import Axes, feature, known, resized, whole_digit
from sightline.models.adapter.operations import Operation, rule


@rule("im2col")
def _unfold(op: Operation) -> Sequence[Axes]:
    """Windows one behind the other, each flattened into channels."""
    kernel, dilation, padding, stride = op.args[1:5]
    sides = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(op.x.shape[-2:], kernel, dilation, padding, stride, strict=True)
    ]
    y, x = (resized(a, n) for a, n in zip(op.axes[-2:], sides, strict=True))
    return [[*op.axes[:-3], feature(op.y.shape[-2]), (*y, *x)]]


@rule("col2im")
def _fold(op: Operation) -> Sequence[Axes]:
    windows = [atom for atom in op.axes[-1] if known((atom,))]
    if len(windows) != 2 or any(whole_digit((atom,)) is None for atom in windows):
        return []
    sides = [resized((atom,), n) for atom, n in zip(windows, op.y.shape[-2:], strict=True)]
    return [[*op.axes[:-2], feature(op.y.shape[-3]), *sides]]


@rule("unfold")
def _windows(op: Operation) -> Sequence[Axes]:
    dim = op.args[1] % op.x.ndim
    axes = [resized(a, op.y.shape[d]) if d == dim else a for d, a in enumerate(op.axes)]
    return [[*axes, feature(op.args[2])]]


@rule("as_strided")
def _frames(op: Operation) -> Sequence[Axes]:
    """Windows along the last axis, as a spectrogram takes them; every other way of striding is lost."""
    size, stride, step = list(op.args[1]), list(op.args[2]), op.x.stride()
    whole = op.argument(3, "storage_offset", None) in (None, op.x.storage_offset())
    leading = size[:-2] == list(op.x.shape[:-1]) and stride[:-2] == list(step[:-1])
    if not whole or not leading or len(size) != op.x.ndim + 1 or stride[-1] != step[-1]:
        return []
    return [[*op.axes[:-1], resized(op.axes[-1], size[-2]), feature(size[-1])]]


@rule("_fft_r2c", "_fft_c2r", "_fft_c2c")
def _spectrum(op: Operation) -> Sequence[Axes]:
    """Every number of the transformed axes goes into every other; the rest of the axes stays."""
    transformed = {d % op.x.ndim for d in op.args[1]}
    return [[feature(n) if d in transformed else op.axes[d] for d, n in enumerate(op.y.shape)]]
