"""Networks of the house that are known by their weights file alone.

A room above registers here how its files are read, so that `load_model(weights=FILE)` need not know the room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from sightline.common.files import write_tensors
from sightline.errors import InputError, ModelError, SightlineError
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights
from sightline.registry import Registry


class BuiltNetwork(NamedTuple):
    """A network made from its file.

    Args:
        model: in eval mode, in float32, on the CPU.
        labels: a name per class.
        preprocess: how a photo is made ready for it.
    """

    model: nn.Module
    labels: tuple[str, ...]
    preprocess: Preprocess


Builder = Callable[[Weights], BuiltNetwork]
ARCHITECTURES: Registry[Builder] = Registry("architecture", group="sightline.architectures", error=ModelError)
"""What a safetensors file says under `architecture` to what builds the network."""

Spec = TypeVar("Spec")
Net = TypeVar("Net", bound=nn.Module)


def write_network(path: str | Path, tensors: Mapping[str, Tensor], architecture: str, spec: str) -> Path:
    """Write tensors and how their network is built, whole or not at all.

    Args:
        path: a safetensors file.
        tensors: by name.
        architecture: a name of `ARCHITECTURES`.
        spec: how the network is built, as JSON.
    """
    write_tensors(path, tensors, {"architecture": architecture, "spec": spec})
    return Path(path)


def read_spec(weights: Weights, architecture: str, read: Callable[[str], Spec], by: str) -> Spec:
    """How the network of a file is built.

    Args:
        weights: what the file holds.
        architecture: what it has to say it is.
        read: makes the spec of its JSON.
        by: the command that writes such files.

    Raises:
        ModelError: it is another network's file, or a damaged one.
    """
    said = weights.metadata.get("architecture", "no architecture")
    if said != architecture:
        raise ModelError(f"{weights.path} holds {said!r}, not {architecture!r}; was it written by `{by}`?")
    try:
        return read(weights.metadata["spec"])
    except (KeyError, ValueError, InputError) as problem:
        raise ModelError(f"{weights.path} does not say how its network is built: {problem}") from problem


def build_network(weights: Weights, build: Callable[[], Net], *, sized: bool = False) -> Net:
    """The network that a file describes; its description may have been changed by anybody.

    Args:
        weights: what the file holds.
        build: makes the network.
        sized: whether it can be made without memory, to see first that it is no larger than what the file holds.

    Raises:
        ModelError: the description cannot be followed, or is of a much larger network.
    """
    try:
        if sized:
            _check_size(weights, build)
        return build()
    except SightlineError:
        raise
    except Exception as problem:  # a module may raise anything on sizes that it was not made for
        reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise ModelError(
            f"{str(weights.path)!r} describes a network that cannot be built ({reason}); copy or write it again"
        ) from problem


def _check_size(weights: Weights, build: Callable[[], nn.Module]) -> None:
    """Refuse a description of more numbers than the file holds, before memory is asked for."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        needed = sum(value.numel() for value in build().state_dict().values())
    held = sum(value.numel() for value in weights.tensors.values())
    if needed > 2 * held:
        raise ModelError(
            f"{str(weights.path)!r} describes a network of {needed} numbers, but holds {held}; copy or write it again"
        )
