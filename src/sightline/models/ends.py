"""Where a classifier ends: the layer that makes its logits, and the last places before it.

Both are read off a recorded forward of a grey picture, for networks that declare neither. It knows no weights.
"""

from __future__ import annotations

import torch
from torch import nn

from sightline.errors import ModelError
from sightline.models.adapter.call import PLAIN
from sightline.models.adapter.layers import Side
from sightline.models.adapter.recording import Event
from sightline.models.adapter.shelf import structure_of
from sightline.models.adapter.structure import ENDINGS, PASSING, Structure
from sightline.models.logits import LINEAR, SCALING

LAST = (nn.Linear, nn.Conv2d)
"""Layers that make logits."""
BEHIND = {
    *PASSING, *ENDINGS, *SCALING, "relu", "relu_", "dropout", "native_dropout",
    "mean", "_adaptive_avg_pool2d", "adaptive_avg_pool2d", "avg_pool2d",
}  # fmt: skip
"""Operations that may lie between that layer and the logits: of a convolution the logits are means over places."""


def maker_of(net: nn.Module, size: tuple[int, int]) -> str | None:
    """Path of the linear layer or convolution by which a network makes its logits; None where there is none.

    Args:
        net: a network that is left as it was.
        size: `(h, w)` of its pictures.

    Example:
        >>> maker_of(nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (8, 8))
        '0'
    """
    structure = _structure(net, size)
    return None if structure is None else _maker(net, structure)


def last_places(net: nn.Module, size: tuple[int, int]) -> tuple[str, Side]:
    """The last tensor with places that the logits are made of: path of its module, and whether it takes or gives it.

    Of all that modules take and give it is made last; what a function makes is read where a module takes it.

    Args:
        net: a network that is left as it was.
        size: `(h, w)` of its pictures.

    Raises:
        ModelError: it takes no such pictures, or nothing in it has places.
    """
    structure = _structure(net, size)
    if structure is None:
        raise ModelError(
            f"{type(net).__name__} takes no pictures of {size[1]} x {size[0]} pixels, so its features cannot be "
            "read; ask for its own size with --size"
        )
    made = {node: at for at, event in enumerate(structure.recording.events) for node in event.outputs}
    maker = _last_linear(structure)
    sites = [
        (made[site.node], site.side == "output", path, site.side)
        for path in structure.ran()
        if structure.calls(path) == 1  # a part that runs again would be read too early
        for site in (*structure.sites(path), *structure.sites(path, "input"))
        if site.layout is not None and max(site.layout.size) > 1 and site.node in structure.leading & made.keys()
    ]
    first = next((at for at, event in enumerate(structure.recording.events) if event.name in LINEAR), len(made))
    last = len(structure.recording.events) if maker is None else made[maker.outputs[0]]
    before = [site for site in sites if first <= site[0] < last]  # earlier it is the picture, rearranged
    if not before:
        raise ModelError(
            f"no part of {type(net).__name__} has places of a picture, so no features can be read; choose a network "
            "of photos"
        )
    *_, path, side = max(before)
    return path, side


def _maker(net: nn.Module, structure: Structure) -> str | None:
    event = _last_linear(structure)
    return None if event is None or not isinstance(net.get_submodule(event.module), LAST) else event.module


def _last_linear(structure: Structure) -> Event | None:
    """The linear map that made the logits."""
    output = next((entry for entry in structure.recording.output if entry.node is not None), None)
    event = None if output is None or output.node is None else structure.makers.get(output.node)
    while event is not None and event.name not in LINEAR:
        event = structure.makers.get(event.inputs[0]) if event.name in BEHIND and len(event.inputs) == 1 else None
    return event


def _structure(net: nn.Module, size: tuple[int, int]) -> Structure | None:
    """What a forward of two grey pictures shows; None where the network does not take them."""
    weight = next(net.parameters())
    first = next((part for part in net.modules() if isinstance(part, nn.Conv2d)), None)
    channels = 3 if first is None else first.in_channels
    try:
        with torch.no_grad():
            return structure_of(net, PLAIN, weight.new_zeros(2, channels, *size))
    except Exception:  # noqa: BLE001 - a network refuses pictures in many ways
        return None
