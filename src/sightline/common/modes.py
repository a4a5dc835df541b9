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

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import compress
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from sightline.common.differentiable import recurrent_by_torch, without_checkpoints
from sightline.common.randomness import random_state_kept
from sightline.common.snapshot import Snapshot, Values, for_all
from sightline.common.threads import alone, claimed, surely, tree


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
    with _taken(model, buffers=buffers, randomness=randomness) as snapshot:
        yield snapshot.modules


@contextmanager
def _taken(model: object, *, buffers: bool = True, randomness: bool = True) -> Iterator[Snapshot]:
    """`as_found`, with what was found."""
    modules = tree(model)
    with ExitStack() as undo:
        undo.enter_context(claimed(modules))
        if randomness:
            undo.enter_context(random_state_kept(_devices(modules)))
        snapshot = Snapshot(modules, buffers=buffers)
        undo.callback(surely, snapshot.put_back)
        yield snapshot


@contextmanager
def evaluating(model: object, *, buffers: bool = True, randomness: bool = True) -> Iterator[None]:
    """Eval mode for every submodule inside; outside, all is as it was.

    Args:
        model: a module; any other object is left alone.
        buffers: as in `as_found`.
        randomness: as in `as_found`.
    """
    with ExitStack() as undo:
        _evaluate(undo.enter_context(_taken(model, buffers=buffers, randomness=randomness)), undo)
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
        snapshot = undo.enter_context(_taken(model))
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(torch.enable_grad())
        undo.enter_context(without_checkpoints())
        undo.enter_context(recurrent_by_torch(snapshot.modules))
        _evaluate(snapshot, undo)
        _switch(snapshot.own, "_compiled_call_impl", None, undo)
        if out_of_place:
            _switch([live for live in snapshot.own if live.get("inplace") is True], "inplace", False, undo)
        parameters = snapshot.parameters
        if not _usable(parameters) or not _usable(snapshot.buffers):
            _stand_in(snapshot.own)
            parameters = [p for own in snapshot.own for p in own["_parameters"].values() if p is not None]
        learning = [*compress(parameters, map(attrgetter("requires_grad"), parameters))]
        undo.callback(surely, lambda: for_all(learning, lambda p: p.requires_grad_(True)))
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
            undo.callback(surely, Values(parameters).put_back)
        yield


def _evaluate(snapshot: Snapshot, undo: ExitStack) -> None:
    own = [live for live in snapshot.own if "training" in live]
    _switch(own, "training", False, undo)  # past a `__setattr__` of the user's, which may forbid it
    if len(own) < len(snapshot.own):
        for module in snapshot.modules:
            if "training" not in vars(module) and module.training is not False:
                module.training = False


def _switch(own: Iterable[dict[str, Any]], name: str, value: object, undo: ExitStack) -> None:
    """Give an attribute, where it is there, another value; it is put back before the snapshot looks for changes."""
    before = [(live, live[name]) for live in own if live.get(name, value) is not value]
    undo.callback(surely, lambda: for_all(before, lambda pair: pair[0].update({name: pair[1]})))
    for live, _ in before:
        live[name] = value


def _usable(tensors: Iterable[Tensor]) -> bool:
    """Whether all of them can be frozen and differentiated through."""
    return all(map(attrgetter("is_leaf"), tensors)) and not any(map(Tensor.is_inference, tensors))


def _stand_in(own: Iterable[dict[str, Any]]) -> None:
    """Put twins in place of tensors that cannot be frozen or differentiated through; the snapshot puts them back."""
    for table in (live[name] for live in own for name in ("_parameters", "_buffers")):
        for name, tensor in table.items():
            if tensor is not None and not _usable([tensor]):
                table[name] = tensor.detach().clone() if tensor.is_inference() else tensor.detach()


def _devices(modules: Iterable[nn.Module]) -> set[torch.device]:
    """The GPUs on which a model lies."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return set()
    tensors = (t for m in modules for table in (m._parameters, m._buffers) for t in table.values())
    return {t.device for t in tensors if t is not None and t.is_cuda}
