"""How a layer's tensor is laid out: which axes are places of the input, and how it becomes `[b, c, places...]`.

A layout is read off the axes that a recorded forward gave the tensor (`recording`), never off its shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.models.adapter.axes import BATCH, WHOLE, Axes, Axis, Digit, Feature, Parts, coverage

Kind = Literal["grid", "windows", "tokens"]


@dataclass(frozen=True)
class Layout:
    """Where samples, channels and places are in a tensor.

    Args:
        axes: names of the places' axes, as the domain has them: `y x`, `t`, `t y x` or `z y x`.
        size: places along each; 1 where an axis was pooled away.
        shape: sizes into which the tensor's axes are split, -1 for the samples.
        order: those axes in the order samples, channels, places.
        cuts: for axes along which something lies before or behind the places: axis, start and length of the places.
        prefix: entries before the places (class, distillation and register tokens, under any name).
        suffix: entries behind them.
        rolls: places by which each axis was rolled; it is rolled back.
        flips: axes that run backwards; they are turned.
        crops: padding before and behind the places of each axis; it is cut off.
        dims: for each axis of the tensor its size without the samples, and whether samples lie along it.
    """

    axes: tuple[str, ...]
    size: tuple[int, ...]
    shape: tuple[int, ...]
    order: tuple[int, ...]
    cuts: tuple[tuple[int, int, int], ...] = ()
    prefix: int = 0
    suffix: int = 0
    rolls: tuple[int, ...] = ()
    flips: tuple[int, ...] = ()
    crops: tuple[tuple[int, int], ...] = ()
    dims: tuple[tuple[int, bool], ...] = ()
    spread: tuple[int, ...] = field(default=())

    @property
    def kind(self) -> Kind:
        """`grid` is `[b, c, places...]`, `windows` has channels last, `tokens` has its places along one axis."""
        places = sum(n > 1 for n in self.size)
        if self.cuts or (len(self.shape) > len(self.dims) and len(self.dims) == 3 and places > 1):
            return "tokens"
        return "grid" if self.order[:2] == (0, 1) and len(self.spread) == 1 else "windows"

    @property
    def height(self) -> int:
        """Rows of the map, all axes but the last taken together."""
        return math.prod(self.size[:-1])

    @property
    def width(self) -> int:
        """Columns of the map: places along the last axis."""
        return self.size[-1]

    def fits(self, shape: Sequence[int], batch: int) -> bool:
        """Whether a tensor of this shape, of so many samples, is laid out so."""
        return len(shape) == len(self.dims) and all(
            n == m * (batch if samples else 1) for n, (m, samples) in zip(shape, self.dims, strict=True)
        )

    def to_grid(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b c *places"]:
        """The tensor with samples first, channels second and places last; a view wherever one is possible."""
        if self._is_plain:
            return x if tuple(x.shape[2:]) == self.size else x.reshape(*x.shape[:2], *self.size)
        for dim, start, length in self.cuts:
            x = x.narrow(dim, start, length)
        padded = self._padded_size
        channels = self._channel_count
        x = x.reshape(self.shape).permute(self.order).reshape(-1, channels, *padded)
        for axis, shift in enumerate(self.rolls):
            if shift:
                x = x.roll(-shift, axis + 2)
        if self.flips:
            x = x.flip([axis + 2 for axis in self.flips])
        for axis, (before, after) in enumerate(self.crops):
            x = x.narrow(axis + 2, before, padded[axis] - before - after)
        return x

    def folded(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b c h w"]:
        """`to_grid` with all axes of places but the last taken together, so that there are always two."""
        grid = self.to_grid(x)
        return grid if grid.ndim == 4 else grid.reshape(*grid.shape[:2], self.height, self.width)

    @property
    def folds(self) -> bool:
        """Whether something else lies along the axis of the samples: frames before a network of pictures, windows."""
        return any(samples and n > 1 for n, samples in self.dims)

    def by_sample(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b n"]:
        """All numbers of each sample, prefix tokens and all; `x` may be cut short along axes without samples."""
        dim = self._samples
        if dim is None:
            return x.reshape(1, -1)
        rows = (self.outer, -1, self.dims[dim][0] // self.outer)
        return x.reshape(*x.shape[:dim], *rows, *x.shape[dim + 1 :]).movedim(dim + 1, 0).flatten(1)

    @property
    def outer(self) -> int:
        """Rows along the axis of the samples from one sample to the same one again: 1 where samples lie outermost."""
        if self._samples is None:
            return 1
        lengths = {d: length for d, _, length in self.cuts}
        ahead = math.prod(lengths.get(d, n) for d, (n, _) in enumerate(self.dims[: self._samples]))
        return math.prod(self.shape[: self.shape.index(-1)]) // ahead

    @property
    def _samples(self) -> int | None:
        """The axis of the samples."""
        return next((d for d, (_, samples) in enumerate(self.dims) if samples), None)

    def channels(self, shape: tuple[int, ...]) -> int:
        """Number of channels of a tensor of this shape."""
        return self._channel_count

    def on_channels(self, values: Float[Tensor, "b c"], like: Tensor) -> Tensor:
        """A number for each sample and channel, spread over a tensor of this layout, prefix tokens and all."""
        spread = torch.ones(like.shape, dtype=like.dtype, device=like.device)
        places = self.to_grid(torch.arange(like.numel(), device=like.device).reshape(like.shape))
        each = values.to(like.dtype).reshape(*values.shape, *[1] * len(self.size)).expand(places.shape)
        spread.view(-1)[places.reshape(-1)] = each.reshape(-1)
        for dim, start, length in self.cuts:
            for low, high in ((0, start), (start + length, like.shape[dim])):
                spread.narrow(dim, low, high - low).copy_(spread.narrow(dim, start, 1))
        return spread

    @property
    def _is_plain(self) -> bool:
        """Whether the tensor is `[b, c, places...]` already, but for places that were pooled away."""
        moved = self.cuts or self.crops or self.rolls or self.flips
        return not moved and self.order == tuple(range(len(self.dims))) and len(self.spread) == 1

    @property
    def _padded_size(self) -> tuple[int, ...]:
        crops = self.crops or ((0, 0),) * len(self.size)
        return tuple(n + before + after for n, (before, after) in zip(self.size, crops, strict=True))

    @property
    def _channel_count(self) -> int:
        rest = [self.shape[i] for i in self.order[1 : 1 + len(self.spread)]]
        return math.prod(rest)


def layout_of(axes: Axes, places: Sequence[str], names: Sequence[str], batch: int) -> Layout | None:
    """The layout of a tensor.

    Args:
        axes: what lies along its axes.
        places: axes of the input that are places, in order.
        names: what they are called.
        batch: samples of the recording.

    Returns:
        None where the tensor does not hold every sample and, for at least one axis of the input, each place once.
    """
    cuts: list[tuple[int, int, int]] = []
    flat: list[tuple[int, Digit | Feature]] = []
    around = (0, 0)
    for dim, axis in enumerate(axes):
        inner, ends = _without_parts(axis, places)
        if inner is None:
            return None
        if ends is not None:
            cuts.append((dim, ends[0], math.prod(atom.size for atom in inner)))
            around = ends
        flat += [(dim, atom) for atom in inner]
    atoms = [atom for _, atom in flat]
    digits = {name: [a for a in atoms if isinstance(a, Digit) and a.source == name] for name in (BATCH, *places)}
    samples = digits.pop(BATCH)
    covered = {name: coverage(own) for name, own in digits.items() if own}
    if not covered or None in covered.values() or not _holds_samples(samples, batch):
        return None
    if all(c is not None and c[0] == 1 for c in covered.values()) and len(covered) < len(places):
        return None
    ordered = {n: sorted((a for a in own), key=lambda a: -a.stride) for n, own in digits.items()}
    position = {id(atom): i for i, atom in enumerate(atoms)}
    place_order = [position[id(atom)] for name in places for atom in ordered[name]]
    taken = {*place_order, *(position[id(atom)] for atom in samples)}
    rest = [i for i in range(len(atoms)) if i not in taken]
    first = [position[id(atom)] for atom in samples]
    shape = [-1 if isinstance(atom, Digit) and atom.source == BATCH else atom.size for atom in atoms]
    if not first:  # a recording of one sample: its axis may be gone
        shape, first = [*shape, 1], [len(shape)]
    if not rest:
        shape, rest = [*shape, 1], [len(shape)]
    size = [covered[n][0] if n in covered and covered[n] is not None else 1 for n in places]  # type: ignore[index]
    turned = {n: ordered[n][0] for n in covered}
    whole = {n: covered[n] is not None and covered[n][1] == 1 for n in covered}  # type: ignore[index]
    rolls = tuple(turned[n].shift if n in turned and whole[n] else 0 for n in places)
    crops = tuple((turned[n].before, turned[n].after) if n in turned and whole[n] else (0, 0) for n in places)
    return Layout(
        axes=tuple(names),
        size=tuple(n - a - b for n, (a, b) in zip(size, crops, strict=True)),
        shape=tuple(shape),
        order=(*first, *rest, *place_order),
        cuts=tuple(cuts),
        prefix=around[0],
        suffix=around[1],
        rolls=rolls if any(rolls) else (),
        flips=tuple(i for i, n in enumerate(places) if n in turned and turned[n].mirrored),
        crops=crops if any(map(any, crops)) else (),
        dims=_dims(axes),
        spread=tuple(rest),
    )


def _without_parts(axis: Axis, places: Sequence[str]) -> tuple[list[Digit | Feature] | None, tuple[int, int] | None]:
    """The atoms of an axis, those of its only part with places where it has parts; and what lies around that."""
    parts = axis[0] if len(axis) == 1 and isinstance(axis[0], Parts) else None
    if parts is None:
        plain = [atom for atom in axis if not isinstance(atom, Parts)]
        return (plain if len(plain) == len(axis) else None), None
    hits = [
        i
        for i, (_, inner) in enumerate(parts.parts)
        if inner is not None and any(isinstance(a, Digit) and a.source in places for a in inner)
    ]
    if len(hits) != 1:
        return (None, None) if hits else ([Feature(parts.size)], None)
    before = sum(n for n, _ in parts.parts[: hits[0]])
    inner = parts.parts[hits[0]][1] or ()
    return list(inner), (before, parts.size - before - parts.parts[hits[0]][0])


def _holds_samples(samples: Sequence[Digit], batch: int) -> bool:
    return (len(samples) == 1 and samples[0].whole and samples[0].window == WHOLE) or (not samples and batch == 1)


def _dims(axes: Axes) -> tuple[tuple[int, bool], ...]:
    """For each axis its size without the samples, and whether they lie along it."""
    dims = []
    for axis in axes:
        samples = [a for a in axis if isinstance(a, Digit) and a.source == BATCH]
        n = math.prod(atom.size for atom in axis if atom not in samples)
        dims.append((n, bool(samples)))
    return tuple(dims)
