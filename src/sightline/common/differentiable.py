"""What of torch stands between a forward in eval mode and its gradient, and is off while a model is explained.

- A part under `torch.utils.checkpoint` throws its activations away and computes them once more in the backward, when
  the hooks that read it are gone; the reentrant form refuses `torch.autograd.grad` altogether. Inside, it runs as if
  it were not checkpointed.
- A recurrent layer that cuDNN runs can be differentiated in training mode only. Inside, torch's own code runs it.

Both settings belong to the whole process, so other threads have them too meanwhile: the same numbers, a little slower
or with a little more memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
import torch.utils.checkpoint
from torch import nn

from sightline.common.threads import ProcessWide

GENERATORS = ("_checkpoint_without_reentrant_generator_impl", "_checkpoint_without_reentrant_generator")
"""Names, by version of torch, of what goes on around a part that is checkpointed in the other form."""


def without_checkpoints() -> AbstractContextManager[None]:
    """Checkpointed parts of every model run plainly inside."""
    return _PLAIN.on()


@contextmanager
def _plain() -> Iterator[None]:
    torch_side = torch.utils.checkpoint
    before = {name: getattr(torch_side, name) for name in GENERATORS if hasattr(torch_side, name)}
    reentrant = torch_side.CheckpointFunction
    # A class of its own hides the method that it inherits; taking it away shows that again.
    reentrant.apply = staticmethod(_called)
    for name in before:
        setattr(torch_side, name, _nothing_around)
    try:
        yield
    finally:
        for name, generator in before.items():
            setattr(torch_side, name, generator)
        del reentrant.apply


def _called(function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
    return function(*args)


def _nothing_around(*args: Any, **kwargs: Any) -> Iterator[None]:
    yield


_PLAIN = ProcessWide(_plain)


@contextmanager
def recurrent_by_torch(modules: tuple[nn.Module, ...]) -> Iterator[None]:
    """Recurrent layers among these modules are run without cuDNN inside, and nothing else is.

    Args:
        modules: every module of a model once.
    """
    recurrent = [module for module in modules if isinstance(module, nn.RNNBase) and runs_on_cudnn(module)]
    running = ExitStack()
    with ExitStack() as undo:
        undo.callback(running.close)  # a call that never came to its end
        for module in recurrent:
            undo.callback(module.register_forward_pre_hook(lambda *_: _enter(running), prepend=True).remove)
            undo.callback(module.register_forward_hook(lambda *_: running.close(), always_call=True).remove)
        yield


def _enter(running: ExitStack) -> None:
    running.enter_context(_NO_CUDNN.on())


def runs_on_cudnn(module: nn.Module) -> bool:
    """Whether cuDNN would run this recurrent layer."""
    return torch.backends.cudnn.enabled and any(parameter.is_cuda for parameter in module.parameters())


@contextmanager
def _cudnn_off() -> Iterator[None]:
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


_NO_CUDNN = ProcessWide(_cudnn_off)
