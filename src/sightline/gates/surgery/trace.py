"""Where a block adds its branch to its input, read off the block's own code; and that code with a gate let in.

Only the block's own forward is traced (torch.fx); its parts stay calls of modules, so dropout, stochastic depth and
BatchNorm go on following their mode. The new code runs on the block itself, so no weight is copied or renamed.
It knows nothing of gates: it lets a `Insert` in at the branch, behind the last layer and before the addition.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from sightline.common.modes import as_found
from sightline.gates.surgery.shallow import Shallow

Insert = Callable[[Tensor], Tensor]
Recipe = Callable[..., Tensor]
"""`recipe(block, x, through)`: the block's output, with `through` applied to its branch."""

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
DROPS = ("DropPath", "StochasticDepth", "Identity", "Dropout", "Dropout2d")
"""Parts behind a branch that let it through or drop it whole; the gate goes before them."""


class NoBranch(Exception):  # noqa: N818 - no error: the block is passed over, and the reason is kept
    """Why a block has no branch that a gate could stand in."""


def trace_branch(block: nn.Module, kind: type[nn.Module]) -> Recipe:
    """The block's forward with a place for a gate at its branch.

    Args:
        block: the module; it is not run and not changed.
        kind: the class whose forward is read.

    Raises:
        NoBranch: its code cannot be traced, depends on its mode, or adds no branch to its input.
    """
    graph = shallow_graph(block, kind)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise NoBranch(f"it takes {len(inputs)} inputs")
    addition, branch = _find_branch(block, graph)
    with graph.inserting_after(inputs[0]):
        through = graph.placeholder("through")
    with graph.inserting_after(branch):
        gated = graph.call_function(_let_through, (through, branch))
    addition.replace_input_with(branch, gated)
    return compiled(block, graph)


def shallow_graph(block: nn.Module, kind: type[nn.Module]) -> fx.Graph:
    """The graph of a module's own forward.

    Raises:
        NoBranch: it cannot be traced, or reads differently in training and in evaluation.
    """
    texts, graph = [], None
    for training in (True, False):
        try:
            with as_found(block):
                block.training = training
                graph = _traced(block, kind)
        except NoBranch:
            raise
        except Exception as problem:
            reason = next(iter(str(problem).splitlines()), type(problem).__name__)
            raise NoBranch(f"its code cannot be traced ({reason})") from problem
        texts.append(str(graph))
    if graph is None or texts[0] != texts[1]:
        raise NoBranch("its code depends on training mode")
    return graph


def _traced(block: nn.Module, kind: type[nn.Module]) -> fx.Graph:
    """The graph of the forward that a class defines, whatever the class of the module is now."""
    now, own = block.__class__, {name: b for name, b in block._buffers.items() if b is not None and not b.is_meta}
    values = {name: buffer.clone() for name, buffer in own.items()}
    block.__class__ = kind
    try:
        graph = Shallow().read(block)
    finally:
        block.__class__ = now
    if not all(torch.equal(cast(Tensor, block._buffers[name]), value) for name, value in values.items()):
        raise NoBranch("its code changes its own buffers")
    return graph


def compiled(block: nn.Module, graph: fx.Graph) -> Recipe:
    """A graph as a function whose first argument is the module that it runs on."""
    graph.lint()
    recipe: Recipe = type(fx.GraphModule(block, graph)).forward
    return recipe


def _let_through(through: Insert, branch: Tensor) -> Tensor:
    return through(branch)


def _find_branch(block: nn.Module, graph: fx.Graph) -> tuple[fx.Node, fx.Node]:
    """The last addition of a branch to a shortcut, and the branch's last node before it.

    A branch has more weighted layers of its own than the shortcut; a shortcut has one (its projection) at most.
    """
    for node in reversed(list(graph.nodes)):
        operands = [arg for arg in node.args[:2] if isinstance(arg, fx.Node)]
        if node.op not in ("call_function", "call_method") or node.target not in ADDITIONS or len(operands) != 2:
            continue
        layers = _own_layers(block, *operands)
        if max(layers) > min(layers) and min(layers) <= 1:
            return _before_drops(block, node, operands[layers.index(max(layers))])
    raise NoBranch("it adds no branch of layers to its input")


def _own_layers(block: nn.Module, first: fx.Node, second: fx.Node) -> list[int]:
    """How many weighted layers lie upstream of each of two nodes and not of the other."""
    above, beside = _upstream(first), _upstream(second)
    return [sum(_layers(block, node) for node in own) for own in (above - beside, beside - above)]


def _upstream(node: fx.Node) -> set[fx.Node]:
    upstream: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in upstream:
            upstream.add(one)
            waiting += one.all_input_nodes
    return upstream


def _layers(block: nn.Module, node: fx.Node) -> int:
    if node.op != "call_module":
        return 0
    return sum(isinstance(part, WEIGHTED) for part in block.get_submodule(str(node.target)).modules())


def _before_drops(block: nn.Module, user: fx.Node, branch: fx.Node) -> tuple[fx.Node, fx.Node]:
    """Walk back over parts that drop the whole branch, as long as nobody else reads them."""
    while branch.op == "call_module" and _is_drop(block.get_submodule(str(branch.target))) and len(branch.users) == 1:
        before: Any = branch.args[0]
        user, branch = branch, before
    return user, branch


def _is_drop(part: nn.Module) -> bool:
    return type(part).__name__ in DROPS
