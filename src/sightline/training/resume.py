"""Whose checkpoints lie in a work folder: a training only goes on with its own data and its own recipe."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from sightline.errors import TrainingError
from sightline.renamed import renamed

NAME = "training.json"


def checkpoint(work: Path, name: str) -> Path:
    """Where a work folder has its checkpoint `last` or `best`."""
    return work / "checkpoints" / f"{name}.ckpt"


def claim_folder(work: Path, facts: Mapping[str, Any]) -> None:
    """Write down whose work folder this is, or see that it is the same training's.

    Args:
        work: the folder.
        facts: everything that must be the same, by name; options begin with `--`, what is long is there as its hash.

    Raises:
        TrainingError: the folder holds checkpoints of another training; the text says what differs.
    """
    mine: dict[str, Any] = json.loads(json.dumps(facts))
    path = work / NAME
    if checkpoint(work, "last").exists():
        before = as_now(_read(path), mine)
        _compare(work, mine, before)
    work.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".tmp")
    half.write_text(json.dumps(mine, indent=1), encoding="utf-8")
    half.replace(path)


def check_folder(work: Path, facts: Mapping[str, Any]) -> None:
    """See before any work that a folder is not another training's, as far as the facts say that are known by then.

    Raises:
        TrainingError: it is; the text says what differs.
    """
    mine: dict[str, Any] = json.loads(json.dumps(facts))
    if checkpoint(work, "last").exists() and (held := as_now(_read(work / NAME), mine)):
        _compare(work, mine, {name: value for name, value in held.items() if name in mine})


def as_now(before: Mapping[str, Any], now: Container[str]) -> dict[str, Any]:
    """Facts that were written down when options had other names, by the names that they have now."""
    facts: dict[str, Any] = {}
    for name, value in before.items():
        new = name if name in now else renamed(name, now)
        if new is None and isinstance(value, dict):  # settings that were written down as one
            facts |= {f"--{inner}": part for inner, part in value.items() if f"--{inner}" in now}
        else:
            facts[new or name] = value
    return facts


def digest(content: bytes) -> str:
    """Sixteen signs that change with the content."""
    return sha256(content).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _difference(name: str, before: Any, now: Any) -> str:
    """In words; hashes say nothing to anybody."""
    return f"{name} was {before}, now {now}" if name.startswith("--") else f"other {name}"


def _compare(work: Path, mine: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    differ = sorted(name for name in {*mine, *before} if mine.get(name) != before.get(name))
    if differ:
        shown = "; ".join(_difference(name, before.get(name), mine.get(name)) for name in differ[:4])
        raise TrainingError(
            f"{work} holds checkpoints of another training, which this one cannot go on with: {shown}. Begin "
            "anew with another --work, or repeat the former command"
        )
