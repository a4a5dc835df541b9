"""Lists of published sets of clips, as they are: AVE, VGGSound, AudioSet, VGG-SS. Missing clips are counted.

Each reader gives `Entry`s; `present` splits them into those whose clip is in a folder and a count of the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.common.reading import read_json, read_lines, read_text, rows_of
from sightline.data.openers import OPENERS
from sightline.errors import DataError

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Entry:
    """A clip of a list.

    Args:
        clip: its id, the stem of its file.
        labels: names of its events.
        start: second at which the event begins, or the clip in its source; None where that is not known.
        end: second at which it ends.
        split: `train`, `test` or empty.
        boxes: where the source is, `(x0, y0, x1, y1)` as shares of the frame.
    """

    clip: str
    labels: tuple[str, ...]
    start: float | None = None
    end: float | None = None
    split: str = ""
    boxes: tuple[Box, ...] = ()

    def is_partial(self, seconds: float = 10.0) -> bool:
        """Whether the event leaves a part of the clip out: only then does WHEN mean anything."""
        return self.start is not None and self.end is not None and self.end - self.start < seconds


def read_ave(path: str | Path) -> list[Entry]:
    """AVE [tian2018audio]: `Category&VideoID&Quality&StartTime&EndTime`, with or without that header.

    Raises:
        DataError: a line has other fields, or times that are no numbers or run backwards.
    """
    entries = []
    for number, line in read_lines(Path(path), "list of clips", error=DataError):
        cells = line.split("&")
        if cells[:2] == ["Category", "VideoID"]:
            continue
        if len(cells) != 5:
            raise DataError(f"{str(path)!r}, line {number}: expected 5 fields between &, found {len(cells)}")
        start, end = (_second(cell, path, number) for cell in cells[3:])
        if end < start:
            raise DataError(
                f"{str(path)!r}, line {number}: the event ends at {end:g} s, before it begins; correct it"
            )
        times = (start, end) if end > start else (None, None)  # 0&0 stands for an event whose times were not marked
        entries.append(Entry(cells[1], (cells[0],), *times))
    return entries


def read_vggsound(path: str | Path) -> list[Entry]:
    """VGGSound: rows of id, first second, label, split, without a header.

    Raises:
        DataError: a row has other cells.
    """
    entries = []
    for number, cells in _rows(path, 4):
        entries.append(Entry(f"{cells[0]}_{int(_second(cells[1], path, number)):06d}", (cells[2],), split=cells[3]))
    return entries


def read_audioset(path: str | Path) -> list[Entry]:
    """AudioSet: comment lines, then id, first second, last second, and labels in quotation marks.

    Raises:
        DataError: a row has other cells.
    """
    text = "\n".join("" if line.startswith("#") else line.replace(', "', ',"') for line in _text(path).split("\n"))
    entries = []
    for number, cells in _rows(path, 4, text):
        start, end = (_second(cell, path, number) for cell in cells[1:3])
        name = f"{cells[0]}_{start:.3f}_{end:.3f}"
        entries.append(Entry(name, tuple(label.strip() for label in cells[3].split(","))))
    return entries


def read_vggss(path: str | Path) -> tuple[list[Entry], int]:
    """VGG-SS: clips with boxes of the sounding object.

    Returns:
        The clips, and how many boxes were left out as they have no area or lie outside of the frame.

    Raises:
        DataError: the file is of another form.
    """
    content = read_json(Path(path), "list of boxes", error=DataError)
    entries, broken = [], 0
    try:
        for row in content:
            boxes = [tuple(float(value) for value in box) for box in row["bbox"]]
            kept = tuple((b[0], b[1], b[2], b[3]) for b in boxes if len(b) == 4 and _is_box(b))
            broken += len(boxes) - len(kept)
            entries.append(Entry(str(row["file"]), (str(row["class"]),), boxes=kept))
    except (TypeError, KeyError, ValueError) as problem:
        raise DataError(
            f"{str(path)!r} is not a list of file, class and bbox ({problem}); name VGG-SS's JSON"
        ) from problem
    return entries, broken


def present(entries: Sequence[Entry], folder: str | Path) -> tuple[list[tuple[Entry, Path]], int]:
    """Clips that are in a folder, each with its file, and how many are not.

    Args:
        entries: a list.
        folder: of clips, by their ids.

    Raises:
        DataError: none is there.
    """
    suffixes = OPENERS["clip"].suffixes
    files = {path.stem: path for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in suffixes}
    there = [(entry, files[entry.clip]) for entry in entries if entry.clip in files]
    if not there:
        raise DataError(
            f"{str(folder)!r} holds none of the {len(entries)} clips of the list; name the folder of clips"
        )
    return there, len(entries) - len(there)


def _rows(path: str | Path, cells: int, text: str | None = None) -> Iterator[tuple[int, list[str]]]:
    try:
        rows = rows_of(_text(path) if text is None else text, ",")
    except ValueError as problem:
        raise DataError(f"the list of clips {str(path)!r} cannot be read ({problem}); correct that row") from problem
    for number, row in rows:
        if len(row) != cells:
            raise DataError(f"{str(path)!r}, row {number}: expected {cells} cells, found {len(row)}")
        yield number, row


def _text(path: str | Path) -> str:
    return read_text(Path(path), "list of clips", error=DataError)


def _second(cell: str, path: str | Path, number: int) -> float:
    try:
        second = float(cell)
    except ValueError:
        second = math.nan
    if not math.isfinite(second) or second < 0:
        raise DataError(f"{str(path)!r}, line {number}: {cell!r} is not a time in seconds; correct it")
    return second


def _is_box(box: Sequence[float]) -> bool:
    inside = all(-0.01 <= value <= 1.01 for value in box)
    return inside and box[2] > box[0] and box[3] > box[1]
