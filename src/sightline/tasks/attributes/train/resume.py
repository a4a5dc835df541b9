"""What of its data a training is resumed by."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from sightline.common.files import digest
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.data.pictures import Pictures


def facts_of(pictures: Pictures) -> dict[str, Any]:
    """Everything of the data that must be the same, by name; what is long as its hash.

    What makes a training faster or slower (`workers`, `threads`, `device`) may change; what it learns may not, and
    the number of epochs belongs to that, because the learning rate falls to nothing over all of them.
    """
    splits = {"training pictures": pictures.train, "validation pictures": pictures.validation}
    return {
        "classes": digest("\n".join(pictures.classes).encode()),
        "attributes": digest(pictures.vocabulary.to_json().encode()),
        "files": digest(pictures.identity.encode()),
        **{name: _content(split) for name, split in splits.items()},
    }


def _content(examples: Examples) -> str:
    """Changes with labels and attributes, and with every fiftieth picture's pixels."""
    state = sha256()
    for table in (examples.labels, examples.targets, examples.weights, examples.images[::50]):
        state.update(table.contiguous().numpy().tobytes())
    return state.hexdigest()[:16]
