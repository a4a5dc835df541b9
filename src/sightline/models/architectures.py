"""Networks of our own: every one registers here how it is built, and is written and read through here.

So `load_model` knows a network by its name, or by its weights file alone, without knowing the package that it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
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
    """A network that is ready to be asked.

    Args:
        model: in eval mode, in float32, on the CPU.
        labels: a name per class; None where it has no classes.
        preprocess: how a photo is preprocessed for it.
    """

    model: nn.Module
    labels: tuple[str, ...] | None
    preprocess: Preprocess


@dataclass(frozen=True)
class Architecture:
    """A network of our own.

    Args:
        build: makes it from its weights file.
        random: makes it with random weights of torch's global generator, where it has a form without a file.
        asset: name of the weights file that comes with the package, among its assets.
    """

    build: Callable[[Weights], BuiltNetwork]
    random: Callable[[], BuiltNetwork] | None = None
    asset: str | None = None

    @contextmanager
    def bundled(self, name: str) -> Iterator[Path]:
        """The weights file that comes with the package.

        Raises:
            ModelError: none does.
        """
        if self.asset is None:
            other = "" if self.random is None else ", or --weights random"
            raise ModelError(f"{name} comes without weights; give a file with --weights FILE{other}")
        with as_file(files("sightline") / "assets" / self.asset) as path:
            yield path


ARCHITECTURES: Registry[Architecture] = Registry("architecture", group="sightline.architectures", error=ModelError)
"""What a safetensors file says under `architecture`, and how such a network is built."""


def architecture(
    name: str, *, random: Callable[[], BuiltNetwork] | None = None, asset: str | None = None
) -> Callable[[Callable[[Weights], BuiltNetwork]], Callable[[Weights], BuiltNetwork]]:
    """Register how a network of our own is made from its weights file; see `Architecture`."""

    def register(build: Callable[[Weights], BuiltNetwork]) -> Callable[[Weights], BuiltNetwork]:
        ARCHITECTURES.add(name, Architecture(build, random, asset))
        return build

    return register


Spec = TypeVar("Spec")
Net = TypeVar("Net", bound=nn.Module)


def write_network(path: str | Path, tensors: Mapping[str, Tensor], architecture: str, spec: str, **more: str) -> Path:
    """Write tensors and how their network is built, whole or not at all.

    Args:
        path: a safetensors file.
        tensors: by name.
        architecture: a name of `ARCHITECTURES`.
        spec: how the network is built, as JSON.
        more: further texts of the file, by name.
    """
    write_tensors(path, tensors, {"architecture": architecture, "spec": spec, **more})
    return Path(path)


def half_precision(net: nn.Module) -> dict[str, Tensor]:
    """A network's tensors in half precision, without the counters of its norms, which nothing reads."""
    return {name: value.half() for name, value in net.state_dict().items() if "num_batches" not in name}


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
    name = weights.metadata.get("architecture", "no architecture")
    if name != architecture:
        raise ModelError(f"{weights.path} holds {name!r}, not {architecture!r}; was it written by `{by}`?")
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
    size = sum(value.numel() for value in weights.tensors.values())
    if needed > 2 * size:
        raise ModelError(
            f"{str(weights.path)!r} describes a network of {needed} numbers, but holds {size}; copy or write it again"
        )
