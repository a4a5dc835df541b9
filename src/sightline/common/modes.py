"""A network in another state for a while, and then exactly as it was: the one place that saves and puts back.

Four contexts are made of one core. Each of them works on every submodule, may be nested, and puts back after an error
or Ctrl-C too:

- `as_found`: the network as it is. Put back are the attributes of every module (so its mode and its flags), hooks,
  the tables of parameters, buffers and parts, `.grad`, the values of buffers, and the random state.
- `evaluating`: in eval mode; put back is the same.
- `leave_as_found`: in eval mode, frozen, run eagerly and differentiable; `requires_grad` is put back as well.
- `restored`: the network as it is, to be changed inside; the values of parameters are put back as well.

While one of them is open, no other thread works on the same modules through Sightline: it waits. What stays is what a
forward does elsewhere - entries in lists of its own, files, other objects - and a thread that runs the network by
itself is not held up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from operator import is_not, itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from sightline.common.differentiable import recurrent_by_torch, without_checkpoints
from sightline.common.randomness import random_state_kept
from sightline.common.threads import alone, claimed, surely, tree

HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip
QUANTIZED = frozenset({torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4})
TABLES_ELSE = itemgetter("_parameters", "_modules", *HOOKS)
TABLES = itemgetter("_parameters", "_modules", "_buffers", *HOOKS)
"""Dictionaries in which torch keeps what belongs to a module."""


@contextmanager
def as_found(model: object, *, buffers: bool = True, randomness: bool = True) -> Iterator[tuple[nn.Module, ...]]:
    """Put a model back as it was found, whatever happens to it inside.

    Args:
        model: a module; any other object is left alone.
        buffers: whether buffers are put back; not, where new statistics are the purpose.
        randomness: whether the random state is put back; not, where data are drawn inside.

    Yields:
        Every submodule once, the model first.
    """
    modules = tree(model)
    with ExitStack() as undo:
        undo.enter_context(claimed(modules))
        if randomness:
            undo.enter_context(random_state_kept(_devices(modules)))
        undo.callback(surely, _Snapshot(modules, buffers=buffers).put_back)
        yield modules


@contextmanager
def evaluating(model: object, *, buffers: bool = True, randomness: bool = True) -> Iterator[None]:
    """Eval mode for every submodule inside; outside, all is as it was.

    Args:
        model: a module; any other object is left alone.
        buffers: as in `as_found`.
        randomness: as in `as_found`.
    """
    with as_found(model, buffers=buffers, randomness=randomness) as modules:
        _evaluate(modules)
        yield


@contextmanager
def leave_as_found(model: nn.Module, *, out_of_place: bool = True) -> Iterator[None]:
    """Evaluate, freeze and listen to a model inside; outside, nothing has changed.

    Inside, every submodule is in eval mode, no parameter requires a gradient, `module.compile()`d and checkpointed
    parts run plainly, and gradients can be taken even under `no_grad` or `inference_mode`, through weights that were
    made there and through recurrent layers on a GPU.

    Args:
        model: the plain module.
        out_of_place: whether in-place layers work out of place inside, so that no activation is overwritten; if not,
            their flags may be changed inside and are put back.
    """
    with ExitStack() as undo:
        modules = undo.enter_context(as_found(model))
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(torch.enable_grad())
        undo.enter_context(without_checkpoints())
        undo.enter_context(recurrent_by_torch(modules))
        _evaluate(modules)
        for own in map(vars, modules):
            if own.get("_compiled_call_impl") is not None:
                own["_compiled_call_impl"] = None
            if out_of_place and own.get("inplace") is True:
                own["inplace"] = False
            for table in (own["_parameters"], own["_buffers"]):
                if table:
                    _stand_in(table)
        learning = [p for m in modules for p in m._parameters.values() if p is not None and p.requires_grad]
        undo.callback(surely, lambda: _for_all(learning, lambda p: p.requires_grad_(True)))
        for parameter in learning:
            parameter.requires_grad_(False)
        yield


@contextmanager
def restored(*models: nn.Module) -> Iterator[None]:
    """Give back models as they were: parameters, buffers, modes and gradients, also after an error.

    Values are written back into the same tensors, so that ties, optimisers and views stay intact.

    Args:
        models: the models that are changed inside.
    """
    with ExitStack() as undo:
        # All at once: two threads that take the same two models one by one would wait for each other.
        undo.enter_context(alone(*models))
        for model in models:
            modules = undo.enter_context(as_found(model, randomness=False))
            parameters = [p for module in modules for p in module._parameters.values() if p is not None]
            undo.callback(surely, _Values(parameters).put_back)
        yield


def _evaluate(modules: Iterable[nn.Module]) -> None:
    for module in modules:
        own = vars(module)
        if "training" in own:
            own["training"] = False  # past a `__setattr__` of the user's, which may forbid it
        elif module.training is not False:
            module.training = False


def _stand_in(table: dict[str, Any]) -> None:
    """Put twins in place of tensors that cannot be frozen or differentiated through; the snapshot puts them back."""
    for name, tensor in table.items():
        if tensor is not None and tensor.is_inference():
            table[name] = tensor.detach().clone()
        elif tensor is not None and not tensor.is_leaf:
            table[name] = tensor.detach()


def _devices(modules: Iterable[nn.Module]) -> set[torch.device]:
    """The GPUs on which a model lies."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return set()
    tensors = (t for m in modules for table in (m._parameters, m._buffers) for t in table.values())
    return {t.device for t in tensors if t is not None and t.is_cuda}


def _for_all(items: Iterable[Any], act: Callable[[Any], object]) -> None:
    """Act on each, also where it fails for another; the last failure is raised at the end."""
    problem: Exception | None = None
    for item in items:
        try:
            act(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are put back first
            problem = error
    if problem is not None:
        raise problem


class _Snapshot:
    """What modules hold, and the values of their buffers.

    Args:
        modules: every one of them once.
        buffers: whether buffers and their values belong to it.
    """

    def __init__(self, modules: Iterable[nn.Module], *, buffers: bool) -> None:
        own = [vars(module) for module in modules]
        tables = [table for live in own for table in (TABLES if buffers else TABLES_ELSE)(live)]
        names = [live["_non_persistent_buffers_set"] for live in own]
        self._empty: list[dict[str, Any] | set[str]] = [table for table in (*tables, *names) if not table]
        # Attributes first: a table that was replaced as a whole is the old one again before it is refilled.
        self._dicts = [(live, live.copy()) for live in own] + [(table, table.copy()) for table in tables if table]
        self._sets = [(own_names, own_names.copy()) for own_names in names if own_names]
        parameters = [p for live in own for p in live["_parameters"].values() if p is not None and p.is_leaf]
        self._gradients = [(parameter, parameter.grad) for parameter in parameters]
        self._values = _Values(b for live in own for b in live["_buffers"].values() if b is not None and buffers)

    def put_back(self) -> None:
        """Everything as it was; each step is taken even if another fails, and may be taken twice."""
        with ExitStack() as steps:
            steps.callback(self._values.put_back)
            for parameter, gradient in self._gradients:
                if parameter.grad is not gradient:
                    steps.callback(setattr, parameter, "grad", gradient)
            for names, before in self._sets:
                if names != before:
                    steps.callback(names.update, before)
                    names.intersection_update(before)
            # By identity: values may be tensors, or compare in a way of their own.
            changed = [
                (live, before)
                for live, before in self._dicts
                if [*live] != [*before] or any(map(is_not, live.values(), before.values()))
            ]
            _for_all(changed, lambda pair: _refill(*pair))
            if any(self._empty):
                _for_all(self._empty, lambda table: table.clear())


def _refill(live: dict[str, object], before: Mapping[str, object]) -> None:
    for name in live.keys() - before.keys():
        del live[name]
    live.update(before)
    if list(live) != list(before):  # an entry went and came back at the end; in a chain of modules the order counts
        live.clear()
        live.update(before)


class _Values:
    """The numbers in tensors, written back into the same tensors where they have changed.

    Tensors of one kind are saved and compared together, and bit by bit: a version counter does not move where `.data`
    or a shared array is written to, and NaN is not equal to itself.

    Args:
        tensors: those whose numbers are saved; meta tensors have none.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        groups: dict[tuple[object, ...], list[Tensor]] = {}
        for number, tensor in {id(t): t for t in tensors}.items():
            key = (tensor.device, tensor.dtype, tensor.ndim, tensor.is_inference())
            groups.setdefault(key if _plain(tensor) else (number,), []).append(tensor)
        real = [group for group in groups.values() if not group[0].is_meta]
        self._saved = [(group, [t.shape for t in group], _joined(group)) for group in real]

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
    return _plain(one) and torch.equal(*(t.reshape(-1).contiguous().view(torch.uint8) for t in (one, other)))


def _write(tensor: Tensor, value: Tensor) -> None:
    # Tensors that were made under inference_mode can be written to only there.
    with torch.inference_mode() if tensor.is_inference() else torch.no_grad():
        if tensor.shape != value.shape or tensor.dtype != value.dtype or tensor.device != value.device:
            tensor.data = value.clone()
        elif not _equal(tensor.detach().clone(), value):
            tensor.copy_(value)
