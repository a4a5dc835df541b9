"""From a class name to its index, forgiving in form and strict in meaning."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.common.numbers import whole
from sightline.common.text import clipped
from sightline.errors import TargetError, near


def class_index(name: int | str, labels: Sequence[str] | None, classes: int | None = None) -> int:
    """Index of a class that is given by index or by name.

    A name matches without regard to case, underscores or blanks; a label such as `"tench, Tinca tinca"` is found
    by each of its parts.

    Raises:
        TargetError: the index is out of range, the name is unknown, ambiguous, or there are no labels.

    Example:
        >>> class_index("Tinca_tinca", ["goldfish", "tench, Tinca tinca"])
        1
    """
    name = str(name)
    if (index := whole(name)) is not None:
        return _in_range(index, classes if classes is not None else (len(labels) if labels else None))
    if labels is None:
        raise TargetError(
            f"the class {clipped(name)} was asked for by name, but this model has no labels; give a labels file or "
            "an index"
        )
    exact = [i for i, label in enumerate(labels) if _plain(label) == _plain(name)]
    hits = exact or [i for i, label in enumerate(labels) if _plain(name) in map(_plain, label.split(","))]
    if len(hits) > 1:
        raise TargetError(f"the name {clipped(name)} belongs to classes {', '.join(map(str, hits))}; ask by index")
    if not hits:
        raise TargetError(f"there is no class {clipped(name)} among {len(labels)} labels; {near(name, labels)}")
    return hits[0]


def _in_range(index: int, classes: int | None) -> int:
    if index < 0 or (classes is not None and index >= classes):
        indices = f"0 to {classes - 1}" if classes is not None else "0 or more"
        raise TargetError(f"the class index {index} was asked for, but the classes of this model are {indices}")
    return index


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").lower().split())
