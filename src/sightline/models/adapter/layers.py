"""What a layer is: a named place inside a model where attention is read."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from sightline.errors import LayerError, near
from sightline.models.adapter.layout import Layout

Side = Literal["output", "input"]


@dataclass(frozen=True)
class LayerSpec:
    """Where to listen, before the model has run.

    Args:
        path: dotted path of the module.
        side: whether the module's output or its first input is read.
        call: which call of the module (from 1); None is every call.
        explicit: whether the user named it, so that it is an error if it never runs.
    """

    path: str
    side: Side = "output"
    call: int | None = None
    explicit: bool = False


INPUT = LayerSpec("", "input", explicit=True)
"""The network's own input."""

INPUT_NAMES = ("input", "@in")
"""What it is called; by the second name in a model that has a part called `input`."""


@dataclass(frozen=True)
class Layer:
    """A place where the model was read, after it has run.

    Args:
        name: `path`, with `:N` behind it where the module runs more than once, and `@in` where its input is read.
        spec: where it was listened to.
        layout: how its tensor is laid out.
        channels: number of channels.
        stride: input pixels per grid row.
    """

    name: str
    spec: LayerSpec
    layout: Layout
    channels: int
    stride: float

    @property
    def kind(self) -> str:
        """`grid`, `windows` or `tokens`."""
        return self.layout.kind

    @property
    def grid(self) -> tuple[int, ...]:
        """Places along each axis: rows and columns of a picture."""
        return self.layout.size


def without_input(choice: str | Sequence[str] | None) -> tuple[bool, str | list[str] | None]:
    """Whether the network's own input is among the chosen layers, and the choice without it.

    Example:
        >>> without_input("all+input"), without_input(["layer4.1"]), without_input("input")
        ((True, ['all']), (False, ['layer4.1']), (True, []))
    """
    if choice is None:
        return False, None
    names = choice.replace(" ", ",").split(",") if isinstance(choice, str) else list(choice)
    rest = [
        name.removesuffix("+input") if isinstance(name, str) else name for name in names if name not in INPUT_NAMES
    ]
    asked = rest != names
    return asked, rest if asked or not isinstance(choice, str) else choice


def layer_name(spec: LayerSpec, call: int, calls: int) -> str:
    """The name under which a layer's map is kept.

    Example:
        >>> layer_name(LayerSpec("relu"), 2, 3)
        'relu:2'
    """
    if not spec.path:
        return INPUT_NAMES[0]
    side = "@in" if spec.side == "input" else ""
    return f"{spec.path}{side}" + (f":{call}" if calls > 1 else "")


def match_layers(
    names: Sequence[str], defaults: Sequence[LayerSpec], paths: Sequence[str], ran: Container[str] | None = None
) -> list[LayerSpec]:
    """Layers that the user named: default layers or any module, with wildcards.

    Args:
        names: names such as `layer4.2`, `layer3.*`, `relu:2` (second call) or `blocks.3@in` (its input).
        defaults: the model's own layers; a wildcard is tried on them first.
        paths: dotted paths of all modules of the model.
        ran: those that were called; a wildcard passes over the others (lists, and what this input does not reach).

    Raises:
        LayerError: a name matches nothing; near names are listed.
    """
    specs: dict[LayerSpec, None] = {}
    for name in names:
        path, side, call = _split(name)
        own = [spec.path for spec in defaults if _matches(path, spec.path)]
        hits = own or [m for m in paths if m == path or (_matches(path, m) and (ran is None or m in ran))]
        if not hits:
            raise LayerError(f"this model has no layer {name!r}; {near(path, [*(s.path for s in defaults), *paths])}")
        sides = {spec.path: spec.side for spec in defaults}
        for hit in hits:
            specs[LayerSpec(hit, side or sides.get(hit, "output"), call, explicit=True)] = None
    return list(specs)


def _split(name: str) -> tuple[str, Side | None, int | None]:
    path, _, call = name.strip().partition(":")
    if call and not call.isdigit():
        raise LayerError(f"the layer {name!r} is not understood; write PATH, PATH:2 (its second call) or PATH@in")
    side: Side | None = "input" if path.endswith("@in") else None
    return path.removesuffix("@in"), side, int(call) if call else None


def _matches(pattern: str, path: str) -> bool:
    return pattern == path or (any(sign in pattern for sign in "*?[") and fnmatchcase(path, pattern))
