"""Networks of the house that are known by their weights file alone.

A room above registers here how its files are read, so that `load_model(weights=FILE)` need not know the room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from sightline.backbones.preprocess import Preprocess
from sightline.backbones.weights import Weights
from sightline.errors import ModelError
from sightline.registry import Registry


class Built(NamedTuple):
    """A network made from its file.

    Args:
        model: in eval mode, in float32, on the CPU.
        labels: a name per class.
        preprocess: how a photo is made ready for it.
    """

    model: nn.Module
    labels: tuple[str, ...]
    preprocess: Preprocess


Builder = Callable[[Weights], Built]
ARCHITECTURES: Registry[Builder] = Registry("architecture", group="sightline.architectures", error=ModelError)
"""What a safetensors file says under `architecture` to what builds the network."""
