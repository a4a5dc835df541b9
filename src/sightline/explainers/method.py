"""What a method is, and the registry that `explain`, the command line, the docs and the tests read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from sightline.capture import Reduction
from sightline.errors import MethodError
from sightline.models import Adapter, Wanted
from sightline.registry import Registry
from sightline.targets import Readout, Selector, Target

Needs = Literal["gradient", "activation", "attention", "forwards", "captum", "nothing"]
Control = Callable[[Float[Tensor, "b c ..."], tuple[int, ...], int], Float[Tensor, "b ..."]]
"""From inputs, grid and seed to maps that know nothing of the model."""


@dataclass(frozen=True, eq=False)
class Request:
    """What a method of its own pass is asked for.

    Args:
        adapter: the model.
        inputs: `[b, c, h, w]`.
        target: the decision.
        layers: selection of layers; None is the method's own choice.
        labels: class names.
        output: which part of the model's output holds the logits.
        seed: seed of everything random.
        batch_size: most samples in one forward; None means no limit.
        options: the method's own options.
        preprocess: how the inputs were preprocessed, as plain values such as `mean` and `std`, where that is known.
    """

    adapter: Adapter
    inputs: Float[Tensor, "b c h w"]
    target: Target
    layers: Wanted = None
    labels: tuple[str, ...] | None = None
    output: Selector | None = None
    seed: int = 0
    batch_size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] | None = None

    def option(self, name: str, default: Any) -> Any:
        """An option of the method, or its default."""
        return self.options.get(name, default)

    def number(self, name: str, default: float) -> float:
        """An option that is a number, or its default.

        Raises:
            MethodError: it is not a number.
        """
        value = self.options.get(name, default)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise MethodError(f"the option {name} is a number, not {value!r}") from None

    def count(self, name: str, default: int) -> int:
        """An option that is a whole number, or its default.

        Raises:
            MethodError: it is none.
        """
        number = self.number(name, default)
        if number != number // 1:
            raise MethodError(f"the option {name} is a whole number, not {number:g}")
        return int(number)


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """Maps of one layer for a batch.

    Args:
        layer: the layer's name.
        maps: `[b, k, h, w]` float32.
        notes: `[b]` or `[b, k]` numbers that belong to these maps.
        signed: whether negative values mean evidence against the decision; None takes it from the method.
    """

    layer: str
    maps: Float[Tensor, "b k h w"]
    notes: Mapping[str, Float[Tensor, " b"] | Float[Tensor, "b k"]] = field(default_factory=dict)
    signed: bool | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a method of its own pass returns: the scores that it explained, and maps in forward order.

    Args:
        readout: the scores.
        layers: the maps.
        remarks: sentences of the method on its flow, for each sample and decision.
    """

    readout: Readout
    layers: tuple[LayerMaps, ...]
    remarks: tuple[tuple[tuple[str, ...], ...], ...] = ()


Run = Callable[[Request], Outcome]


@dataclass(frozen=True, eq=False)
class Method:
    """One way of explaining, with everything that a reader of the method matrix wants to know.

    Args:
        name: name by which the method is asked for.
        title: its name in the literature.
        family: heading in the method matrix.
        needs: `gradient` and `activation` methods share one pass; the others have a pass of their own.
        equation: the map, in the notation of `docs/methods.md`.
        source: key in `docs/references.bib`.
        cost: cost in forward and backward passes, in words.
        signed: whether negative values mean evidence against the decision.
        layers: default selection of layers: all, the last, or the input.
        reduction, control, run: the method itself; exactly one is given.
        options: name of each option to its default and meaning.
        models: for which models it is defined.
        no_input: why it has no map at the network's input; empty where it has one.
    """

    name: str
    title: str
    family: str
    needs: Needs
    equation: str
    source: str
    cost: str
    signed: bool = False
    layers: Literal["all", "last", "input"] = "all"
    reduction: Reduction | None = None
    control: Control | None = None
    run: Run | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    models: str = "any"
    no_input: str = ""

    @property
    def default_layers(self) -> str:
        """Layers that are read when the user does not say."""
        return self.layers

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that this method does not have.

        Raises:
            MethodError: listing those that it has.
        """
        for name in options:
            if name not in self.options:
                names = ", ".join(self.options) or "none"
                raise MethodError(f"the method {self.name!r} has no option {name!r}; its options: {names}")


METHODS: Registry[Method] = Registry(
    "method", group="sightline.methods", error=MethodError, titles=lambda method: (method.title,)
)


def reduction(**facts: Any) -> Callable[[Reduction], Reduction]:
    """Register a pure function of a layer's `Pair` as a method of the shared pass."""

    def add(function: Reduction) -> Reduction:
        METHODS.add(facts["name"], Method(reduction=function, **facts))
        return function

    return add


def control(**facts: Any) -> Callable[[Control], Control]:
    """Register a map that knows nothing of the model."""

    def add(function: Control) -> Control:
        METHODS.add(facts["name"], Method(control=function, family="Controls", needs="nothing", cost="0", **facts))
        return function

    return add


def own_pass(**facts: Any) -> Callable[[Run], Run]:
    """Register a method that runs the model in its own way."""

    def add(function: Run) -> Run:
        METHODS.add(facts["name"], Method(run=function, **facts))
        return function

    return add
