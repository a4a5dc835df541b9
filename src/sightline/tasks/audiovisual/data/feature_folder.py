"""A folder of frozen features: `labels.csv` and `NAME.npz` for each clip.

The list has the columns file and label, and perhaps start, end and split; several rows for a clip of several labels,
an empty label for a clip without an event. A clip's file holds `picture` `[t, y, x, d]` and `sound` `[s, d]` or, as a
log-mel spectrogram, `[s, m, f]`. `features.json` says what made them. `sightline events features` writes all but the
list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sightline.common.files import whole_file, write_text
from sightline.common.reading import read_json, read_table
from sightline.common.records import restored
from sightline.errors import DataError
from sightline.tasks.audiovisual.data.feature_set import AllClips, FeatureClips, FeatureFacts

LIST, FACTS = "labels.csv", "features.json"
HELD = ("test", "val", "validation", "held_out", "held-out")
"""Words of a split that is measured on."""


def read_folder(folder: Path) -> AllClips:
    """All clips of a folder.

    Raises:
        DataError: files are missing or damaged, or do not fit one another.
    """
    table = read_table(folder / LIST, "list of labels", error=DataError, lower=True)
    names = table.header
    if not {"file", "label"} <= set(names):
        raise DataError(
            f"{str(folder / LIST)!r} has the columns {', '.join(names)}; it needs file and label, and may have "
            "start, end and split"
        )
    rows: dict[str, list[dict[str, str]]] = {}
    for _, row in table.rows:
        rows.setdefault(_name(folder, row["file"]), []).append(row)
    there = {name: own for name, own in rows.items() if (folder / f"{name}.npz").is_file()}
    if not there:
        raise DataError(f"{str(folder)!r} has no .npz for any of the {len(rows)} clips of its {LIST}")
    facts = read_facts(folder)
    classes = tuple(sorted({row["label"] for own in there.values() for row in own if row["label"]}))
    arrays = [_arrays(folder / f"{name}.npz") for name in there]
    clips = _together(folder, list(there), arrays)
    labels, spans = torch.zeros(len(there), len(classes)), torch.zeros_like(clips.audible)
    for number, own in enumerate(there.values()):
        for row in own:
            if row["label"]:
                labels[number, classes.index(row["label"])] = 1.0
                low, high = _span(row, folder, len(arrays[number][1]), facts.seconds)
                spans[number, low:high] = True
    clips = replace(clips, labels=labels, spans=spans)
    splits = [own[0].get("split", "").lower() for own in there.values()]
    held = torch.tensor([split in HELD for split in splits]) if any(splits) else None
    missing = len(rows) - len(there)
    notes = (f"{missing} of {len(rows)} clips of the list have no features and are left out",) if missing else ()
    return AllClips(classes, clips, held, facts, notes)


def read_facts(folder: Path) -> FeatureFacts:
    """What made the features of a folder; nothing where it does not say.

    Raises:
        DataError: the record is damaged.
    """
    path = folder / FACTS
    if not path.is_file():
        return FeatureFacts()
    try:
        return restored(FeatureFacts, read_json(path, "record of the features", error=DataError))
    except ValueError as problem:
        raise DataError(f"{str(path)!r} is damaged ({problem}); make the features again") from problem


def _name(folder: Path, file: str) -> str:
    """Name of a clip's features: that of its file, with or without the ending; a name may have dots of its own."""
    whole = Path(file).name
    return whole if (folder / f"{whole}.npz").is_file() else Path(file).stem


def _arrays(path: Path) -> tuple[Tensor, Tensor]:
    """Features of one clip."""
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = [np.asarray(file[name], np.float32) for name in ("picture", "sound")]
    except (OSError, ValueError, KeyError, EOFError) as problem:
        raise DataError(
            f"{str(path)!r} does not hold the arrays picture and sound ({problem}); make it again"
        ) from problem
    picture, sound = parts
    if picture.ndim != 4 or sound.ndim not in (2, 3) or 0 in (*picture.shape, *sound.shape):
        raise DataError(
            f"{str(path)!r} holds picture {picture.shape} and sound {sound.shape}; expected [t, y, x, d] and [s, d] "
            "or [s, m, f]"
        )
    if not all(np.isfinite(part).all() for part in parts):
        raise DataError(f"{str(path)!r} holds values that are not finite; make it again")
    return torch.from_numpy(picture), torch.from_numpy(sound)


def _together(folder: Path, names: Sequence[str], arrays: Sequence[tuple[Tensor, Tensor]]) -> FeatureClips:
    """All clips in one tensor each, the shorter ones filled up."""
    padded, masks = [], []
    for part, what in enumerate(("picture", "sound")):
        own = [pair[part] for pair in arrays]
        for name, one in zip(names, own, strict=True):
            if one.shape[1:] != own[0].shape[1:]:
                raise DataError(
                    f"the {what} of {name!r} in {str(folder)!r} has features of {tuple(one.shape[1:])}, and that of "
                    f"{names[0]!r} of {tuple(own[0].shape[1:])}; make all of them alike"
                )
        length = max(map(len, own))
        masks.append(torch.stack([torch.arange(length) < len(one) for one in own]))
        padded.append(torch.stack([_filled(one, length) for one in own]))
    nothing = torch.zeros(len(names), 0)
    return FeatureClips(padded[0], padded[1], nothing, masks[0], masks[1], torch.zeros_like(masks[1]))


def _filled(one: Tensor, length: int) -> Tensor:
    return torch.cat([one, one.new_zeros(length - len(one), *one.shape[1:])])


def _span(row: dict[str, str], folder: Path, segments: int, seconds: float) -> tuple[int, int]:
    """Segments of an event from its times; none where they are not there."""
    if not row.get("start") or not row.get("end"):
        return 0, 0
    try:
        low, high = (float(row[name]) / seconds for name in ("start", "end"))
    except ValueError as problem:
        raise DataError(
            f"{str(folder / LIST)!r}: {row['file']!r} has times that are not numbers; correct them"
        ) from problem
    if not 0 <= low <= high or round(high) > segments + 1:
        raise DataError(
            f"{str(folder / LIST)!r}: the event of {row['file']!r} lasts to {row['end']} s, but its features have "
            f"{segments} segments of {seconds:g} s; they are of another clip"
        )
    return round(low), min(segments, max(round(low) + 1, round(high)))


def write_features(path: Path, picture: Tensor, sound: Tensor) -> None:
    """One clip's features, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, picture=picture.half().numpy(), sound=sound.half().numpy())


def write_facts(folder: Path, facts: FeatureFacts) -> None:
    """What made the features of a folder."""
    write_text(folder / FACTS, json.dumps(asdict(facts)))
