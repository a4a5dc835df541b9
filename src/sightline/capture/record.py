"""The recorder: forward hooks read the layers as the model runs, tensor hooks hand over their gradients.

Nothing outlives the call. Where the graph has not begun yet, it begins at the layer itself, so that nothing below the
first wanted layer is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.nested import replaced, tensors_of
from sightline.common.threads import tree
from sightline.errors import LayerError
from sightline.models import Adapter, Layer, LayerSpec, Layout, Structure, layer_name
from sightline.models.adapter.layers import INPUT, INPUT_NAMES

Arrival = Callable[["Record", Tensor], None]


@dataclass(eq=False)
class Record:
    """One call of one layer's module.

    Args:
        spec: place in the model at which the tensor was read.
        call: number of the module's call, from 1.
        layout: arrangement of the tensor's axes.
        batch: number of samples.
        activation: the layer's tensor, detached.
        leaf: the start of the graph, if it starts here.
        copied: whether the model goes on with another tensor than this one.
        version: the tensor's version counter when it was read; a later one means that it was overwritten.
    """

    spec: LayerSpec
    call: int
    layout: Layout
    batch: int
    activation: Float[Tensor, "..."]
    leaf: Float[Tensor, "..."] | None
    copied: bool = False
    version: int = field(init=False)

    def __post_init__(self) -> None:
        # Tensors that the model made under inference_mode have no counter.
        self.version = 0 if self.activation.is_inference() else self.activation._version

    @property
    def overwritten(self) -> bool:
        """Whether an in-place operation has changed the activation since it was read, or may have."""
        if self.activation.is_inference():
            return not self.copied
        return self.activation._version != self.version

    def layer(self, calls: int, places: tuple[int, ...]) -> Layer:
        """The layer that this call of the module is."""
        name = layer_name(self.spec, self.call, calls)
        channels = self.layout.channels(tuple(self.activation.shape))
        return Layer(name, self.spec, self.layout, channels, round(places[0] / self.layout.size[0], 2))


_SPARED: WeakKeyDictionary[Structure, dict[Any, tuple[int, ...]]] = WeakKeyDictionary()
"""Which in-place layers had to work out of place when these layers were read, by their number in the tree.

A hint that saves a hook on each of them: if another one overwrites what was read, that is seen and made good.
"""


class Recorder:
    """Listens to a model's layers for one forward.

    Args:
        adapter: the model.
        structure: what is known of its layers for such inputs.
        specs: places at which tensors are read.
        inputs: samples of the input that is explained.
        gradients: whether the layers' gradients are recorded too.
        copied: paths whose activation is copied at once, because something overwrites it.
    """

    def __init__(
        self,
        adapter: Adapter,
        structure: Structure,
        specs: Sequence[LayerSpec],
        inputs: Float[Tensor, "b ..."],
        *,
        gradients: bool,
        copied: frozenset[str] = frozenset(),
    ) -> None:
        self._adapter = adapter
        self._structure = structure
        self._specs = specs
        self._batch = inputs.shape[0]
        self._gradients = gradients
        self._copied = copied
        self.records: list[Record] = []
        self.arrive: Arrival | None = None
        self.reached: set[Record] = set()
        self._calls: dict[LayerSpec, int] = {}
        self._left_out: dict[LayerSpec, str] = {}
        self._storages: set[int] = set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks are on the model inside, and off it outside."""
        with ExitStack() as undo:
            for spec in self._specs:
                module = submodule(self._adapter.model, spec.path)
                undo.callback(self._hook(module, spec).remove)
            modules = tree(self._adapter.model)
            in_place = tuple(i for i, module in enumerate(modules) if module.__dict__.get("inplace") is True)
            key = (tuple(self._specs), self._gradients, in_place)
            known = _SPARED.setdefault(self._structure, {})
            for i in known.get(key, in_place):
                # Put back here, so that the guard around the forward finds nothing to do.
                undo.callback(modules[i].__dict__.update, {"inplace": True})
                if key in known:
                    modules[i].__dict__["inplace"] = False
                else:
                    undo.callback(modules[i].register_forward_pre_hook(self._spare).remove)
            yield
            if key not in known:
                known[key] = tuple(i for i in in_place if modules[i].__dict__["inplace"] is False)

    def _spare(self, module: nn.Module, args: Any) -> None:
        """An in-place layer that would overwrite what was read works out of place; its flag is put back behind it."""
        tensors = args[:1] if args and isinstance(args[0], Tensor) else tensors_of(args)
        if tensors and tensors[0].untyped_storage().data_ptr() in self._storages:
            module.__dict__["inplace"] = False

    def _hook(self, module: nn.Module, spec: LayerSpec) -> Any:
        if spec.side == "input":
            return module.register_forward_pre_hook(partial(self._on_input, spec), with_kwargs=True, prepend=True)
        return module.register_forward_hook(partial(self._on_output, spec))

    def _on_output(self, spec: LayerSpec, module: nn.Module, args: Any, output: Any) -> Any:
        tensor, live = self._read(spec, output)
        return None if live is tensor else replaced(output, tensor, live)

    def _on_input(self, spec: LayerSpec, module: nn.Module, args: Any, kwargs: Any) -> Any:
        tensor, live = self._read(spec, (args, kwargs))
        return None if live is tensor else replaced((args, kwargs), tensor, live)

    def _read(self, spec: LayerSpec, parts: Any) -> tuple[Tensor | None, Tensor | None]:
        """Note one call of a layer; returns its tensor, and the one with which the model goes on."""
        self._calls[spec] = call = self._calls.get(spec, 0) + 1
        if spec.call is not None and spec.call != call:
            return None, None
        tensor, layout = self._located(spec, call, parts)
        if tensor is None or layout is None:
            return None, None
        read = tensor
        leaf = None
        activation = tensor.detach()
        # No graph has begun yet: it begins here, and the model goes on with a copy, which it may write into.
        if self._gradients and not tensor.requires_grad and torch.is_grad_enabled():
            leaf = activation.requires_grad_()
            activation, tensor = leaf.detach(), leaf.clone()
        elif spec.path in self._copied:
            activation = activation.clone()
        self._storages.add(activation.untyped_storage().data_ptr())
        record = Record(spec, call, layout, self._batch, activation, leaf, spec.path in self._copied)
        self.records.append(record)
        if self._gradients and leaf is None and tensor.requires_grad:
            if spec.side == "input":
                # What others make of the tensor is not this layer's: it hears of its own use alone.
                tensor = tensor.view_as(tensor)
            tensor.register_hook(partial(self._on_gradient, record))  # type: ignore[no-untyped-call]
        return read, tensor

    def _on_gradient(self, record: Record, gradient: Tensor | None) -> None:
        # An int8 kernel hands over no gradient, where it says that it has one.
        if self.arrive is not None and gradient is not None:
            self.arrive(record, gradient)

    def _located(self, spec: LayerSpec, call: int, parts: Any) -> tuple[Tensor | None, Layout | None]:
        """The tensor that is read at a call, and its layout; why there is none is noted."""
        site = self._structure.site(spec.path, spec.side, call)
        if site is None or site.layout is None:
            self._left_out[spec] = self._structure.reason(spec.path, spec.side, call)
            return None, None
        tensors = tensors_of(parts)
        tensor = tensors[site.leaf] if site.leaf < len(tensors) else None
        if tensor is None or not site.layout.fits(tensor.shape, self._batch):
            raise StaleStructureError(spec.path)
        if max(site.layout.size) == 1 and not spec.explicit:
            self._left_out[spec] = "it holds one place"
            return None, None
        return tensor, site.layout

    def layers(self) -> list[Layer]:
        """The layers that were read, in the order of `records`.

        Raises:
            LayerError: a layer that was named did not run or has no grid, or none at all has one.
        """
        for spec in self._specs:
            if spec.explicit and not any(record.spec == spec for record in self.records):
                raise LayerError(self._why_not(spec))
        if not self.records:
            reasons = "; ".join(f"{spec.path!r}: {why}" for spec, why in list(self._left_out.items())[:4])
            size = "x".join(map(str, self._structure.places))
            raise LayerError(
                f"no layer of {type(self._adapter.model).__name__} that was asked for has places of an input of "
                f"{size}: {reasons or 'none ran'}"
            )
        layers = [record.layer(self._calls[record.spec], self._structure.places) for record in self.records]
        # A model with a part called "input" has two of that name.
        taken = INPUT_NAMES[0] in self._adapter.model._modules
        return [replace(layer, name=INPUT_NAMES[1]) if taken and layer.spec == INPUT else layer for layer in layers]

    def _why_not(self, spec: LayerSpec) -> str:
        calls = self._calls.get(spec, 0)
        if not calls:
            return f"the layer {spec.path!r} did not run for this input, so it has no map; leave it out"
        if spec in self._left_out:
            return f"the layer {spec.path!r} has no places of the input, so it has no map: {self._left_out[spec]}"
        return f"the layer {spec.path!r} ran {calls} times; its call {spec.call} does not exist"


class StaleStructureError(Exception):
    """The model computed otherwise than when it was recorded: it is recorded anew."""


def submodule(model: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path that is known to exist; the model itself for the empty path."""
    for name in path.split(".") if path else ():
        model = cast(nn.Module, model._modules[name])
    return model
