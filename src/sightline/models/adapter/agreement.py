"""The axis of a result that was made of several tensors: whether theirs speak of the same places."""

from __future__ import annotations

from collections.abc import Iterable

from sightline.models.adapter.axes import Axis, Digit, Parts, feature, known, sources_of


def common(axes: Iterable[Axis], n: int) -> Axis:
    """The axis of a result that reads several: a known one wins over an unknown, two different ones are lost."""
    best = feature(n)
    for axis in axes:
        if axis == best or not known(axis):
            continue
        if not known(best):
            best = axis
        elif not _agree(best, axis):
            return feature(n)
        elif (_shift(axis), -_depth(axis)) < (_shift(best), -_depth(best)):
            best = axis
    return best


def _agree(a: Axis, b: Axis) -> bool:
    """Whether two axes speak of the same places in the same order, but for shifts and padding."""
    if sources_of(a) != sources_of(b):
        return False
    return _plain(a) == _plain(b) or any(isinstance(atom, Parts) for atom in (*a, *b))


def _plain(axis: Axis) -> list[tuple[object, ...]]:
    """What two axes must share: outermost digits of one size divide their source alike at any resolution."""
    return [
        (d.source, d.stride if d.stride * d.size != d.total else None, d.size, d.mirrored, d.window)
        if isinstance(d, Digit)
        else (d.size,)
        for d in axis
    ]


def _depth(axis: Axis) -> int:
    """How much lies inside of its digits; the axis that knows more of it is kept."""
    return sum(atom.stride for atom in axis if isinstance(atom, Digit))


def _shift(axis: Axis) -> int:
    return sum(abs(atom.shift) for atom in axis if isinstance(atom, Digit))
