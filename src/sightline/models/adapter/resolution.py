"""Places at another resolution: what sliding windows make of a tensor whose places stand in several of its axes.

A partition into windows, a space-to-depth or a patch embedding leaves digits of one source in several axes; what
slides along one of them changes what the others stand for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sightline.models.adapter.axes import BATCH, Atom, Axes, Axis, Digit, axis_size, feature, resized, whole_digit


def rescaled(axes: Axes, sizes: Mapping[int, int]) -> Axes:
    """What windows that slide along some axes of a tensor make of all of them.

    A digit that is only a part of its source (windows of a partition, or what a space-to-depth left) is resized
    where it stands, and the other digits of that source follow.

    Args:
        axes: of the tensor.
        sizes: new size of each axis along which they slide.
    """
    out = list(axes)
    for dim, n in sizes.items():
        digit = out[dim][0] if len(out[dim]) == 1 else None
        if not isinstance(digit, Digit) or digit.whole or digit.source == BATCH:
            same = isinstance(digit, Digit) and digit.shift and n == digit.size
            out[dim] = out[dim] if same else resized(out[dim], n)
        elif n != digit.size:
            out = [_with_digit_of(axis, digit, n) for axis in out]
            out[dim] = feature(n) if _displaced(digit) else out[dim]
    return out


def overhanging(axes: Axes, before: Axes, strides: Sequence[int]) -> Axes:
    """Axes along which a kernel has slid, those of stride 1 with the places that it made beyond the ends.

    Args:
        axes: of what it made.
        before: axes of what it read.
        strides: of every axis; the last one holds for those that follow.
    """
    out = list(axes)
    for dim in range(2, len(out)):
        new, old = whole_digit(out[dim]), whole_digit(before[dim])
        if new is not None and old is not None and strides[min(dim, len(strides) - 1)] == 1:
            out[dim] = (replace(new, overhang=max(0, old.overhang + new.size - old.size)),)
    return out


def _resolutions(axis: Axis) -> int:
    """At how many resolutions one source lies along an axis."""
    totals = {(atom.source, atom.total) for atom in axis if isinstance(atom, Digit)}
    return len(totals) - len({name for name, _ in totals}) + 1


def _displaced(digit: Digit) -> bool:
    return bool(digit.shift or digit.before or digit.after)


def _with_digit_of(axis: Axis, digit: Digit, n: int) -> Axis:
    """An axis of a tensor in which a digit gets another size."""

    def scaled(atom: Atom) -> Atom:
        if not isinstance(atom, Digit) or (atom.source, atom.total) != (digit.source, digit.total):
            return atom
        total = atom.total // digit.size * n
        if atom == digit:
            return replace(atom, size=n, total=total)
        return replace(
            atom, stride=atom.stride // digit.size * n if atom.stride > digit.stride else atom.stride, total=total
        )

    return tuple(scaled(atom) for atom in axis)


def coarsened(axes: Axes) -> Axes:
    """Digits whose inner ones are nowhere in the tensor any more are whole: coarser places of their source.

    An axis of digits at several resolutions (queries of one window, asked in every window) is no place of any.
    """
    axes = [axis if _resolutions(axis) < 2 else feature(axis_size(axis)) for axis in axes]
    digits = [atom for axis in axes for atom in axis if isinstance(atom, Digit)]
    if all(digit.whole for digit in digits):
        return axes
    inner = {name: math.gcd(*(d.stride for d in digits if d.source == name)) for name in {d.source for d in digits}}
    for digit in digits:
        if digit.source == BATCH or _displaced(digit) or digit.total % inner[digit.source]:
            inner[digit.source] = 1
    if all(k == 1 for k in inner.values()):
        return axes

    def coarse(atom: Atom) -> Atom:
        if not isinstance(atom, Digit):
            return atom
        k = inner[atom.source]
        return replace(atom, stride=atom.stride // k, total=atom.total // k)

    return [tuple(map(coarse, axis)) for axis in axes]
