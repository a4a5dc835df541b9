"""Where structures are kept: recorded once for each model, its tree of modules, and the shape of its input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import call as called
from operator import is_
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from sightline.common.chunks import out_of_memory
from sightline.common.modes import leave_as_found
from sightline.common.threads import marks, tree
from sightline.models.adapter.call import Call
from sightline.models.adapter.layout import Layout
from sightline.models.adapter.recording import Recording, Tracked, record
from sightline.models.adapter.structure import Structure


def structure_of(
    model: nn.Module, call: Call, x: Tensor, names: Sequence[str] | None = None, *, fresh: bool = False
) -> Structure:
    """The structure of a model for inputs like these, from the shelf where neither has changed.

    Args:
        model: the plain module.
        call: how it is called.
        x: the input that is explained.
        names: what the axes of places are called.
        fresh: whether to record anew in any case.
    """
    shelf = _SHELVES.setdefault(model, {})
    key: tuple[Any, ...] = (tuple(x.shape[1:]), x.dtype, x.device, call.signature, tuple(names or ()))
    entry = shelf.get((*key, len(x))) or shelf.get(key)
    known = marks()
    if not fresh and entry is not None and (entry in known or entry.holds(model)):
        known.add(entry)
        return entry.structure
    recording, batch = _recorded(model, call, x)
    structure = Structure(model, recording, tuple(x.shape[1:]), batch, names)
    if batch != len(x) and not structure.blocks:
        # A model that takes its samples one by one is read where there is one.
        with leave_as_found(model):
            own = Structure(model, record(model, lambda given: call(model, given), x), structure.shape, len(x), names)
        key, structure = ((*key, len(x)), own) if own.blocks else (key, structure)
    if len(shelf) >= SHELF:
        shelf.pop(next(iter(shelf)))
    shelf[key] = _Entry.of(structure, model)
    return structure


SHELF = 16
"""Shapes for which a model's structure is kept."""


def _recorded(model: nn.Module, call: Callable[[nn.Module, Tensor], Any], x: Tensor) -> tuple[Recording, int]:
    """A recording on two samples, so that the axis of samples cannot be taken for one of size 1; else on all."""
    rows = torch.arange(2, device=x.device) % len(x)
    with leave_as_found(model):
        try:
            return record(model, lambda two: call(model, two), x.detach()[rows]), 2
        except Exception as problem:
            if out_of_memory(problem) or len(x) == 2:
                raise
    with leave_as_found(model):
        return record(model, lambda given: call(model, given), x), len(x)


@dataclass(frozen=True, eq=False)
class _Entry:
    """A structure and the modules for which it holds."""

    structure: Structure
    modules: tuple[ReferenceType[nn.Module], ...]
    forwards: tuple[object, ...]

    @classmethod
    def of(cls, structure: Structure, model: nn.Module) -> _Entry:
        modules = tree(model)
        return cls(structure, tuple(map(ref, modules)), tuple(_forwards(modules)))

    def holds(self, model: nn.Module) -> bool:
        """Whether the tree is made of the very same modules, which run in the same way."""
        modules = tree(model)
        same = len(modules) == len(self.modules) and all(map(is_, map(called, self.modules), modules))
        return same and all(map(is_, _forwards(modules), self.forwards))


def _forwards(modules: Iterable[nn.Module]) -> list[object]:
    """Forwards that were put upon modules themselves."""
    return [own.get("forward") for own in map(vars, modules)]


_SHELVES: WeakKeyDictionary[nn.Module, dict[Any, _Entry]] = WeakKeyDictionary()


def output_layout(model: nn.Module, call: Callable[[nn.Module, Tensor], Any], x: Tensor) -> Layout | None:
    """How what a model returns is laid out over its input; None where it has no places."""
    recording, batch = _recorded(model, call, x)
    structure = Structure(model, recording, tuple(x.shape[1:]), batch)
    entries: Iterable[Tracked] = recording.output
    layouts = (structure._layout(entry) for entry in entries)
    return next((layout for layout in layouts if layout is not None), None)
