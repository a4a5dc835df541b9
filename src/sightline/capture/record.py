"""The recorder: forward hooks read the layers as the model runs, tensor hooks hand over their gradients.

Nothing outlives the call. Where the graph has not begun yet, it begins at the layer itself, so that nothing below the
first wanted layer is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import LayerError
from sightline.models import Adapter, Layer, LayerSpec, Layout, layer_name

Arrival = Callable[["Record", Tensor], None]


@dataclass(eq=False)
class Record:
    """One call of one layer's module.

    Args:
        spec: place in the model at which the tensor was read.
        call: number of the module's call, from 1.
        layout: arrangement of the tensor's axes.
        activation: the layer's tensor, detached.
        leaf: the start of the graph, if it starts here.
        version: the tensor's version counter when it was read; a later one means that it was overwritten.
    """

    spec: LayerSpec
    call: int
    layout: Layout
    activation: Float[Tensor, "..."]
    leaf: Float[Tensor, "..."] | None
    version: int = field(init=False)

    def __post_init__(self) -> None:
        self.version = self.activation._version

    @property
    def overwritten(self) -> bool:
        """Whether an in-place operation has changed the activation since it was read."""
        return self.activation._version != self.version

    def layer(self, calls: int, picture: tuple[int, int]) -> Layer:
        """The layer that this call of the module is."""
        name = layer_name(self.spec, self.call, calls)
        channels = self.layout.channels(tuple(self.activation.shape))
        return Layer(name, self.spec, self.layout, channels, round(picture[0] / self.layout.height, 2))


class Recorder:
    """Listens to a model's layers for one forward.

    Args:
        adapter: the model.
        specs: places at which tensors are read.
        picture: height and width of the input.
        batch: number of samples, which a layer's first axis must have.
        gradients: whether the layers' gradients are recorded too.
        copied: paths whose activation is copied at once, because something overwrites it.
    """

    def __init__(
        self,
        adapter: Adapter,
        specs: Sequence[LayerSpec],
        inputs: Float[Tensor, "b c h w"],
        *,
        gradients: bool,
        copied: frozenset[str] = frozenset(),
    ) -> None:
        self._adapter = adapter
        self._specs = specs
        self._picture = (inputs.shape[2], inputs.shape[3])
        self._batch = inputs.shape[0]
        self._gradients = gradients
        self._copied = copied
        self.records: list[Record] = []
        self.arrive: Arrival | None = None
        self._calls: dict[LayerSpec, int] = {}
        self._left_out: dict[str, tuple[int, ...]] = {}
        self._layouts: dict[tuple[int, ...], Layout | None] = {}
        self._storages: set[int] = set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks are on the model inside, and off it outside."""
        with ExitStack() as undo:
            for spec in self._specs:
                module = submodule(self._adapter.model, spec.path)
                undo.callback(self._hook(module, spec).remove)
            for module in self._adapter.model.modules():
                if module.__dict__.get("inplace") is True:
                    undo.callback(module.register_forward_pre_hook(self._spare).remove)
            yield

    def _spare(self, module: nn.Module, args: Any) -> None:
        """An in-place layer that would overwrite what was read works out of place; the guard puts its flag back."""
        tensor = first_tensor(args)
        if tensor is not None and tensor.untyped_storage().data_ptr() in self._storages:
            module.__dict__["inplace"] = False

    def _hook(self, module: nn.Module, spec: LayerSpec) -> Any:
        if spec.side == "input":
            return module.register_forward_pre_hook(partial(self._on_input, spec), with_kwargs=True, prepend=True)
        return module.register_forward_hook(partial(self._on_output, spec))

    def _on_output(self, spec: LayerSpec, module: nn.Module, args: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        live = self._read(spec, tensor)
        return None if live is tensor else replaced(output, tensor, live)

    def _on_input(self, spec: LayerSpec, module: nn.Module, args: Any, kwargs: Any) -> Any:
        tensor = first_tensor((*args, *kwargs.values()))
        live = self._read(spec, tensor)
        return None if live is tensor else (replaced(args, tensor, live), replaced(kwargs, tensor, live))

    def _read(self, spec: LayerSpec, tensor: Tensor | None) -> Tensor | None:
        """Note one call of a layer; returns the tensor with which the model goes on."""
        self._calls[spec] = call = self._calls.get(spec, 0) + 1
        if tensor is None or (spec.call is not None and spec.call != call):
            return tensor
        layout = self._layout(spec, tensor)
        if layout is None:
            return tensor
        leaf = None
        activation = tensor.detach()
        # No graph has begun yet: it begins here, and the model goes on with a copy, which it may write into.
        if self._gradients and not tensor.requires_grad:
            leaf = activation.requires_grad_()
            activation, tensor = leaf.detach(), leaf.clone()
        elif spec.path in self._copied:
            activation = activation.clone()
        self._storages.add(activation.untyped_storage().data_ptr())
        record = Record(spec, call, layout, activation, leaf)
        self.records.append(record)
        if self._gradients and leaf is None:
            tensor.register_hook(partial(self._on_gradient, record))  # type: ignore[no-untyped-call]
        return tensor

    def _on_gradient(self, record: Record, gradient: Tensor) -> None:
        if self.arrive is not None:
            self.arrive(record, gradient)

    def _layout(self, spec: LayerSpec, tensor: Tensor) -> Layout | None:
        shape = tuple(tensor.shape)
        usable = tensor.is_floating_point() and shape[:1] == (self._batch,)
        if usable and shape not in self._layouts:
            self._layouts[shape] = self._adapter.layout(shape, self._picture)
        layout = self._layouts[shape] if usable else None
        if layout is None or (layout.size == (1, 1) and not spec.explicit):
            self._left_out[spec.path] = shape
            return None
        return layout

    def layers(self) -> list[Layer]:
        """The layers that were read, in the order of `records`.

        Raises:
            LayerError: a layer that was named did not run or has no grid, or none at all has one.
        """
        for spec in self._specs:
            if spec.explicit and not any(record.spec == spec for record in self.records):
                raise LayerError(self._why_not(spec))
        if not self.records:
            raise LayerError(
                f"no layer of {type(self._adapter.model).__name__} holds a grid over a picture of "
                f"{self._picture[0]}x{self._picture[1]}; shapes seen: {self._left_out or 'none'}"
            )
        return [record.layer(self._calls[record.spec], self._picture) for record in self.records]

    def _why_not(self, spec: LayerSpec) -> str:
        calls = self._calls.get(spec, 0)
        if not calls:
            return f"the layer {spec.path!r} did not run for this input, so it has no map; leave it out"
        if spec.path in self._left_out:
            return (
                f"the layer {spec.path!r} holds no grid that fits a picture of "
                f"{self._picture[0]}x{self._picture[1]}: its tensor has shape {self._left_out[spec.path]}"
            )
        return f"the layer {spec.path!r} ran {calls} times; its call {spec.call} does not exist"


def submodule(model: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path that is known to exist; the model itself for the empty path."""
    for name in path.split(".") if path else ():
        model = cast(nn.Module, model._modules[name])
    return model


def first_tensor(parts: Any) -> Tensor | None:
    """The tensor that a module takes or returns; the first one, if there are several."""
    if isinstance(parts, Tensor):
        return parts
    if isinstance(parts, dict):
        parts = tuple(parts.values())
    if isinstance(parts, tuple | list):
        return next((part for part in parts if isinstance(part, Tensor)), None)
    return None


def replaced(parts: Any, old: Tensor | None, new: Tensor | None) -> Any:
    """The same structure with every occurrence of one tensor replaced."""
    if parts is old:
        return new
    if isinstance(parts, dict):
        return type(parts)((key, replaced(part, old, new)) for key, part in parts.items())
    if isinstance(parts, tuple) and hasattr(parts, "_fields"):
        return type(parts)(*(replaced(part, old, new) for part in parts))
    if isinstance(parts, tuple | list):
        return type(parts)(replaced(part, old, new) for part in parts)
    return parts
