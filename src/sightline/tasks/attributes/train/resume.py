"""Whose checkpoints lie in a work folder: a training only goes on with its own data and its own recipe."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.data.pictures import Pictures
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.training.recipe import lasting
from sightline.training.resume import claim_folder, digest


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
    claim_folder(work, _facts(pictures, recipe))


def _facts(pictures: Pictures, recipe: EatRecipe) -> dict[str, Any]:
    """Everything that must be the same, by name; what is long as its hash."""
    splits = {"training pictures": pictures.train, "validation pictures": pictures.validation}
    return {
        "classes": digest("\n".join(pictures.classes).encode()),
        "attributes": digest(pictures.vocabulary.to_json().encode()),
        "files": digest(pictures.known.encode()),
        **{name: _content(split) for name, split in splits.items()},
        **lasting(recipe),
    }


def _content(examples: Examples) -> str:
    """Changes with labels and attributes, and with every fiftieth picture's pixels."""
    seen = sha256()
    for table in (examples.labels, examples.targets, examples.weights, examples.images[::50]):
        seen.update(table.contiguous().numpy().tobytes())
    return seen.hexdigest()[:16]
