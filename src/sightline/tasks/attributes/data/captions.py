"""Sentences that people wrote about photos: beside a data set as text files, or in one JSON file.

Three forms are read: `text/CLASS/NAME.txt` with a sentence a line, as for CUB-200-2011 [reed2016learning]; a JSON
file in COCO's layout of captions; a JSON file that maps names of photos to lists of sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightline.common.reading import is_file, is_folder, read_json, read_lines
from sightline.errors import DataError

FOLDERS = ("text", "captions")
FILE = "captions*.json"
Sentences = tuple[tuple[str, ...], ...]


def read_captions(root: Path, files: Sequence[Path]) -> Sentences:
    """The sentences of each photo; none for a photo that has none.

    Args:
        root: folder of the data set; text files and JSON are looked for in it and beside it.
        files: the photos.

    Raises:
        DataError: there are no sentences, none belongs to a photo, or a file is in another form.
    """
    for folder in (root, root.parent):
        texts = next((folder / name for name in FOLDERS if is_folder(folder / name)), None)
        if texts is not None and (sentences := _from_texts(texts, files)) is not None:
            return sentences
        tables = [path for path in sorted([*folder.glob(FILE), *folder.glob(f"annotations/{FILE}")]) if is_file(path)]
        if tables:
            return _from_tables(tables, files)
    raise DataError(
        f"no sentences for the photos of {root}; looked for text/CLASS/NAME.txt and captions.json in it and beside it"
    )


def _from_texts(folder: Path, files: Sequence[Path]) -> Sentences | None:
    """A file of sentences for each photo, below a folder of its class or not; None where no photo has one."""
    places = [(folder / file.parent.name / file.stem, folder / file.stem) for file in files]
    texts = [
        next((path for one in pair if is_file(path := one.with_name(f"{one.name}.txt"))), None) for pair in places
    ]
    if not any(texts):
        return None
    return tuple(
        () if path is None else tuple(line.strip() for _, line in read_lines(path, "sentences", error=DataError))
        for path in texts
    )


def _from_tables(tables: Sequence[Path], files: Sequence[Path]) -> Sentences:
    sentences: dict[str, list[str]] = {}
    for path in tables:
        for name, text in _pairs(path, read_json(path, "sentences", error=DataError)):
            sentences.setdefault(Path(name).name, []).append(text)
    rows = tuple(tuple(sentences.get(file.name, ())) for file in files)
    if not any(rows):
        raise DataError(
            f"{tables[0]} has sentences for {len(sentences)} photos, but for none of the {len(files)} photos of the "
            "data set; photos are matched by the names of their files"
        )
    return rows


def _pairs(path: Path, content: Any) -> list[tuple[str, str]]:
    """Name of a photo and sentence, of every sentence of a file."""
    try:
        if "annotations" in content:
            names = {one["id"]: str(one["file_name"]) for one in content["images"]}
            return [(names[one["image_id"]], str(one["caption"])) for one in content["annotations"]]
        return [(str(name), str(text)) for name, texts in content.items() for text in _listed(texts)]
    except (KeyError, TypeError, AttributeError) as problem:
        raise DataError(
            f'{path} is not a table of sentences; write it as COCO captions, or as {{"NAME.jpg": ["a sentence"]}}'
        ) from problem


def _listed(texts: Any) -> list[Any]:
    if not isinstance(texts, list):
        raise TypeError("a photo needs a list of sentences")
    return texts
