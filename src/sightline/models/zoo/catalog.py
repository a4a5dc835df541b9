"""The catalogue: classifiers of torchvision and timm by name, torchvision's detectors and segmenters among them.

What is known of them without building them.

A name is `resnet50` (torchvision's where both have one), `torchvision:resnet50` or `timm:resnet50`.
It knows nothing of weights files or of how a model is looked into.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, get_args

from sightline.errors import ModelError, near

Origin = Literal["torchvision", "timm"]


class ModelName(NamedTuple):
    """A model's full name: where it comes from, and what it is called there."""

    origin: Origin
    name: str

    def __str__(self) -> str:
        return f"{self.origin}:{self.name}"


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue.

    Args:
        name: name within its origin.
        origin: `torchvision` or `timm`; `package` where the trained network is a package.
        family: the module that defines it (`resnet`, `vision_transformer`).
        parameters: number of parameters, where the origin's tables say it; None otherwise.
        published: whether its origin publishes weights for it.
    """

    name: str
    origin: Origin | Literal["package"]
    family: str
    parameters: int | None
    published: bool

    @property
    def full(self) -> str:
        """The name as `--model` takes it, with its origin where it is one."""
        return self.name if self.origin == "package" else f"{self.origin}:{self.name}"


def models(pattern: str = "") -> list[Entry]:
    """The catalogue, torchvision first, each origin by name.

    Args:
        pattern: a part of a name (`resnet`), or a pattern with `*` (`vit_*_224`, `timm:conv*`); empty lists all.

    Example:
        >>> [entry.name for entry in models("torchvision:squeezenet*")]
        ['squeezenet1_0', 'squeezenet1_1']
    """
    return matching(_entries(), pattern)


def matching(entries: Iterable[Entry], pattern: str) -> list[Entry]:
    """Those whose name, with or without its origin, a pattern fits; see `models`."""
    glob = pattern.lower() if any(sign in pattern for sign in "*?[") else f"*{pattern.lower()}*"
    return [entry for entry in entries if any(fnmatch.fnmatchcase(form, glob) for form in (entry.name, entry.full))]


def find_model(name: str) -> ModelName:
    """The full name of the model that is meant.

    Args:
        name: with or without its origin; timm's names may carry the tag of their weights (`resnet50.a1_in1k`).

    Raises:
        ModelError: neither origin has it; near names are listed.
    """
    origin, _, rest = name.rpartition(":")
    if origin and origin not in get_args(Origin):
        raise ModelError(
            f"there is no origin {origin!r} in the model name {name!r}; write torchvision:NAME or timm:NAME"
        )
    for candidate in _origins(origin):
        if rest.partition(".")[0] in _names(candidate) and (candidate == "timm" or "." not in rest):
            return ModelName(candidate, rest)
    names = [entry for candidate in _origins(origin) for entry in _names(candidate)]
    raise ModelError(
        f"there is no model {name!r}; {near(rest, names)}; `sightline models` lists all; own code is named "
        "package.module:build, and a folder of Hugging Face has to hold config.json"
    )


def _origins(origin: str) -> tuple[Origin, ...]:
    every: tuple[Origin, ...] = get_args(Origin)
    return tuple(one for one in every if origin in ("", one))


@cache
def _names(origin: Origin) -> frozenset[str]:
    if origin == "timm":
        import timm

        return frozenset(timm.list_models())
    from torchvision import models as tv

    return frozenset(name for room in (tv, tv.detection, tv.segmentation) for name in tv.list_models(module=room))


@cache
def _entries() -> tuple[Entry, ...]:
    return (*_torchvision_entries(), *_timm_entries())


def _torchvision_entries() -> Iterator[Entry]:
    import torchvision

    for name in sorted(_names("torchvision")):
        builder = torchvision.models.get_model_builder(name)
        weights: Any = torchvision.models.get_model_weights(name)
        meta = weights.DEFAULT.meta if len(weights) else {}
        yield Entry(name, "torchvision", builder.__module__.rpartition(".")[2], meta.get("num_params"), bool(weights))


def _timm_entries() -> Iterator[Entry]:
    import timm

    published = {name.partition(".")[0] for name in timm.list_models(pretrained=True)}
    for name in sorted(_names("timm")):
        family = timm.models.model_entrypoint(name).__module__.rpartition(".")[2]
        yield Entry(name, "timm", family, None, name in published)
