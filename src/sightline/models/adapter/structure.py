"""`Structure`: what one recorded forward tells of a model - its layers, their layouts, where it decides.

Recordings are made and kept by `shelf`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal
from weakref import ref

from torch import nn

from sightline.errors import LayerError
from sightline.models.adapter.axes import BATCH
from sightline.models.adapter.discover import default_layers, discover_convolutions, without_places
from sightline.models.adapter.layers import INPUT, INPUT_NAMES, LayerSpec, Side, match_layers
from sightline.models.adapter.layout import Layout, layout_of
from sightline.models.adapter.operations import input_axes
from sightline.models.adapter.reasons import Reasons
from sightline.models.adapter.recording import Event, ModuleCall, Node, Recording, Tracked

Wanted = str | Sequence[str] | None
Ending = Literal["softmax", "log_softmax", "sigmoid"]
PLACES: dict[int, tuple[str, ...]] = {1: ("t",), 2: ("y", "x"), 3: ("z", "y", "x")}
"""What the places of an input are called, by their number of axes."""

ENDINGS: dict[str, Ending] = {
    "_softmax": "softmax", "softmax": "softmax", "_safe_softmax": "softmax",
    "_log_softmax": "log_softmax", "log_softmax": "log_softmax", "sigmoid": "sigmoid",
}  # fmt: skip
NO_TENSOR = "it gives no floating-point tensor"
PASSING = frozenset(
    {"view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "squeeze", "unsqueeze", "clone", "detach",
     "alias", "_to_copy", "to", "contiguous", "permute", "transpose", "t", "lift_fresh"}
)  # fmt: skip
"""Operations that change no number."""


@dataclass(frozen=True, eq=False)
class Site:
    """One tensor that can be read: an input or output of a module at one of its calls.

    Args:
        path, side, call: which.
        leaf: its position among the tensors that the module takes or gives.
        shape: its shape when it was recorded.
        node: its number in the recording.
        layout: where its places are; None where it has none.
    """

    path: str
    side: Side
    call: int
    leaf: int
    shape: tuple[int, ...]
    node: Node | None
    layout: Layout | None


class Structure:
    """What is known of a model for inputs of one shape.

    Args:
        model: the plain module.
        recording: what a forward of it showed.
        shape: shape of the input, without the samples.
        batch: samples of the recording.
        names: what the axes of places are called; None takes the usual ones.
    """

    def __init__(
        self,
        model: nn.Module,
        recording: Recording,
        shape: tuple[int, ...],
        batch: int,
        names: Sequence[str] | None = None,
    ) -> None:
        self._model = ref(model)
        self.recording = recording
        self.shape = shape
        self.batch = batch
        self._calls: dict[str, list[ModuleCall]] = {}
        for call in recording.calls:
            self._calls.setdefault(call.path, []).append(call)
        channels = recording.channels if recording.channels is not None else recording.contracted
        every = [str(d) for d in range(1, len(shape) + 1)]
        # Without a convolution or a product that tells, channels come behind the samples, as everywhere in torch.
        channels = channels if channels is not None and len(channels) < len(every) else frozenset({"1"})
        self.sources = tuple(name for name in every if name not in channels) or tuple(every[-1:])
        self.axes = tuple(names or PLACES.get(len(self.sources), self.sources))
        self._sites: dict[tuple[str, Side, int], Site] = {}

    @property
    def places(self) -> tuple[int, ...]:
        """Places of the input along each of their axes: rows and columns of a picture."""
        return tuple(self.shape[int(name) - 1] for name in self.sources)

    @property
    def channel_axis(self) -> int | None:
        """Which axis of the input holds its channels; None where it has none."""
        rest = [d for d in range(1, len(self.shape) + 1) if str(d) not in self.sources]
        return rest[0] if rest else None

    @cached_property
    def input_layout(self) -> Layout:
        """Layout of the input itself."""
        names = [BATCH, *(str(d) for d in range(1, len(self.shape) + 1))]
        layout = layout_of(input_axes(names, (self.batch, *self.shape)), self.sources, self.axes, self.batch)
        if layout is None:
            raise LayerError(f"an input of shape {self.shape} has no places")
        return layout

    @cached_property
    def folded(self) -> tuple[Layout, ...]:
        """Layouts of tensors along whose axis of samples something else lies: frames, or windows."""
        layouts = (site.layout for path in self.ran() for site in self.sites(path))
        return tuple(dict.fromkeys(layout for layout in layouts if layout is not None and layout.folds))

    def calls(self, path: str) -> int:
        """How often a module was called; the model itself has the empty path."""
        return len(self._calls.get(path, ()))

    def ran(self) -> list[str]:
        """Paths of the modules that were called, in the order of the module tree."""
        model = self._model()
        return [] if model is None else [path for path, _ in model.named_modules() if path and path in self._calls]

    def site(self, path: str, side: Side, call: int) -> Site | None:
        """The tensor that is read at a call of a module; None where there is no such call or no float tensor.

        Of several tensors it is the first with places that is read further on the way to what the model returned,
        else the first that is read further, else the first with places.
        """
        key = (path, side, call)
        if key not in self._sites:
            calls = self._calls.get(path, ())
            if not 1 <= call <= len(calls):
                return None
            entries = calls[call - 1].outputs if side == "output" else calls[call - 1].inputs
            sites = [
                Site(path, side, call, leaf, entry.shape, entry.node, self._layout(entry))
                for leaf, entry in enumerate(entries)
                if entry.floats
            ]
            if not sites:
                return None
            end = calls[call - 1].end if side == "output" else calls[call - 1].begin
            self._sites[key] = min(sites, key=lambda s: (not self._is_read(s.node, end), s.layout is None, s.leaf))
        return self._sites[key]

    def sites(self, path: str, side: Side = "output") -> list[Site]:
        """Every call of a module."""
        sites = [self.site(path, side, call) for call in range(1, self.calls(path) + 1)]
        return [site for site in sites if site is not None]

    def _layout(self, entry: Tracked) -> Layout | None:
        return None if entry.node is None else layout_of(entry.axes, self.sources, self.axes, self.batch)

    def tokens(self, n: int) -> Layout | None:
        """The layout of the first tensor `[b, n, c]` whose places lie along its middle axis, if there is one."""
        for call in self.recording.calls:
            for entry in (*call.inputs, *call.outputs):
                if len(entry.shape) == 3 and entry.shape[1] == n:
                    layout = self._layout(entry)
                    if layout is not None and layout.order[-1] != len(layout.shape) - 1 and len(layout.dims) == 3:
                        return layout
        return None

    def has_places(self, path: str) -> bool:
        """Whether a module gives, at some call, a tensor with more than one place."""
        return any(s.layout is not None and max(s.layout.size) > 1 for s in self.sites(path))

    def reason(self, path: str, side: Side = "output", call: int = 1) -> str:
        """Why a module has no places, in words."""
        site = self.site(path, side, call)
        if site is None:
            return NO_TENSOR if self.calls(path) else "it did not run for this input"
        if site.layout is not None:
            return ""
        return Reasons(self.recording, self.sources).of(site.node)

    @cached_property
    def makers(self) -> dict[Node, Event]:
        """By tensor, the operation that made it."""
        return {node: event for event in self.recording.events for node in event.outputs}

    def recording_of(self, path: str) -> ModuleCall:
        """The first call of a module that ran."""
        return self._calls[path][0]

    @cached_property
    def leading(self) -> frozenset[Node]:
        """Tensors that what the model returned was made of."""
        waiting = [entry.node for entry in self.recording.output if entry.node is not None]
        seen: set[Node] = set()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                event = self.makers.get(node)
                waiting.extend(event.inputs if event is not None else ())
        return frozenset(seen)

    @cached_property
    def _last_read(self) -> dict[Node, int]:
        """By tensor, the last operation on the way to what the model returned that reads it."""
        last: dict[Node, int] = {}
        for i, event in enumerate(self.recording.events):
            if not self.leading.isdisjoint(event.outputs):
                last.update(dict.fromkeys(event.inputs, i))
        last.update({e.node: len(self.recording.events) for e in self.recording.output if e.node is not None})
        return last

    def _is_read(self, node: Node | None, since: int) -> bool:
        return node is not None and self._last_read.get(node, -1) >= since

    @cached_property
    def blocks(self) -> tuple[LayerSpec, ...]:
        """The model's own layers, in forward order."""
        model = self._model()
        return () if model is None else tuple(default_layers(model, self))

    @cached_property
    def without_places(self) -> dict[str, str]:
        """Blocks that are no layers of this model, and why."""
        model = self._model()
        return {} if model is None else without_places(model, self)

    def layers(self, choice: Wanted = None) -> list[LayerSpec]:
        """Where to listen.

        Args:
            choice: None or `"all"` for every block, `"convs"` for every convolution, `"last"` for the last block,
                or names and wildcards.

        Raises:
            LayerError: nothing there, or a name that matches nothing.
        """
        if isinstance(choice, str):
            choice = [part for part in choice.replace(" ", ",").split(",") if part]
        if choice is not None and not len(choice):
            raise LayerError("no layer was asked for; leave layers out for all blocks")
        specs: dict[LayerSpec, None] = {}
        for name in choice or ["all"]:
            specs.update(dict.fromkeys(self._group(name)))
        if not specs:
            size = "x".join(map(str, self.places))
            raise LayerError(
                f"no layer of {type(self._model()).__name__} has places of an input of {size}: {self._seen()}; "
                "name layers by module path, or ask for layers='input', a map of the input itself"
            )
        return list(specs)

    def _group(self, name: str) -> list[LayerSpec]:
        model = self._model()
        if name in INPUT_NAMES or name.endswith("+input"):
            return [INPUT, *(self._group(name.removesuffix("+input")) if name not in INPUT_NAMES else ())]
        if model is None:
            raise LayerError("the model whose layers are asked for is gone; keep it as long as its structure")
        if name in ("all", "blocks"):
            return list(self.blocks)
        if name == "last":
            return list(self.blocks[-1:])
        if name == "convs":
            return [spec for spec in discover_convolutions(model) if self.calls(spec.path)]
        paths = [path for path, _ in model.named_modules() if path]
        return [self._where_places_are(spec) for spec in match_layers([name], self.blocks, paths, self._calls)]

    def _where_places_are(self, spec: LayerSpec) -> LayerSpec:
        """A part that gives no places but takes some, such as a decoder with queries, is read where it takes them."""
        sites = [self.sites(spec.path, side) for side in ("output", "input")]
        without, entering = (not any(s.layout is not None for s in own) for own in sites)
        return replace(spec, side="input") if spec.side == "output" and without and not entering else spec

    def _seen(self) -> str:
        """Why parts that ran have no places, in words."""
        seen = list(dict.fromkeys(self.reason(path) for path in self.ran() if self.reason(path)))
        if self.recording.events and set(seen) <= {NO_TENSOR}:
            return "its operations do not run as modules, as in an exported graph: explain what it was made from"
        return "; ".join(seen[:4]) or "no part of it ran"
