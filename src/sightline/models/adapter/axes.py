"""What the axes of a tensor are: places of the input, features, or something foreign between them.

An axis is a product of atoms, outermost first. A `Digit` is a digit of an index along one axis of the input, as a
reshape makes it: `(index // stride) % size`. A `Feature` is everything else. Where several things lie one behind the
other along one axis (class tokens before places), the axis is one `Parts`, which no reshape can split.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

BATCH = "b"
WHOLE = (Fraction(0), Fraction(1))


@dataclass(frozen=True)
class Digit:
    """A digit of the index along one axis of the input.

    Args:
        source: which axis of the input.
        stride: how many places of the source lie between neighbours.
        size: how many values it takes.
        total: how many places the source has at this resolution.
        before, after: how many of them are padding, at either end.
        shift: by how many places the source was rolled.
        mirrored: whether it runs backwards.
        window: which part of the source it is, as shares of its length: less than all of it behind a crop.
        overhang: how many places more there are than the source has, since kernels look beyond its ends.
    """

    source: str
    stride: int
    size: int
    total: int
    before: int = 0
    after: int = 0
    shift: int = 0
    mirrored: bool = False
    window: tuple[Fraction, Fraction] = WHOLE
    overhang: int = 0

    @property
    def whole(self) -> bool:
        """Whether it is the whole source."""
        return self.stride == 1 and self.size == self.total


@dataclass(frozen=True)
class Feature:
    """Channels, or anything else that is no place of the input."""

    size: int


@dataclass(frozen=True)
class Parts:
    """Several things one behind the other: the number of entries of each, and its atoms (None where foreign)."""

    parts: tuple[tuple[int, tuple[Digit | Feature, ...] | None], ...]

    @property
    def size(self) -> int:
        """Number of entries."""
        return sum(n for n, _ in self.parts)


Atom = Digit | Feature | Parts
Axis = tuple[Atom, ...]
Axes = list[Axis]


def feature(n: int) -> Axis:
    """An axis without places."""
    return (Feature(n),)


def source(name: str, n: int) -> Axis:
    """An axis that is one axis of the input, whole."""
    return (Digit(name, 1, n, n),)


def resized(axis: Axis, n: int) -> Axis:
    """What a window that slides along an axis makes of it: the same source at another resolution."""
    digit = axis[0] if len(axis) == 1 else None
    if isinstance(digit, Digit) and digit.whole and not digit.shift:
        ratio, rest = divmod(digit.size, n)
        # Windows that lie side by side keep whole ones of padding; other kernels have used it up.
        kept = not rest and not digit.before % ratio and not digit.after % ratio
        ends = (digit.before // ratio, digit.after // ratio) if kept else (0, 0)
        return (Digit(digit.source, 1, n, n, *ends, mirrored=digit.mirrored, window=digit.window),)
    return feature(n)


def axis_size(axis: Axis) -> int:
    """Number of entries along an axis."""
    return math.prod(atom.size for atom in axis)


def known(axis: Axis) -> bool:
    """Whether something of the input lies along it."""
    return any(not isinstance(atom, Feature) for atom in axis)


def sources_of(axis: Axis) -> set[str]:
    """Which axes of the input lie along it."""
    names: set[str] = set()
    for atom in axis:
        if isinstance(atom, Digit):
            names.add(atom.source)
        elif isinstance(atom, Parts):
            names.update(*(sources_of(inner) for _, inner in atom.parts if inner is not None))
    return names


def whole_digit(axis: Axis) -> Digit | None:
    """The digit of an axis that is one whole source; None where it is something else."""
    return axis[0] if len(axis) == 1 and isinstance(axis[0], Digit) and axis[0].whole else None


def joined(atoms: Iterable[Atom]) -> Axis:
    """Neighbouring atoms as one where they are one: an outer digit with its inner one, features with features."""
    out: list[Atom] = []
    for atom in atoms:
        last = out[-1] if out else None
        if atom.size == 1 and not isinstance(atom, Digit):
            continue
        if isinstance(atom, Feature) and isinstance(last, Feature):
            out[-1] = Feature(last.size * atom.size)
        elif isinstance(atom, Digit) and isinstance(last, Digit) and _follow(last, atom):
            out[-1] = replace(atom, size=atom.size * last.size)
        else:
            out.append(atom)
    return tuple(out)


def _follow(outer: Digit, inner: Digit) -> bool:
    """Whether two digits of one index stand as in that index."""
    return outer == replace(inner, stride=inner.stride * inner.size, size=outer.size)


def reshaped(axes: Sequence[Axis], shape: Sequence[int]) -> Axes | None:
    """Axes of a view of another shape: atoms are split and joined where products of sizes meet.

    Returns:
        None where they do not meet.
    """
    waiting = [atom for axis in axes for atom in axis if atom.size != 1 or isinstance(atom, Digit)]
    waiting.reverse()
    out: Axes = []
    for n in shape:
        atoms: list[Atom] = []
        have = 1
        while have < n:
            if not waiting:
                return None
            atom = waiting.pop()
            if atom.size == 1:
                continue
            need, rest = divmod(n, have)
            if rest:
                return None
            if need % atom.size == 0:
                atoms.append(atom)
                have *= atom.size
                continue
            if atom.size % need or isinstance(atom, Parts):
                return None
            outer, inner = _split(atom, need)
            atoms.append(outer)
            waiting.append(inner)
            have = n
        out.append(joined(atoms))
    return out


def _split(atom: Digit | Feature, outer: int) -> tuple[Atom, Atom]:
    inner = atom.size // outer
    if isinstance(atom, Feature):
        return Feature(outer), Feature(inner)
    return replace(atom, stride=atom.stride * inner, size=outer), replace(atom, size=inner)


def concatenated(parts: Sequence[tuple[int, Axis]]) -> Axis:
    """The axis of a concatenation along it."""
    if not any(known(axis) for _, axis in parts):
        return feature(sum(n for n, _ in parts))
    side_by_side = _side_by_side([axis for _, axis in parts])
    if side_by_side is not None:
        return side_by_side
    flat: list[tuple[int, tuple[Digit | Feature, ...] | None]] = []
    for n, axis in parts:
        if len(axis) == 1 and isinstance(axis[0], Parts):
            flat.extend(axis[0].parts)
        elif any(isinstance(atom, Parts) for atom in axis) or not known(axis):
            flat.append((n, None))
        else:
            flat.append((n, tuple(atom for atom in axis if not isinstance(atom, Parts))))
    return (Parts(tuple(part for part in flat if part[0])),)


def _side_by_side(axes: Sequence[Axis]) -> Axis | None:
    """Crops of one source that lie side by side, at one resolution, are that source again."""
    digits = [whole_digit(axis) for axis in axes]
    first = digits[0]
    if first is None or len(digits) < 2:
        return None
    scale, at, n = first.size / (first.window[1] - first.window[0]), first.window[0], 0
    for digit in digits:
        if digit is None or digit.source != first.source or digit.shift or digit.mirrored or digit.before:
            return None
        low, high = digit.window
        if digit.after or low != at or high <= low or digit.size / (high - low) != scale:
            return None
        at, n = high, n + digit.size
    return (replace(first, size=n, total=n, window=(first.window[0], at)),)


def cut(axis: Axis, start: int, stop: int, step: int = 1) -> Axis:
    """The axis of a slice: a whole part that is taken away is gone, every k-th entry is the source, coarser."""
    n = axis_size(axis)
    kept = max(0, -(-(stop - start) // step))
    if start == 0 and stop >= n and step == 1:
        return axis
    if len(axis) == 1 and isinstance(axis[0], Parts) and step == 1:
        return _cut_parts(axis[0], start, stop)
    digit = whole_digit(axis)
    if digit is not None:
        if step > 1 and start < step and stop > n - step:
            return resized(axis, kept)
        if step == 1 and not digit.shift and n - kept <= digit.overhang:
            return (replace(digit, size=kept, total=kept, overhang=digit.overhang - (n - kept)),)
        if step == 1 and not (digit.before or digit.after or digit.shift or digit.mirrored):
            low, high = digit.window
            window = (low + (high - low) * Fraction(start, n), low + (high - low) * Fraction(stop, n))
            return (replace(digit, size=kept, total=kept, window=window),)
        before, after = digit.before - start, digit.after - (n - stop)
        # A crop of padding only: what is left is the source, perhaps with some padding still.
        if step == 1 and before >= 0 and after >= 0 and (start or stop < n):
            return (replace(digit, size=kept, total=kept, before=before, after=after),)
    return feature(kept)


def _cut_parts(axis: Parts, start: int, stop: int) -> Axis:
    at, kept = 0, []
    for n, inner in axis.parts:
        low, high = max(start, at), min(stop, at + n)
        if high > low:
            kept.append((high - low, inner if high - low == n else None))
        at += n
    if len(kept) == 1:
        return kept[0][1] if kept[0][1] is not None else feature(kept[0][0])
    return (Parts(tuple(kept)),)


def padded(axis: Axis, before: int, after: int) -> Axis:
    """The axis with entries added at its ends."""
    n = axis_size(axis) + before + after
    if not before and not after:
        return axis
    digit = whole_digit(axis)
    if digit is None or digit.shift:
        return feature(n)
    if before < 0 or after < 0:
        taken = cut(axis, max(-before, 0), axis_size(axis) - max(-after, 0))
        return taken if before <= 0 and after <= 0 else feature(n)
    return (replace(digit, size=n, total=n, before=digit.before + before, after=digit.after + after),)


def rolled(axis: Axis, shift: int) -> Axis:
    """The axis with its entries moved on, those at the end to the front."""
    digit = whole_digit(axis)
    if digit is None:
        return axis if not known(axis) else feature(axis_size(axis))
    moved = (digit.shift + shift) % digit.total
    return (replace(digit, shift=moved - digit.total if moved > digit.total // 2 else moved),)


def mirrored(axis: Axis) -> Axis:
    """The axis read backwards."""
    if not all(isinstance(atom, Digit) for atom in axis):
        return axis if not known(axis) else feature(axis_size(axis))
    return tuple(
        replace(a, mirrored=not a.mirrored, shift=-a.shift, before=a.after, after=a.before)
        for a in axis
        if isinstance(a, Digit)
    )


def coverage(digits: Collection[Digit]) -> tuple[int, int] | None:
    """Whether digits of one source make up its index, each once.

    Returns:
        Places, and how many of the source each of them stands for; None where a digit is missing or comes twice, or
        where they are those of a crop.
    """
    ordered = sorted(digits, key=lambda d: (d.stride, d.size))
    at = coarse = ordered[0].stride  # inner digits may have gone into features (a patch embedding): coarser places
    for digit in ordered:
        if digit.stride != at or digit.total != ordered[0].total or digit.window != WHOLE:
            return None
        at *= digit.size
    return (at // coarse, coarse) if at == ordered[0].total else None
