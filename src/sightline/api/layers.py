"""Layers as people name them: modules of the model itself, beside names and wildcards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from sightline.errors import LayerError
from sightline.models import Wanted

Layers = Wanted | nn.Module | Sequence["str | nn.Module"]
"""What `explain` takes: None, a word, names and wildcards, and modules of the model."""


def named_layers(model: nn.Module, layers: Layers) -> Wanted:
    """The same selection by names alone: a module by its path in the model.

    A list that does not run itself (`nn.ModuleList`, `nn.ModuleDict`) stands for its members.

    Args:
        model: the plain module, unwrapped.
        layers: what was asked for.

    Raises:
        LayerError: a module is not part of the model, or is the model.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        >>> named_layers(net, [net[0], "1"])
        ['0', '1']
    """
    if layers is None or isinstance(layers, str):
        return layers
    if isinstance(layers, nn.Module):
        layers = [layers]
    if not isinstance(layers, Iterable):
        raise LayerError(f"layers are names or modules of the model, not {type(layers).__name__}")
    paths: dict[int, str] = {}
    names: list[str] = []
    for layer in layers:
        if isinstance(layer, str):
            names.append(layer)
        elif isinstance(layer, nn.Module):
            paths = paths or {id(module): path for path, module in reversed(list(model.named_modules()))}
            names += [_path(model, part, paths) for part in _parts(layer)]
        else:
            raise LayerError(
                f"a layer is a name or a module of the model, not {type(layer).__name__}; pass model.layer4[-1] or "
                "'layer4.1', for example"
            )
    return "last" if names == ["last"] else names


def _parts(layer: nn.Module) -> list[nn.Module]:
    """The module, or what is in a list of modules."""
    if isinstance(layer, nn.ModuleList):
        return list(layer)
    return list(layer.values()) if isinstance(layer, nn.ModuleDict) else [layer]


def _path(model: nn.Module, layer: nn.Module, paths: dict[int, str]) -> str:
    path = paths.get(id(layer))
    if path:
        return path
    kind, whole = type(layer).__name__, type(model).__name__
    if path == "":
        raise LayerError(f"a layer is a part of the model, but the {kind} that was passed is the model; pass a part")
    alike = [path for path, module in model.named_modules() if path and type(module) is type(layer)]
    near = f"; its own modules of that kind: {', '.join(map(repr, alike[-3:]))}" if alike else ""
    raise LayerError(
        f"the {kind} that was passed as a layer is not part of this {whole} (a copy of the model has other modules)"
        f"{near}"
    )
