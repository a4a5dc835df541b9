"""Whose checkpoints lie in a work folder: a training only goes on with its own data and its own recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from sightline.errors import TrainingError

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
        before = _read(path)
        differ = sorted(name for name in {*mine, *before} if mine.get(name) != before.get(name))
        if differ:
            shown = "; ".join(_difference(name, before.get(name), mine.get(name)) for name in differ[:4])
            raise TrainingError(
                f"{work} holds checkpoints of another training, which this one cannot go on with: {shown}. Begin "
                "anew with another --work, or repeat the former command"
            )
    work.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".tmp")
    half.write_text(json.dumps(mine, indent=1), encoding="utf-8")
    half.replace(path)


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
