"""Whose checkpoints lie in a work folder: a training only goes on with its own data and its own recipe."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from sightline.errors import TrainingError
from sightline.training.eat.examples import Examples
from sightline.training.eat.fit import checkpoint
from sightline.training.eat.pictures import Pictures
from sightline.training.eat.recipe import EatRecipe

NAME = "training.json"


def claim(work: Path, pictures: Pictures, recipe: EatRecipe) -> None:
    """Write down whose work folder this is, or see that it is the same training's.

    What makes a training faster or slower (`workers`, `threads`, `accelerator`) may change; what it learns may not,
    and the number of epochs belongs to that, because the learning rate falls to nothing over all of them.

    Args:
        work: the folder.
        pictures: what is learnt from.
        recipe: how.

    Raises:
        TrainingError: the folder holds checkpoints of another training; the text says what differs.
    """
    mine = json.loads(json.dumps(_facts(pictures, recipe)))
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


def _facts(pictures: Pictures, recipe: EatRecipe) -> dict[str, Any]:
    """Everything that must be the same, by name; what is long as its hash."""
    splits = {"training pictures": pictures.train, "validation pictures": pictures.validation}
    return {
        "classes": _hash("\n".join(pictures.classes).encode()),
        "attributes": _hash(pictures.vocabulary.to_json().encode()),
        "files": _hash(pictures.known.encode()),
        **{name: _content(split) for name, split in splits.items()},
        **{f"--{name.replace('_', '-')}": value for name, value in recipe.lasting().items()},
    }


def _content(examples: Examples) -> str:
    """Changes with labels and attributes, and with every fiftieth picture's pixels."""
    digest = sha256()
    for table in (examples.labels, examples.targets, examples.weights, examples.images[::50]):
        digest.update(table.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _difference(name: str, before: Any, now: Any) -> str:
    """In words; hashes say nothing to anybody."""
    option = "--lambda" if name == "--attribute-weight" else name
    return f"{option} was {before}, now {now}" if name.startswith("--") else f"other {name}"
