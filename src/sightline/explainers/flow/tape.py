"""`Tape`: one forward of any model, written down operation by operation, to be walked back.

The calls are recorded below autograd, where every model - traced, scripted, hand-written, with branches - speaks the
same small language of `aten` operations. The model is not edited and weights are shared. What the calls mean to a
method is the business of its rules; this file knows none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from sightline.common.threads import ProcessWide
from sightline.errors import UnfollowedError
from sightline.explainers.flow.schema import PLAIN, out_of_place, schema_of
from sightline.models.adapter.operations import taken_apart

Node = int
"""Number of a tensor that depends on the input, in the order in which the model computed it; 0 is the input."""


@dataclass(frozen=True)
class Ref:
    """Stands in a call's arguments for a tensor that depends on the input."""

    node: Node


@dataclass(frozen=True, eq=False)
class Call:
    """One operation of the forward pass.

    Args:
        op: the operation, out of place.
        args: its arguments; tensors that depend on the input are `Ref`s, weights are the model's own.
        kwargs: its keyword arguments.
        inputs: nodes that it read, in the order of its arguments.
        outputs: nodes that it made; None for results that are no floats.
    """

    op: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Node, ...]
    outputs: tuple[Node | None, ...]

    @cached_property
    def name(self) -> str:
        """Name of the operation without its overload."""
        return str(self.op.overloadpacket).removeprefix("aten.")

    def run(self, values: Sequence[Tensor]) -> Any:
        """The operation on other values in place of those that depended on the input."""
        replacements = iter(values)
        flat, tree = tree_flatten((self.args, self.kwargs))
        args, kwargs = tree_unflatten([next(replacements) if isinstance(x, Ref) else x for x in flat], tree)
        return self.op(*args, **kwargs)


@dataclass(eq=False)
class Tape:
    """The calls of one forward pass, in order, and the values that they made.

    Args:
        calls: operations in the order of the forward pass.
        values: tensor of each node; None where a walk has let go of it.
    """

    calls: list[Call] = field(default_factory=list)
    values: list[Tensor | None] = field(default_factory=list)
    _nodes: dict[Any, Node] = field(default_factory=dict)
    _overwritten: dict[Any, list[tuple[int, Node]]] = field(default_factory=dict)
    _starts: set[int] = field(default_factory=set)

    def value(self, node: Node) -> Tensor:
        """The tensor that a node is."""
        value = self.values[node]
        if value is None:
            raise RuntimeError(f"the value of node {node} was let go before the walk was over")
        return value

    @property
    def device(self) -> torch.device:
        """Where the input lay."""
        return self.value(0).device

    def node(self, tensor: Tensor) -> Node | None:
        """The node that holds this tensor; None where it does not depend on the input."""
        # Weights begin where no node does, which is known before their place is.
        return self._nodes.get(_place(tensor)) if tensor.data_ptr() in self._starts else None

    def node_then(self, tensor: Tensor, version: int) -> Node | None:
        """The node that held this tensor when its version counter stood there, before it was overwritten."""
        place = _place(tensor)
        before = (node for until, node in self._overwritten.get(place, ()) if version <= until)
        return next(before, self._nodes.get(place))

    def enter(self, tensor: Tensor) -> Node:
        """A new node for a tensor."""
        self.values.append(tensor)
        self.alias(tensor, node := len(self.values) - 1)
        return node

    def alias(self, tensor: Tensor, node: Node) -> None:
        """The tensor is this node, wherever it lies."""
        self._starts.add(tensor.data_ptr())
        self._nodes[_place(tensor)] = node

    def leave_inference(self) -> None:
        """Copies in place of what the model made under inference_mode: nothing is differentiated through that."""
        if any(value is not None and value.is_inference() for value in self.values):
            self.values = tree_map_only(Tensor, usable, self.values)
            self.calls = [
                replace(call, args=tree_map_only(Tensor, usable, call.args),
                        kwargs=tree_map_only(Tensor, usable, call.kwargs))
                for call in self.calls
            ]  # fmt: skip

    def consumers(self) -> list[list[Call]]:
        """By node, the calls that read it."""
        readers: list[list[Call]] = [[] for _ in self.values]
        for call in self.calls:
            for node in call.inputs:
                readers[node].append(call)
        return readers


def usable(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of one that was made under inference_mode, which can be differentiated through."""
    return tensor.clone() if tensor.is_inference() else tensor


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """Where a tensor lies in memory: two views of the same numbers are the same node."""
    lazy = (tensor.is_conj(), tensor.is_neg())  # a conjugate is a view too, of other numbers
    return (tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), lazy)


@contextmanager
def recording(inputs: Float[Tensor, "b c h w"]) -> Iterator[Tape]:
    """Write down what is computed from `inputs` inside.

    Attention is computed by its equation inside, not by a fused kernel, so that its softmax is seen.

    Raises:
        UnfollowedError: an operation writes into a part of a tensor, or the model is quantized.
    """
    tape = Tape()
    with ExitStack() as undo:
        undo.enter_context(torch.no_grad())
        undo.enter_context(_PLAIN_ATTENTION.on())
        tape.enter(inputs)
        undo.enter_context(_Recording(tape))
        yield tape


@contextmanager
def _attention_by_parts() -> Iterator[None]:
    """No kernel fuses attention, neither in the functional form nor in `nn.MultiheadAttention`."""
    flags = {getattr(torch.backends.cuda, f"enable_{name}"): getattr(torch.backends.cuda, f"{name}_enabled")()
             for name in ("flash_sdp", "mem_efficient_sdp", "cudnn_sdp", "math_sdp")}  # fmt: skip
    # Not by `sdpa_kernel`: the thread that leaves last may be another than the one that came first.
    for switch in flags:
        switch(switch is torch.backends.cuda.enable_math_sdp)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
        for switch, enabled in flags.items():
            switch(enabled)


_PLAIN_ATTENTION = ProcessWide(_attention_by_parts)


class _Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of the forward pass below autograd."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tape = tape
        self._stale: set[Any] = set()
        self._met: dict[int, tuple[Node | None, int]] = {}
        self._kept: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        parts = taken_apart(self, func, args, kwargs)
        if parts is not NotImplemented:
            return parts
        facts = schema_of(func)
        nodes: list[Node] = []
        refs = self._referred_all(args, nodes), self._referred(kwargs, nodes)
        if not nodes or facts.shape_only:
            return func(*args, **kwargs)
        if facts.quantized:
            raise UnfollowedError(
                "the model is quantized, and a flow needs floats; explain the float model that it was made of"
            )
        if facts.same:
            return self._same(func(*args, **kwargs), nodes[0])
        if facts.written is not None:
            return self._in_place(func, args[facts.written], args, kwargs, (refs[0], refs[1], tuple(nodes)))
        result = func(*args, **kwargs)
        self._note(func, refs[0], refs[1], tuple(nodes), result)
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing inside is compiled, so torch need not look at every operation whether it is."""
        return False

    def _referred_all(self, parts: Sequence[Any], nodes: list[Node]) -> list[Any]:
        """`_referred` of every argument; most are numbers."""
        return [x if type(x) in PLAIN else self._referred(x, nodes) for x in parts]

    def _referred(self, x: Any, nodes: list[Node]) -> Any:
        """The same arguments with `Ref`s in place of what depends on the input; its nodes are appended to `nodes`."""
        kind = type(x)
        if kind in PLAIN:
            return x
        if isinstance(x, Tensor):
            node = self._node(x)
            if node is None:
                return x
            nodes.append(node)
            return Ref(node)
        if isinstance(x, tuple | list):
            return x if PLAIN.issuperset(map(type, x)) else kind(self._referred_all(x, nodes))
        if isinstance(x, dict):
            return {name: self._referred(part, nodes) for name, part in x.items()} if x else x
        return x

    def _node(self, x: Tensor) -> Node | None:
        """The node of an argument; that of a tensor that was met before is known by the object itself."""
        place = x.data_ptr()
        before = self._met.get(id(x))
        if before is not None and before[1] == place:
            return before[0]
        node = self._tape.node(x)
        if node is None:
            self._refuse_stale(x)
        self._met[id(x)] = node, place
        self._kept.append(x)  # as long as it lives no other object has its number
        return node

    def _same(self, result: Tensor, node: Node) -> Tensor:
        """The result is the same node, wherever it lies."""
        self._tape.alias(result, node)
        return result

    def _note(self, func: Any, args: Any, kwargs: Any, inputs: tuple[Node, ...], result: Any) -> None:
        nested = not isinstance(result, tuple | list) or any(isinstance(x, tuple | list) for x in result)
        results = (result,) if isinstance(result, Tensor) else tree_flatten(result)[0] if nested else result
        outputs = tuple(self._entered(x) if isinstance(x, Tensor) else None for x in results)
        if any(node is not None for node in outputs):
            self._tape.calls.append(Call(func, tuple(args), kwargs, inputs, outputs))

    def _entered(self, x: Tensor) -> Node | None:
        """A new node for a result; None for no floats, and for a view of what is a node already: it is that node."""
        if not (x.is_floating_point() or x.is_complex()) or not x.numel():
            return None
        known = self._tape.node(x)
        if known is not None and self._tape.value(known).dtype == x.dtype:
            self._met[id(x)] = known, x.data_ptr()
            self._kept.append(x)
            return None
        node = self._tape.enter(x)
        self._met[id(x)] = node, x.data_ptr()
        return node

    def _in_place(self, func: Any, written: Tensor, args: Any, kwargs: Any, parts: tuple[Any, Any, Any]) -> Any:
        """The call out of place on the tape; the tensor's old value is kept, its new one is a new node."""
        twin = out_of_place(func)
        if written.is_inference():
            raise UnfollowedError(
                f"the model writes in place under inference_mode ({func}), and a flow cannot be followed through "
                "that; use no_grad there, or work out of place"
            )
        base = written if written._base is None or _place(written._base) == _place(written) else written._base
        if base.untyped_storage().nbytes() != base.numel() * base.element_size():
            raise UnfollowedError(
                f"the model writes into a part of a tensor ({func}), and a flow cannot be followed through that; "
                "build the tensor with torch.cat or torch.where instead"
            )
        call_args, call_kwargs, inputs = parts
        if self._tape.node(written) is None and twin is not torch.ops.aten.copy.default:
            old = written.clone()
            call_args = [old if x is written else x for x in call_args]
        whole = None if base is written else self._referred(base, [])
        before = base.clone() if isinstance(whole, Tensor) else whole
        self._keep_old(base)
        self._met.clear()
        func(*args, **kwargs)
        self._note(twin, call_args, call_kwargs, inputs, written)
        self._stale.discard(_place(written))
        if before is not None:
            self._put_back(base, written, before)
        return written

    def _put_back(self, base: Tensor, written: Tensor, before: Tensor | Ref) -> None:
        """The tensor of which a part was written is what it was, with that part in its place."""
        node = self._tape.node(written)
        if node is None:  # no floats
            return
        inputs = (before.node, node) if isinstance(before, Ref) else (node,)
        geometry = (list(written.shape), list(written.stride()), written.storage_offset())
        self._note(torch.ops.aten.as_strided_scatter.default, (before, Ref(node), *geometry), {}, inputs, base)
        self._stale.discard(_place(base))

    def _keep_old(self, written: Tensor) -> None:
        """What a tensor was before it is overwritten, for all nodes that lie in its memory."""
        storage = written.untyped_storage()._cdata
        places = {place: node for place, node in self._tape._nodes.items() if place[0] == storage}
        # `written` fills its memory (checked by `_in_place`), so every view of that is a view of the clone too.
        old = written.clone() if places else written
        for place, node in places.items():
            value = self._tape.value(node)
            self._tape.values[node] = old.as_strided(value.shape, value.stride(), value.storage_offset())
            del self._tape._nodes[place]
            self._tape._overwritten.setdefault(place, []).append((written._version, node))
        self._stale.update(places)

    def _refuse_stale(self, x: Tensor) -> None:
        if self._stale and _place(x) in self._stale:
            raise UnfollowedError(
                "the model reads a view of a tensor after the tensor was overwritten in place, and a flow cannot be "
                "followed through that; work out of place there"
            )
