"""The state guard: a model comes back exactly as it was handed in, also after an error.

It knows nothing of layers or methods. The tree is walked once, because small models notice every further walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

CAPTURE_STATE = {"training": False, "inplace": False, "_compiled_call_impl": None}
"""Attributes of a submodule, and what a capture needs them to be."""


@contextmanager
def leave_as_found(model: nn.Module, *, out_of_place: bool = True) -> Iterator[None]:
    """Evaluate, freeze and listen to a model inside; outside, nothing has changed.

    Inside, every submodule is in eval mode, no parameter requires a gradient, `module.compile()`d parts run eagerly
    and gradients can be taken even under `no_grad` or `inference_mode`. On leaving, modes, flags, buffers and random
    state are as before.

    Args:
        model: the plain module.
        out_of_place: whether in-place layers work out of place inside, so that no activation is overwritten; if not,
            their flags may be changed inside and are put back.
    """
    modules = _tree(model)
    parameters = [p for module in modules for p in module._parameters.values() if p is not None]
    with ExitStack() as undo:
        undo.enter_context(torch.random.fork_rng(devices=_cuda_devices(parameters)))
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(torch.enable_grad())
        undo.enter_context(_set_aside(modules, out_of_place))
        undo.enter_context(_frozen(parameters))
        undo.enter_context(_kept_buffers(modules))
        yield


def _tree(model: nn.Module) -> list[nn.Module]:
    """Every submodule once."""
    found = {model: None}
    waiting = [model]
    while waiting:
        for child in waiting.pop()._modules.values():
            if child is not None and child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)


@contextmanager
def _set_aside(modules: Iterable[nn.Module], out_of_place: bool) -> Iterator[None]:
    """Submodules are in the state that a capture needs; flags that are something else than a truth value stay."""
    changed: list[tuple[nn.Module, str, object]] = []
    try:
        for module in modules:
            for name, wanted in CAPTURE_STATE.items():
                found = module.__dict__.get(name, wanted)
                if found is not wanted and (found is True or wanted is None):
                    changed.append((module, name, found))
                    if out_of_place or name != "inplace":
                        setattr(module, name, wanted)
        yield
    finally:
        for module, name, found in changed:
            setattr(module, name, found)


@contextmanager
def _frozen(parameters: Iterable[Tensor]) -> Iterator[None]:
    """No parameter requires a gradient."""
    changed: list[Tensor] = []
    try:
        for parameter in parameters:
            if parameter.requires_grad:
                changed.append(parameter)
                parameter.requires_grad_(False)
        yield
    finally:
        for parameter in changed:
            parameter.requires_grad_(True)


@contextmanager
def _kept_buffers(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Buffers that are replaced or written to are put back; those that are left alone are left alone."""
    places = [(m._buffers, name, b) for m in modules for name, b in m._buffers.items() if b is not None]
    saved = [(*place, _version(place[2]), place[2].detach().clone()) for place in places]
    try:
        yield
    finally:
        for buffers, name, buffer, version, copy in saved:
            buffers[name] = buffer
            if version is None or buffer._version != version:
                buffer.copy_(copy)


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _cuda_devices(parameters: Iterable[Tensor]) -> list[int]:
    devices = {p.device for p in parameters if p.is_cuda}
    return sorted(device.index for device in devices if device.index is not None)
