"""Files of captions: Karpathy's JSON, COCO's captions, and COCO's results.

They give pictures with sentences; regions come from other files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.reading import read_json
from sightline.errors import DataError
from sightline.tasks.captioning.data.vocabulary import words_of

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = {"train": TRAIN, "restval": TRAIN, "val": VALIDATION, "test": TEST}
"""Karpathy's names; pictures of `restval` are learnt from."""


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture and what people wrote about it.

    Args:
        id: its number, as features are named by.
        file: its file name.
        split: train, validation or test.
        sentences: captions as words.
    """

    id: int
    file: str
    split: str
    sentences: tuple[tuple[str, ...], ...]


def read_captions(path: str | Path, *, split: str = TRAIN) -> tuple[CaptionedPicture, ...]:
    """Read captions in Karpathy's or COCO's layout, whichever it is.

    Args:
        path: a JSON file.
        split: of all pictures of a file in COCO's layout, which names none.

    Raises:
        DataError: it is neither, entries are missing, or a picture has no caption.
    """
    content = read_json(Path(path), "captions file", error=DataError)
    if not isinstance(content, Mapping) or not isinstance(content.get("images"), list):
        raise DataError(
            f"{str(path)!r} has no list 'images', so it is neither Karpathy's JSON (images with sentences) nor "
            "COCO's captions (images and annotations)"
        )
    try:
        pictures = _coco(content, split) if "annotations" in content else _karpathy(content)
    except KeyError as problem:
        raise DataError(f"{str(path)!r} breaks its layout: {problem.args[0]}") from problem
    except (TypeError, ValueError, AttributeError) as problem:
        raise DataError(f"{str(path)!r} breaks its layout: {type(problem).__name__} {problem}") from problem
    if missing := [picture for picture in pictures if not picture.sentences]:
        raise DataError(
            f"picture {missing[0].id} ({missing[0].file}) of {str(path)!r} has no caption; {len(missing)} of "
            f"{len(pictures)} have none: leave them out of 'images', or add captions"
        )
    if not pictures:
        raise DataError(f"{str(path)!r} lists no picture")
    return pictures


def read_results(path: str | Path) -> dict[int, tuple[str, ...]]:
    """Captions of a program in COCO's results layout: `[{"image_id": 1, "caption": "..."}]`.

    Raises:
        DataError: it is another layout, or a picture has two captions.
    """
    content = read_json(Path(path), "results file", error=DataError)
    if not isinstance(content, list):
        raise DataError(f"{str(path)!r} is not a list of entries with image_id and caption, COCO's results layout")
    results: dict[int, tuple[str, ...]] = {}
    for at, entry in enumerate(content):
        if not isinstance(entry, Mapping) or not {"image_id", "caption"} <= entry.keys():
            raise DataError(f"entry {at} of {str(path)!r} lacks image_id or caption, COCO's results layout")
        number = int(entry["image_id"])
        if number in results:
            raise DataError(f"{str(path)!r} has two captions of picture {number}; a results file has one for each")
        results[number] = words_of(str(entry["caption"]))
    return results


class _Entry(dict[str, Any]):
    """An entry of a list of a captions file, which says what it lacks."""

    def __init__(self, content: Mapping[str, Any], place: str) -> None:
        super().__init__(content)
        self.place = place

    def __missing__(self, key: str) -> Any:
        raise KeyError(f"{self.place} lacks {key!r}; it has {', '.join(self) or 'nothing'}")


def _entries(content: Mapping[str, Any], name: str) -> list[_Entry]:
    return [_Entry(entry, f"entry {at} of {name!r}") for at, entry in enumerate(content[name])]


def _coco(content: Mapping[str, Any], split: str) -> tuple[CaptionedPicture, ...]:
    images = _entries(content, "images")
    sentences: dict[int, list[tuple[str, ...]]] = {int(image["id"]): [] for image in images}
    for entry in _entries(content, "annotations"):
        if int(entry["image_id"]) not in sentences:
            raise DataError(f"a caption is of picture {entry['image_id']}, which 'images' does not list")
        sentences[int(entry["image_id"])].append(words_of(entry["caption"]))
    return tuple(
        CaptionedPicture(
            int(image["id"]), image["file_name"], split, tuple(filter(None, sentences[int(image["id"])]))
        )
        for image in images
    )


def _karpathy(content: Mapping[str, Any]) -> tuple[CaptionedPicture, ...]:
    pictures = []
    for image in _entries(content, "images"):
        if image["split"] not in SPLITS:
            raise DataError(
                f"picture {image['filename']} is of the split {image['split']!r}; known: {', '.join(SPLITS)}"
            )
        number = int(image["cocoid"] if "cocoid" in image else image["imgid"])
        own = [_Entry(sentence, f"a sentence of {image['filename']}") for sentence in image["sentences"]]
        words = (sentence.get("tokens") or words_of(sentence["raw"]) for sentence in own)
        sentences = tuple(tuple(map(str, part)) for part in words if part)
        pictures.append(CaptionedPicture(number, image["filename"], SPLITS[image["split"]], sentences))
    return tuple(pictures)
