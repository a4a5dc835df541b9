"""What a network holds at a moment, looked at before it runs and compared behind, so that it can be put back.

A forward empties the caches, so what a look costs is how many objects it touches: each is touched once before and
once behind, in passes that run in C. It knows no mode and no thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, compress, islice
from operator import attrgetter, is_, is_not, itemgetter, methodcaller
from typing import Any

import torch
from torch import Tensor, nn

HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip
TABLES = ("_parameters", "_buffers", "_modules", *HOOKS)
"""Dictionaries in which torch keeps what belongs to a module."""
NAMES = "_non_persistent_buffers_set"
QUANTIZED = frozenset({torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4})
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By size of a number in bytes, a whole number of that size: the same bits, and NaN is equal to itself."""

_COPY = methodcaller("copy")
_ENTRIES = methodcaller("values")
_KIND = attrgetter("device", "dtype", "ndim", "layout")
_GRADIENT = attrgetter("grad")


class Snapshot:
    """What modules hold, and the values of their buffers.

    Args:
        modules: every one of them once.
        buffers: whether buffers and their values belong to it.
    """

    def __init__(self, modules: tuple[nn.Module, ...], *, buffers: bool) -> None:
        self.modules = modules
        self.own = own = [*map(vars, modules)]
        tables = [*chain.from_iterable(map(itemgetter(*TABLES), own))]
        self.parameters = _tensors(tables[:: len(TABLES)])
        self.buffers = _tensors(tables[1 :: len(TABLES)])
        if not buffers:
            del tables[1 :: len(TABLES)]
        self._names = [*map(itemgetter(NAMES), own)]
        self._names_before = [*map(_COPY, self._names)]
        # Attributes first: a table that was replaced as a whole is the old one again before it is refilled.
        self._contents = [_Contents(own), _Contents(tables)]
        self._leaves = [*compress(self.parameters, map(attrgetter("is_leaf"), self.parameters))]
        self._gradients = [*map(_GRADIENT, self._leaves)]
        self._values = Values(self.buffers if buffers else ())

    def put_back(self) -> None:
        """Everything as it was; each step is taken even if another fails, and may be taken twice."""
        with ExitStack() as steps:
            steps.callback(self._values.put_back)
            if any(map(is_not, map(_GRADIENT, self._leaves), self._gradients)):
                for parameter, gradient in zip(self._leaves, self._gradients, strict=True):
                    if parameter.grad is not gradient:
                        steps.callback(setattr, parameter, "grad", gradient)
            if self._names != self._names_before:
                for names, before in zip(self._names, self._names_before, strict=True):
                    steps.callback(names.update, before)
                    names.intersection_update(before)
            for_all(self._contents, lambda contents: contents.put_back())


def for_all(items: Iterable[Any], act: Callable[[Any], object]) -> None:
    """Act on each, also where it fails for another; the last failure is raised at the end."""
    problem: Exception | None = None
    for item in items:
        try:
            act(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are put back first
            problem = error
    if problem is not None:
        raise problem


def _tensors(tables: Iterable[Mapping[str, Any]]) -> list[Any]:
    """What these tables hold, without the places that are kept free."""
    return [tensor for tensor in chain.from_iterable(map(_ENTRIES, filter(None, tables))) if tensor is not None]


class _Contents:
    """The names and values in dictionaries, in their order.

    Values are compared by identity: they may be tensors, or compare in a way of their own.

    Args:
        tables: the dictionaries; most may be empty.
    """

    def __init__(self, tables: list[dict[Any, Any]]) -> None:
        self._tables = tables
        self._filled = [*filter(None, tables)]
        self._sizes, self._names, self._values = _flat(self._filled)

    def put_back(self) -> None:
        """Every dictionary as it was, if anything in any of them is not."""
        filled = [*filter(None, self._tables)]
        sizes, names, values = _flat(filled)
        alike = sizes == self._sizes and names == self._names
        if alike and _same(values, self._values) and _same(filled, self._filled):
            return
        entries = zip(self._names, self._values, strict=True)
        before = {
            id(table): dict(islice(entries, size)) for table, size in zip(self._filled, self._sizes, strict=True)
        }
        for_all(self._tables, lambda table: _refill(table, before.get(id(table), {})))


def _flat(tables: list[dict[Any, Any]]) -> tuple[list[int], list[Any], list[Any]]:
    """Sizes of dictionaries, and the names and values of all of them."""
    return [*map(len, tables)], [*chain.from_iterable(tables)], [*chain.from_iterable(map(_ENTRIES, tables))]


def _same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether they hold the very same objects."""
    return len(one) == len(other) and all(map(is_, one, other))


def _refill(live: dict[str, object], before: Mapping[str, object]) -> None:
    if [*live] == [*before] and not any(map(is_not, live.values(), before.values())):
        return
    for name in live.keys() - before.keys():
        del live[name]
    live.update(before)
    if list(live) != list(before):  # an entry went and came back at the end; in a chain of modules the order counts
        live.clear()
        live.update(before)


class Values:
    """The numbers in tensors, written back into the same tensors where they have changed.

    Tensors of one kind are saved and compared together, and bit by bit: a version counter does not move where `.data`
    or a shared array is written to, and NaN is not equal to itself.

    Args:
        tensors: those whose numbers are saved; meta tensors have none.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        groups: dict[tuple[object, ...], list[Tensor]] = {}
        each = {id(tensor): tensor for tensor in tensors}
        kinds = zip(map(_KIND, each.values()), map(type, each.values()), strict=True)
        for tensor, kind in zip(each.values(), kinds, strict=True):
            groups.setdefault((*kind, tensor.is_inference()), []).append(tensor)
        real = [group for group in groups.values() if not group[0].is_meta]
        joint = [part for group in real for part in ([group] if _plain(group[0]) else [[t] for t in group])]
        self._saved = [(group, [t.shape for t in group], _joined(group)) for group in joint]

    def put_back(self) -> None:
        """The numbers as they were; a tensor that cannot be written to keeps no other one from it."""
        with ExitStack() as steps:
            for group, shapes, values in self._saved:
                unresized = [t.shape for t in group] == shapes
                alike = unresized and {t.dtype for t in group} == {values.dtype}
                if alike and {t.device for t in group} == {values.device} and _equal(_joined(group), values):
                    continue
                parts = torch.split(values, [s.numel() for s in shapes]) if len(group) > 1 else (values,)
                for tensor, shape, part in zip(group, shapes, parts, strict=True):
                    steps.callback(_write, tensor, part.reshape(shape))


def _joined(group: list[Tensor]) -> Tensor:
    """One tensor with the numbers of all, which shares no memory with them."""
    with torch.no_grad():
        if len(group) == 1:
            return group[0].detach().clone()
        if group[0].ndim == 1:
            return torch.cat(group)
        return torch.stack(group) if group[0].ndim == 0 else torch.cat([tensor.reshape(-1) for tensor in group])


def _plain(tensor: Tensor) -> bool:
    """Whether it is numbers in memory and nothing else: not sparse, quantised, or of a class of somebody's."""
    kinds = (Tensor, nn.Parameter)
    return type(tensor) in kinds and tensor.layout is torch.strided and tensor.dtype not in QUANTIZED


def _equal(one: Tensor, other: Tensor) -> bool:
    if not _plain(one):
        return False
    bits = BITS.get(one.element_size(), torch.uint8)
    return torch.equal(*(t.reshape(-1).contiguous().view(bits) for t in (one, other)))


def _write(tensor: Tensor, value: Tensor) -> None:
    # Tensors that were made under inference_mode can be written to only there.
    with torch.inference_mode() if tensor.is_inference() else torch.no_grad():
        if tensor.shape != value.shape or tensor.dtype != value.dtype or tensor.device != value.device:
            tensor.data = value.clone()
        elif not _equal(tensor.detach().clone(), value):
            tensor.copy_(value)
