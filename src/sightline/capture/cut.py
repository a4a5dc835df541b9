"""Where a model cuts the graph: in words, why no gradient of a decision reaches what lies before.

Asked only after a gradient was missed, since it costs a forward in which every call is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves

from sightline.capture.forward import run_forward
from sightline.common.chunks import out_of_memory
from sightline.common.modes import leave_as_found
from sightline.errors import MethodError
from sightline.models import Adapter

REMEDY = (
    "take that out, or ask for a method that does without: a flow (unless the part works in int8), one that masks, "
    "or occlusion"
)

SHAPE_ONLY = ("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_")
"""Functions that read a tensor's shape only."""

READ_OUT = ("item", "tolist", "numpy", "__array__", "__float__", "__int__", "__bool__")
"""Functions that carry numbers out of torch."""


def check_uncut(adapter: Adapter, inputs: Tensor, where: str) -> None:
    """Say why a gradient that was missed did not arrive, if it is the model that cut it off.

    Args:
        adapter: the model.
        inputs: what it is run on.
        where: what no gradient reached, in words.

    Raises:
        MethodError: the model cuts the graph; the text says at which of its parts, and by what.
    """
    cut = describe_cut(adapter, inputs)
    if cut is not None:
        raise MethodError(f"no gradient of the decision reaches {where}: {cut}; {REMEDY}")


def explain_failure(adapter: Adapter, inputs: Tensor, where: str, problem: RuntimeError) -> NoReturn:
    """Say in a sentence why a backward failed.

    Args:
        adapter: the model.
        inputs: what it is run on.
        where: what no gradient reached, in words.
        problem: what was raised; a shortage of memory passes through.

    Raises:
        MethodError: always, if memory is not the reason.
    """
    if out_of_memory(problem):
        raise problem
    check_uncut(adapter, inputs, where)
    raise MethodError(
        f"the backward of {type(adapter.model).__name__} failed: {_first_line(problem)}; {REMEDY}"
    ) from problem


def describe_cut(adapter: Adapter, inputs: Tensor) -> str | None:
    """Which part of a model cuts the graph, and by what; None where a gradient reaches the input.

    Example:
        >>> from sightline.models import adapt
        >>> describe_cut(adapt(nn.Sequential(nn.Linear(2, 2))), torch.ones(1, 2)) is None
        True
    """
    model = adapter.model
    with leave_as_found(model):
        start = inputs.detach().clone().requires_grad_()
        watch = _Watch()
        with ExitStack() as undo:
            undo.enter_context(watch)
            for path, module in model.named_modules():
                enter = module.register_forward_pre_hook(partial(watch.enter, path), with_kwargs=True, prepend=True)
                leave = module.register_forward_hook(partial(watch.leave), always_call=True)
                undo.callback(enter.remove)
                undo.callback(leave.remove)
            outputs = _floats(run_forward(adapter, start))
        try:
            if _reached(start, outputs):
                return None
        except RuntimeError as problem:
            return f"the backward of {type(model).__name__} fails ({_first_line(problem)})"
    return _words(watch.root, model)


def _reached(start: Tensor, outputs: list[Tensor]) -> bool:
    """Whether a gradient comes back from an output to the input; int8 kernels promise one and have none."""
    live = [x for x in outputs if x.requires_grad]
    if not live:
        return False
    ones = [torch.ones_like(x) for x in live]
    return torch.autograd.grad(live, start, ones, allow_unused=True)[0] is not None


@dataclass(eq=False)
class _Visit:
    """One call of a module.

    Args:
        path: where the module is; empty for the model itself.
        kind: its class.
        switched_on: whether gradients were recorded when it was called.
        takes: whether what it got could be differentiated.
        gives: whether what it returned could be.
        parts: calls of its own parts.
        cuts: what it did itself, by words and in order, that loses the gradient.
    """

    path: str
    kind: str
    switched_on: bool
    takes: bool
    gives: bool = False
    parts: list[_Visit] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)

    @property
    def cut(self) -> bool:
        """Whether the gradient is lost in here."""
        return self.takes and not self.gives


class _Watch(TorchFunctionMode):
    """Sees the calls of modules, and every function of torch on a tensor that could be differentiated."""

    def __init__(self) -> None:
        super().__init__()
        self.root = _Visit("", "the model", True, True)
        self._open = [self.root]
        self._dead: set[int] = set()

    def enter(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        """A module is called."""
        takes = any(self._live(x) for x in _floats((args, kwargs)))
        visit = _Visit(path, type(module).__name__, torch.is_grad_enabled(), takes)
        self._open[-1].parts.append(visit)
        self._open.append(visit)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """A module returns."""
        self._open.pop().gives = any(self._live(x) for x in _floats(output))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See `TorchFunctionMode`."""
        out = func(*args, **(kwargs or {}))
        if any(self._live(x) for x in _floats((args, kwargs))):
            self._note(func, out)
        return out

    def _note(self, func: Callable[..., Any], out: Any) -> None:
        name = resolve_name(func) or getattr(func, "__name__", "a function")
        short = name.removesuffix(".__get__").rpartition(".")[2]
        if short.startswith(SHAPE_ONLY):
            return
        tensors = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        lost = bool(tensors) and not any(self._live(x) for x in tensors)
        if lost or (not tensors and short in READ_OUT):
            self._open[-1].cuts.append(_how(name, short))

    def _live(self, tensor: Tensor) -> bool:
        """Whether a gradient can come back through this tensor, as far as is known."""
        node = tensor.grad_fn
        return tensor.requires_grad and not (node is not None and "NotImplemented" in node.name())


def _how(name: str, short: str) -> str:
    if not torch.is_grad_enabled():
        return "switches gradients off (torch.no_grad or inference_mode)"
    if short in ("detach", "detach_", "data"):
        return f"takes its values out of the graph ({'.data' if short == 'data' else f'.{short}()'})"
    return f"uses an operation without a gradient ({name.removeprefix('torch.')})"


def _first_line(problem: RuntimeError) -> str:
    return next(iter(str(problem).splitlines()), "") or type(problem).__name__


def _words(root: _Visit, model: nn.Module) -> str:
    """Down to the smallest part in which the gradient is lost, by the first such part of each."""
    visit = root.parts[0] if root.parts else root
    while True:
        inner = next((part for part in visit.parts if part.cut), None)
        if inner is None:
            break
        if visit.switched_on and not inner.switched_on:
            return (
                f"{_name(visit, model)} calls its part {inner.path!r} with gradients switched off (torch.no_grad or "
                "inference_mode)"
            )
        visit = inner
    how = visit.cuts[-1] if visit.cuts else "returns nothing that depends on what it takes, as far as gradients tell"
    return f"{_name(visit, model)} {how}"


def _name(visit: _Visit, model: nn.Module) -> str:
    return f"the part {visit.path!r} ({visit.kind})" if visit.path else f"the forward of {type(model).__name__}"


def _floats(parts: Any) -> list[Tensor]:
    return [x for x in tree_leaves(parts) if isinstance(x, Tensor) and (x.is_floating_point() or x.is_quantized)]
