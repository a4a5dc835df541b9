"""Networks that explain themselves: what takes over `sightline explain` for their weights.

A task registers a function for an architecture of its own, as `module:function`, under an entry point of the group
`sightline.intrinsic`. This file knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.registry import Registry
from sightline.terminal.tasks import load


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of such a network.

    Args:
        files: what is explained.
        weights: the weights file; None where no network was named.
        out: each file gets a folder of its own in here.
        formats: some of `html`, `png`, `arrays`.
        targets: names of classes; empty for the most probable ones.
        as_json: whether the summary is printed as JSON.
    """

    files: Sequence[Path]
    weights: Path | None
    out: Path
    formats: tuple[str, ...] = ("png", "html", "arrays")
    targets: tuple[str, ...] = ()
    as_json: bool = False


@dataclass(frozen=True)
class Intrinsic:
    """What explains.

    Args:
        explain: `module:function`, from a `Request` to whether all files could be read.
        suffixes: endings of files that it takes where no network is named at all.
    """

    explain: str
    suffixes: tuple[str, ...] = ()

    def run(self, request: Request) -> bool:
        """Explain; returns whether all files could be read."""
        return bool(load(self.explain)(request))


INTRINSIC: Registry[Intrinsic] = Registry("self-explaining network", group="sightline.intrinsic")
"""By what a weights file has under `architecture`."""


def intrinsic_for(model: str | None, weights: str | None, files: Sequence[Path]) -> Intrinsic | None:
    """What takes over: for weights of such a network, or for files that no network was named for.

    Args:
        model: as `--model` has it.
        weights: as `--weights` has it.
        files: what is explained.
    """
    if model is not None:
        return _of(model)
    if weights is None:
        endings = {file.suffix.lower() for file in files}
        return next((one for one in INTRINSIC.values() if endings and endings <= set(one.suffixes)), None)
    return _of(_architecture(Path(weights)))


def _of(name: str) -> Intrinsic | None:
    """What takes over for a network of this name; None for any other network."""
    return INTRINSIC.get(name)


def _architecture(path: Path) -> str:
    """What a safetensors file says it is of; empty for any other file, whose reader will say what is wrong."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        return ""
    try:
        with safe_open(str(path), framework="numpy") as file:
            return str((file.metadata() or {}).get("architecture", ""))
    except (SafetensorError, OSError):
        return ""
