"""Stages that hand the state of a recurrent gate from block to block, in one pass and never between passes.

A chain of blocks (`nn.Sequential`), a dense block, or any module whose own code calls the blocks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sightline.errors import GateError
from sightline.gates.surgery.block import GatedBlock
from sightline.gates.surgery.class_swap import ClassSwapped, swap, swap_back
from sightline.gates.surgery.trace import NoBranch, Recipe, compiled, shallow_graph


class GatedChain(ClassSwapped):
    """An `nn.Sequential` that hands states on."""

    def forward(self, x: Any) -> Any:
        """Run the chain."""
        states: dict[str, Any] = {}
        for part in self._modules.values():
            x = part(x, states) if isinstance(part, GatedBlock) else part(x)  # type: ignore[misc]
        return x


class GatedDense(ClassSwapped):
    """A dense block, whose layers read all that came before, that hands states on."""

    def forward(self, x: Tensor) -> Tensor:
        """Features of all layers, one behind the other."""
        states: dict[str, Any] = {}
        features = [x]
        for layer in self._modules.values():
            features.append(layer(features, states) if isinstance(layer, GatedBlock) else layer(features))  # type: ignore[misc]
        return torch.cat(features, 1)


class GatedCaller(ClassSwapped):
    """A module whose own code calls gated blocks one by one; states are threaded through that code."""

    _calls: tuple[str, ...]
    _recipe: Recipe

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the module's code with a fresh dictionary of states."""
        return self._recipe(self, {}, x, *args, **kwargs)

    def _saved_state(self) -> dict[str, Any]:
        """Everything but the code, which is read anew."""
        return {name: value for name, value in self.__dict__.items() if name != "_recipe"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill a copy, and read its code."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._recipe = _threaded(self, type(self).plain, self._calls)


STAGES = (GatedChain, GatedDense, GatedCaller)


def open_stage(model: nn.Module, paths: list[str]) -> None:
    """Let the modules that call these blocks hand states on, in place.

    Raises:
        GateError: a module's code cannot be read, so no state could pass through it.
    """
    callers: dict[str, list[str]] = {}
    for path in paths:
        above = _caller(model, path)
        callers.setdefault(above, []).append(path[len(above) :].lstrip("."))
    for above, calls in callers.items():
        module = model.get_submodule(above)
        if isinstance(module, STAGES):
            continue
        if type(module).forward is nn.Sequential.forward:
            swap(module, GatedChain)
        elif is_dense(module):
            swap(module, GatedDense)
        else:
            _open_caller(module, above, tuple(calls))


def close_stages(model: nn.Module) -> None:
    """Give all stages back as they were."""
    for module in model.modules():
        if isinstance(module, STAGES):
            for name in ("_calls", "_recipe"):
                vars(module).pop(name, None)
            swap_back(module)


def is_dense(module: nn.Module) -> bool:
    """Whether this is the dense block of torchvision or timm: a dictionary of layers that read all before them."""
    return isinstance(module, nn.ModuleDict) and type(module).__name__ in ("_DenseBlock", "DenseBlock")


def _caller(model: nn.Module, path: str) -> str:
    """The nearest module above whose code runs: lists are passed over."""
    above = path.rpartition(".")[0]
    module = model.get_submodule(above)
    if above and (isinstance(module, nn.ModuleList) or (isinstance(module, nn.ModuleDict) and not is_dense(module))):
        return _caller(model, above)
    return above


def _open_caller(module: nn.Module, path: str, calls: tuple[str, ...]) -> None:
    try:
        recipe = _threaded(module, type(module), calls)
    except NoBranch as problem:
        raise GateError(
            f"a recurrent gate hands its state from block to block, but the code of {path or 'the model'} "
            f"({type(module).__name__}), which calls the blocks, cannot be followed: {problem}; "
            "put the blocks into one nn.Sequential, or plug a gate without a state"
        ) from problem
    swap(module, GatedCaller)
    vars(module).update(_calls=calls, _recipe=recipe)


def _threaded(module: nn.Module, kind: type[nn.Module], calls: tuple[str, ...]) -> Recipe:
    """The module's code in which every call of a gated block takes the states along.

    Raises:
        NoBranch: its code cannot be traced, or does not call them all.
    """
    graph = shallow_graph(module, kind)
    first = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_before(first):
        states = graph.placeholder("states")
    called = [node for node in graph.nodes if node.op == "call_module" and str(node.target) in calls]
    for node in called:
        node.args = (*node.args, states)
    missing = set(calls) - {str(node.target) for node in called}
    if missing:
        raise NoBranch(f"it does not call {', '.join(sorted(missing))} itself")
    return compiled(module, graph)
