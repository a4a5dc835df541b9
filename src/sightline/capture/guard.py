"""The state guard: a model comes back exactly as it was handed in, also after an error.

It knows nothing of stages or methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def leave_as_found(model: nn.Module) -> Iterator[None]:
    """Evaluate, freeze and listen to a model inside; outside, nothing has changed.

    Inside, every submodule is in eval mode, no parameter requires a gradient, in-place layers work out of place (so
    that no activation is overwritten), `module.compile()`d parts run eagerly and gradients can be taken even under
    `no_grad` or `inference_mode`. On leaving, modes, flags, buffers and random state are as before.

    Args:
        model: the plain module.
    """
    with ExitStack() as undo:
        undo.enter_context(torch.random.fork_rng(devices=_cuda_devices(model)))
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(torch.enable_grad())
        for module in model.modules():
            _set_aside(undo, module)
        for parameter in model.parameters():
            if parameter.requires_grad:
                undo.callback(parameter.requires_grad_, True)
                parameter.requires_grad_(False)
        for module in model.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    undo.callback(_put_back, module, name, buffer, buffer.detach().clone(), _version(buffer))
        yield


def _set_aside(undo: ExitStack, module: nn.Module) -> None:
    """Put one submodule into the state that a capture needs, and note the way back."""
    for name, wanted in (("training", False), ("inplace", False), ("_compiled_call_impl", None)):
        found = getattr(module, name, wanted)
        if found is not wanted and (found is True or name == "_compiled_call_impl"):
            undo.callback(setattr, module, name, found)
            setattr(module, name, wanted)


def _put_back(module: nn.Module, name: str, buffer: Tensor, saved: Tensor, version: int | None) -> None:
    """Restore a buffer that was replaced or written to; one that was left alone is left alone."""
    module._buffers[name] = buffer
    if version is None or buffer._version != version:
        buffer.copy_(saved)


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _cuda_devices(model: nn.Module) -> list[int]:
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    return sorted(device.index for device in devices if device.index is not None)
