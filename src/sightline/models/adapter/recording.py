"""One forward of a model, recorded operation by operation: the axes of every tensor, and what was made of what.

Nothing is kept of the numbers. The recording works below autograd, where every model - hand-written, traced, with
branches - speaks the same small language of operations; the model is run as it is, on two of the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from sightline.common.nested import mapped, parts_of, tensors_of
from sightline.common.threads import ProcessWide
from sightline.models.adapter.axes import BATCH, Axes, feature, known, sources_of
from sightline.models.adapter.canvas import VIEWS, Canvases
from sightline.models.adapter.operations import SHAPE_ONLY, Operation, input_axes, samples_of, taken_apart, tensors_in
from sightline.models.adapter.rules import followed

Node = int
"""Number of a tensor that depends on the input, in the order in which it was made; 0 is the input."""


@dataclass(frozen=True, eq=False)
class Tracked:
    """What is known of one tensor.

    Args:
        node: its number; None where it does not depend on the input.
        axes: what lies along its axes.
        shape: its sizes.
        floats: whether it holds floating-point numbers.
        sample: which sample it was made of, where the samples were taken apart.
    """

    node: Node | None
    axes: Axes
    shape: tuple[int, ...]
    floats: bool = True
    sample: int | None = None


@dataclass(frozen=True, eq=False)
class Event:
    """One operation on something that depends on the input.

    Args:
        name: name of the operation.
        module: path of the innermost module that was running.
        inputs: nodes that it read.
        outputs: nodes that it made.
        dim: the axis, counted from the end, along which it worked, where it has one.
    """

    name: str
    module: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    dim: int | None = None


@dataclass(frozen=True, eq=False)
class ModuleCall:
    """One call of a module.

    Args:
        path: dotted path of the module.
        call: which of its calls, from 1.
        inputs, outputs: tensors that it took and gave, in order.
        begin, end: how many events there were before and after it.
    """

    path: str
    call: int
    inputs: tuple[Tracked, ...]
    outputs: tuple[Tracked, ...]
    begin: int
    end: int


@dataclass(eq=False)
class Recording:
    """What was seen.

    Args:
        calls: calls of modules in the order in which they ended.
        events: operations in order.
        output: tensors that the model returned.
        returned: what the model returned, its tensors without numbers: as many as `output`, in that order.
        channels: axes of the input that turned out to be channels.
        contracted: places of nothing: axes of the input that were contracted whole before any convolution.
        sources: for each node, which axes of the input lie along its axes.
    """

    calls: list[ModuleCall] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    output: tuple[Tracked, ...] = ()
    returned: Any = None
    channels: frozenset[str] | None = None
    contracted: frozenset[str] | None = None
    sources: dict[Node, frozenset[str]] = field(default_factory=dict)


def record(model: nn.Module, run: Callable[[Tensor], Any], x: Tensor) -> Recording:
    """Run a model and write down what happens to the axes of its input.

    Args:
        model: the plain module, as it is to be run (in eval mode).
        run: function that calls it.
        x: the input, samples first.
    """
    recording = Recording()
    follower = _Follower(recording)
    names = [BATCH, *(str(d) for d in range(1, x.ndim))]
    with ExitStack() as undo:
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(torch.no_grad())
        undo.enter_context(_OPEN_MODULES.on())
        x = x.detach().clone()
        follower.enter(x, input_axes(names, x.shape))
        undo.enter_context(follower.listening(model))
        undo.enter_context(follower)
        raw = run(x)
    returned: list[Tensor] = []

    def without_numbers(tensor: Tensor) -> Tensor:
        returned.append(tensor)
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    recording.returned = mapped(raw, without_numbers, parts_of)
    recording.output = follower.tracked(returned)
    return recording


@contextmanager
def _no_fast_path() -> Iterator[None]:
    """Torch's transformer layers run operation by operation, not as one."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


_OPEN_MODULES = ProcessWide(_no_fast_path)


class _Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation and every call of a module, and carries what is known of each tensor."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recording = recording
        self._known = WeakTensorKeyDictionary()
        self._nodes = 0
        self._inside: list[str] = [""]
        self._canvases = Canvases()

    def enter(self, tensor: Tensor, axes: Axes, sample: int | None = None) -> Node:
        """A new node."""
        node = self._nodes
        self._nodes += 1
        floats = tensor.is_floating_point() or tensor.is_complex()
        self._known[tensor] = Tracked(node, axes, tuple(tensor.shape), floats, sample)
        self._recording.sources[node] = frozenset().union(*(sources_of(axis) for axis in axes))
        return node

    def of(self, tensor: Tensor) -> Tracked:
        """What is known of a tensor."""
        entry: Tracked | None = self._known.get(tensor)  # type: ignore[no-untyped-call]
        if entry is not None and entry.shape == tuple(tensor.shape):
            return entry
        return Tracked(None, [feature(n) for n in tensor.shape], tuple(tensor.shape), tensor.is_floating_point())

    def tracked(self, parts: Any) -> tuple[Tracked, ...]:
        """What is known of the tensors in something nested."""
        return tuple(self.of(tensor) for tensor in tensors_of(parts))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would load its compiler with the first operation, which takes longer than all else here."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        parts = taken_apart(self, func, args, kwargs)
        if parts is not NotImplemented:
            return parts
        inputs = tensors_in((args, kwargs))
        # Before it runs: an operation in place may change the very shape of what it reads.
        entries = [self.of(tensor) for tensor in inputs]
        result = func(*args, **kwargs)
        nodes = tuple(entry.node for entry in entries if entry.node is not None)
        name = str(func.overloadpacket.__name__).rstrip("_") if hasattr(func, "overloadpacket") else str(func)
        if nodes and name not in SHAPE_ONLY:
            outputs = tensors_in(result)
            before = {id(tensor): entry for tensor, entry in zip(inputs, entries, strict=True)}
            operation = Operation(name, args, kwargs, inputs, outputs, lambda t: before.get(id(t)) or self.of(t))
            self._note(operation, nodes, samples_of(operation, entries))
        if name in VIEWS and inputs and isinstance(result, Tensor) and (not nodes or inputs[0] in self._canvases):
            self._canvases.view(name, args, kwargs, result)
        return result

    def _note(self, operation: Operation, nodes: tuple[Node, ...], samples: Sequence[int | None]) -> None:
        if not operation.outputs:
            return
        try:
            axes = followed(operation)
        except Exception:  # noqa: BLE001 - an operation in a form that its rule does not know: nothing is known of it
            axes = [[feature(n) for n in y.shape] for y in operation.outputs]
        self._note_channels(operation)
        marked = zip(operation.outputs, axes, samples, strict=True)
        outputs = tuple(self.enter(y, own, sample) for y, own, sample in marked)
        dim = operation.args[1] if len(operation.args) > 1 else None
        rank = operation.x.ndim
        along = dim % rank - rank if isinstance(dim, int) and not isinstance(dim, bool) and rank else None
        self._recording.events.append(Event(operation.name, self._inside[-1], nodes, outputs, along))
        if operation.name == "copy":
            self._paint(operation, outputs[0], samples[0])

    def _paint(self, op: Operation, node: Node, sample: int | None) -> None:
        """What was written into a view of a constant is known of the constant too."""
        painted = self._canvases.paint(op.y, self.of(op.y).axes, sample)
        if painted is not None:
            before = self.of(painted[0]).node
            nodes = (node,) if before is None else (before, node)
            whole = self.enter(painted[0], painted[1])
            self._recording.events.append(Event("copy", self._inside[-1], nodes, (whole,)))

    def _note_channels(self, op: Operation) -> None:
        """What the first convolution, or else the first product with weights, reads as channels."""
        recording = self._recording
        if recording.channels is not None:
            return
        every = set(self._recording.sources[0])
        if op.name in ("convolution", "_convolution"):
            places = set().union(*(sources_of(axis) for axis in [op.axes[0], *op.axes[2:]]))
            if any(known(axis) for axis in op.axes[2:]):
                recording.channels = frozenset(every - places)
        elif op.name in ("mm", "addmm", "bmm", "linear") and recording.contracted is None:
            kept = set().union(*(sources_of(axis) for axis in op.axes[:-1]))
            if kept - {BATCH}:
                recording.contracted = frozenset(every - kept)

    def note_sequence(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """A recurrent layer reads the last axis of its sequence as channels."""
        recording, tensors = self._recording, tensors_of((args, kwargs))
        if recording.channels is None and recording.contracted is None and tensors:
            axes = self.of(tensors[0]).axes
            kept = set().union(*(sources_of(axis) for axis in axes[:-1]))
            if axes and kept - {BATCH}:
                recording.contracted = frozenset(set(recording.sources[0]) - kept)

    @contextmanager
    def listening(self, model: nn.Module) -> Iterator[None]:
        """Hooks are on every module inside, and off outside."""
        with ExitStack() as undo:
            for path, module in model.named_modules():
                listener = _Listener(path, self, self._recording, self._inside)
                undo.callback(module.register_forward_pre_hook(listener.begin, with_kwargs=True, prepend=True).remove)
                undo.callback(
                    module.register_forward_hook(listener.end, always_call=True).remove  # after the user's own hooks
                )
            yield

    def override(self, tensor: Tensor, axes: Axes) -> None:
        """Other knowledge of a tensor than its operations gave."""
        entry = self.of(tensor)
        if entry.node is not None and len(axes) == tensor.ndim:
            self._known[tensor] = Tracked(entry.node, axes, entry.shape, entry.floats)
            self._recording.sources[entry.node] = frozenset().union(*(sources_of(axis) for axis in axes))


class _Listener:
    """Hears the calls of one module."""

    def __init__(self, path: str, follower: _Follower, recording: Recording, inside: list[str]) -> None:
        self._path, self._follower, self._recording, self._inside = path, follower, recording, inside
        self._calls = 0
        self._open: list[tuple[tuple[Tracked, ...], int]] = []

    def begin(self, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """The module is called."""
        self._inside.append(self._path)
        if isinstance(module, nn.RNNBase):
            self._follower.note_sequence(args, kwargs)
        self._open.append((self._follower.tracked((args, kwargs)), len(self._recording.events)))

    def end(self, module: nn.Module, args: Sequence[Any], output: Any) -> None:
        """The module returns, or fails."""
        self._inside.pop()
        inputs, begin = self._open.pop()
        self._calls += 1
        if isinstance(module, nn.RNNBase):
            self._recur(module, inputs, output)
        outputs = self._follower.tracked(output)
        end = len(self._recording.events)
        self._recording.calls.append(ModuleCall(self._path, self._calls, inputs, outputs, begin, end))

    def _recur(self, module: nn.RNNBase, inputs: tuple[Tracked, ...], output: Any) -> None:
        """A recurrent layer keeps its sequence, step by step or fused; what it makes of each step is features."""
        sequence = output[0] if isinstance(output, tuple) else output
        if isinstance(sequence, Tensor) and inputs and len(inputs[0].shape) == sequence.ndim:
            self._follower.override(sequence, [*inputs[0].axes[:-1], feature(sequence.shape[-1])])
