"""A block that carries a gate, and what it hands to the next one.

The first block that uses a gate owns it as its child; the others read it there, so that it stands once among the
model's parameters and names. A recurrent gate's state travels in a dictionary that the stage makes for one pass and
hands from block to block: nothing is kept on a module between calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from sightline.errors import GateError
from sightline.gates.surgery.class_swap import ClassSwapped, swap, swap_back
from sightline.gates.surgery.trace import Recipe, trace_branch

States = dict[str, Any]
"""State of each recurrent gate in one pass, by the stage that it runs through."""


@dataclass(frozen=True)
class GateSlot:
    """What a block knows of its gate.

    Args:
        key: what the blocks that share the gate have in common.
        name: name of the gate among the children of the block that owns it.
        recurrent: whether the gate takes and gives a state.
        thread: under which name its state travels: the gate and the stage; empty where the block is the whole model.
        behind: whether the gate stands behind the whole block, as in a dense layer, instead of at its branch.
        copied: whether the block gets a copy of the gate's output: autograd needs it, and a block may add in place.
    """

    key: str
    name: str
    recurrent: bool
    thread: str
    behind: bool
    copied: bool = False


class GatedBlock(ClassSwapped):
    """A block of the user's network with a gate at its branch."""

    _socket: GateSlot
    _owner: tuple[nn.Module, ...]
    _recipe: Recipe
    _plugged: bool

    def forward(self, x: Any, states: States | None = None) -> Tensor:
        """The block's output; with its own code where it is not plugged.

        Raises:
            GateError: a recurrent gate, and the block was called by itself.
        """
        if not self._plugged:
            out: Tensor = type(self).plain.forward(self, x)
            return out
        if self._socket.recurrent and states is None and self._socket.thread:
            raise GateError(
                "a block with a recurrent gate was called alone, so it got no state; "
                "call its whole stage (checkpoint a stage, not its blocks), or take the gates out with unplug"
            )
        return self._recipe(self, x, GatedBranch(self, {} if states is None else states))

    def shared_gate(self) -> nn.Module:
        """The gate, wherever it is registered."""
        owner = self._owner[0] if self._owner else self
        gate: nn.Module = getattr(owner, self._socket.name)
        return gate

    def owns_gate(self) -> bool:
        """Whether the gate is registered here."""
        return not self._owner

    def _saved_state(self) -> dict[str, Any]:
        """Everything but the code, which is read anew."""
        return {name: value for name, value in self.__dict__.items() if name != "_recipe"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill a copy, and read its code."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._recipe = recipe_of(self, type(self).plain, behind=self._socket.behind)


class GatedBranch:
    """One passage of a branch through a block's gate."""

    def __init__(self, block: GatedBlock, states: States) -> None:
        self._block = block
        self._states = states

    def __call__(self, branch: Tensor) -> Tensor:
        """The gated branch; a recurrent gate's new state is left for the next block."""
        gate, socket = self._block.shared_gate(), self._block._socket
        gated: Tensor
        if socket.recurrent:
            gated, self._states[socket.thread] = gate(branch, self._states.get(socket.thread))
        else:
            gated = gate(branch)
        return gated.clone() if socket.copied else gated


def recipe_of(block: nn.Module, kind: type[nn.Module], *, behind: bool) -> Recipe:
    """The block's code with a place for the gate.

    Raises:
        NoBranch: there is none.
    """
    return _behind if behind else trace_branch(block, kind)


def open_block(block: nn.Module, socket: GateSlot, recipe: Recipe, gate: nn.Module | GatedBlock) -> GatedBlock:
    """Make a block a gated one, in place; it owns the gate that is given, or reads it at the block that is given."""
    swap(block, GatedBlock)
    opened = cast(GatedBlock, block)
    vars(opened).update(_socket=socket, _recipe=recipe, _plugged=True)
    assign_gate(opened, gate)
    return opened


def assign_gate(block: GatedBlock, gate: nn.Module | GatedBlock) -> None:
    """Let a block own a gate, or read it at the block that owns it."""
    reads = isinstance(gate, GatedBlock)
    vars(block)["_owner"] = (gate,) if reads else ()
    if not reads:
        block.add_module(block._socket.name, gate)


def close_block(block: GatedBlock) -> None:
    """Give a block back as it was."""
    if block.owns_gate():
        block._modules.pop(block._socket.name)
    for name in ("_socket", "_owner", "_recipe", "_plugged"):
        vars(block).pop(name)
    swap_back(block)


def _behind(block: nn.Module, x: Any, through: GatedBranch) -> Tensor:
    """Run the block as it is, then its gate."""
    return through(type(block).plain.forward(block, x))  # type: ignore[attr-defined]
