"""Labels: the names of a model's classes, from a file or from the names that ImageNet's thousand classes carry.

It knows nothing of models but how many outputs they have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from sightline.common.numbers import whole
from sightline.common.reading import parse_json, read_text, rows_of
from sightline.errors import InputError

IMAGENET = 1000
"""Number of classes of ImageNet-1k."""

NAME_COLUMNS = ("label", "name", "class", "class_name", "labels", "names", "category", "species")
INDEX_COLUMNS = ("index", "id", "class_id", "class_index", "idx", "label_index")


def class_labels(labels: str | Path | Sequence[str] | None, classes: int) -> tuple[str, ...] | None:
    """One name per class.

    Args:
        labels: a file (`read_labels`), the names themselves, or None for ImageNet's where there are 1000 classes.
        classes: number of outputs of the model.

    Returns:
        The names, each of them different, or None where none are known; a single logit may have two.

    Raises:
        InputError: the file cannot be read, or the number of names is not the number of classes.
    """
    if labels is None:
        return imagenet_labels() if classes == IMAGENET else None
    from_file = isinstance(labels, str | Path)
    names = label_names(labels)
    if len(names) != classes and not (classes == 1 and len(names) == 2):  # one logit decides between two
        where = f"the labels file {str(labels)!r} holds" if from_file else "there are"
        raise InputError(
            f"{where} {len(names)} names, but the model has {classes} classes; {_advice(names, classes)}"
        )
    return distinct(names)


def label_names(labels: str | Path | Mapping[Any, Any] | Sequence[str]) -> tuple[str, ...]:
    """Names of classes in the order of their index, as people write them.

    Args:
        labels: the names; a dictionary of index to name (`id2label`) or of name to index; or a file (`read_labels`).

    Raises:
        InputError: they are none of these, or leave a class without a name.

    Example:
        >>> label_names({"1": "dog", "0": "cat"})
        ('cat', 'dog')
    """
    if isinstance(labels, str | Path):
        return read_labels(labels)
    try:
        if isinstance(labels, Set):
            raise TypeError("a set has no order")
        if isinstance(labels, Mapping):
            keys_are_names = all(type(value) is int for value in labels.values())
            content = {key if keys_are_names else str(key): value for key, value in labels.items()}
            names: Sequence[str] = _from_content(content)
        else:
            names = [_one_name(name) for name in labels]
    except (ValueError, TypeError) as problem:
        raise InputError(
            f"the labels cannot be understood ({problem}); give one name per class, or a dictionary of index to name"
        ) from problem
    return tuple(names)


def imagenet_labels() -> tuple[str, ...]:
    """Short English names of the 1000 classes of ImageNet-1k, in their usual order, each of them different."""
    from torchvision.models import MobileNet_V2_Weights

    return distinct(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The names, with its index behind each that is used more than once.

    Example:
        >>> distinct(["crane", "heron", "crane"])
        ('crane (0)', 'heron', 'crane (2)')
    """
    count = Counter(names)
    return tuple(f"{name} ({index})" if count[name] > 1 else name for index, name in enumerate(names))


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read class names, in the order of their class index.

    Args:
        path: `.txt` with a name per line; `.csv` with a column of names and perhaps one of indices, with or without a
            heading; `.json` with a list of names, index to name, or name to index.

    Raises:
        InputError: the file is missing, of another kind, or leaves a class without a name.
    """
    path = Path(path)
    text = read_text(path, "labels file")
    readers = {".txt": _from_lines, ".csv": _from_csv, ".json": _from_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"the labels file {str(path)!r} is none of {', '.join(readers)}; give one of these")
    try:
        names = reader(text)
    except (ValueError, TypeError, IndexError) as problem:
        raise InputError(
            f"the labels file {str(path)!r} cannot be understood ({problem}); write one name per line in a .txt"
        ) from problem
    empty = [index for index, name in enumerate(names) if not name]
    if empty or not names:
        what = f"has no name for class {empty[0]}" if empty else "holds no names"
        raise InputError(f"the labels file {str(path)!r} {what}; write one name per class")
    return tuple(names)


def _from_lines(text: str) -> list[str]:
    return [line.strip() for line in text.rstrip().splitlines()]


def _from_csv(text: str) -> list[str]:
    rows = [row for _, row in rows_of(text, ",") if any(row)]
    heading = [cell.lower() for cell in rows[0]]
    name_at = next((heading.index(column) for column in NAME_COLUMNS if column in heading), None)
    index_at = next((heading.index(column) for column in INDEX_COLUMNS if column in heading), None)
    if name_at is not None or index_at is not None:
        rows = rows[1:]
    elif len(heading) > 1 and whole(heading[0]) is not None:
        index_at = 0
    if name_at is None:
        name_at = next(column for column in range(len(heading)) if column != index_at)
    if index_at is None:
        return [row[name_at] for row in rows]
    return _in_order([(_index(row[index_at]), row[name_at]) for row in rows])


def _from_json(text: str) -> list[str]:
    return _from_content(parse_json(text))


def _from_content(content: Any) -> list[str]:
    """Names in a list, or in a table of index to name or of name to index."""
    if isinstance(content, list):
        return [_one_name(name) for name in content]
    if not isinstance(content, dict):
        raise TypeError(f"it holds a {type(content).__name__}, not names")
    if all(type(value) is int for value in content.values()):
        return _in_order([(index, name.strip()) for name, index in content.items()])
    return _in_order([(_index(index), _one_name(name)) for index, name in content.items()])


def _index(text: str) -> int:
    if (index := whole(text)) is None:
        raise ValueError(f"{text[:40]!r} is not the index of a class")
    return index


def _one_name(name: Any) -> str:
    """A name, or the last of `["n01440764", "tench"]`."""
    if isinstance(name, list) and name:
        name = name[-1]
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is not a name")
    return name.strip()


def _in_order(names: Sequence[tuple[int, str]]) -> list[str]:
    """Names by their indices, which run from 0 and do not repeat."""
    by_index = dict(names)
    missing = sorted(set(range(len(names))) - set(by_index))
    if missing:
        raise ValueError(f"class {missing[0]} is missing: indices must run from 0 to {len(names) - 1}, each once")
    return [by_index[index] for index in range(len(names))]


def _advice(names: Sequence[str], classes: int) -> str:
    if len(names) == classes + 1 and names[0].lower() in ("background", "__background__", "dummy"):
        return "the first name is a background class that this model does not have: delete that line"
    return "give the labels that the model was trained with"
