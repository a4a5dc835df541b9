"""A world on disk in the layout of CUB-200-2011, plus masks and everything that the generator knows.

All is written into a hidden folder beside the target, lists last, and renamed at the end: nobody sees half
a world, and what is interrupted goes on from the scenes that lie there whole. Knows nothing of models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.common.files import make_folder, whole_file, with_parents, write_text
from sightline.common.runs import locked
from sightline.errors import DataError, near
from sightline.worlds.aviary.attributes import GROUPS, PARTS, names, offsets
from sightline.worlds.aviary.cues import bayes_cues, required_cue
from sightline.worlds.aviary.keypoints import CUB_PARTS, keypoints
from sightline.worlds.aviary.render import DRAWING, Rendering, render
from sightline.worlds.aviary.resume import Entry, Unfinished
from sightline.worlds.aviary.world import World

SCHEMA = 1
FORMATS = ("jpg", "png")
CERTAINTIES = ("not visible", "guessing", "probably", "definitely")


def write_world(
    world: World,
    out: Path,
    count: int,
    *,
    size: int = 128,
    image_format: str = "jpg",
    six_token_rows: int = 0,
    workers: int = 1,
    report: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write scenes 0 to `count` of a world; scenes that an interrupted run of the same world left are kept.

    Args:
        world: the world.
        out: the folder; it must not exist, or be empty.
        count: number of scenes.
        size: side in pixels.
        image_format: `jpg` as in CUB-200-2011 (quality 95, no chroma subsampling), or `png` for exact bytes.
        six_token_rows: how many attribute rows get a stray `0` before the time, as two images of CUB have.
        workers: processes that draw; the result is the same for any number.
        report: told the number of scenes as they are written.

    Returns:
        The folder.

    Raises:
        DataError: the folder is not empty, an unfinished world with another configuration lies beside it, or an
            argument makes no sense.
    """
    _check(out, count, image_format)
    half = Unfinished.of(out)
    with with_parents(out, error=DataError), locked(half.folder, error=DataError, cure="give another --out"):
        half.begin({"drawing": DRAWING, "size": size, "format": image_format, **asdict(world.config)})
        entries = [entry for entry in map(half.entry, range(count)) if entry is not None]
        report(len(entries))
        todo = sorted(set(range(count)) - {entry.index for entry in entries})
        for entry in _mapped(partial(_draw, world, half, size, image_format), todo, workers):
            entries.append(entry)
            report(1)
        entries.sort(key=lambda entry: (entry.label, entry.index))
        half.prune(count)
        _write_lists(half.folder, world, entries)
        _write_parts(half.folder / "parts", entries)
        _write_attributes(half.folder / "attributes", world, entries, six_token_rows)
        _write_truth(half.folder, world, entries, size)
        half.finish(out)
    return out


def _check(out: Path, count: int, image_format: str) -> None:
    """Refuse before any work."""
    if count < 1:
        raise DataError(f"{count} scenes were asked for; a world needs at least 1")
    if image_format not in FORMATS:
        raise DataError(f"there is no image format {image_format!r}; {near(image_format, FORMATS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} exists and is not an empty folder; choose another, or remove it first")


def _mapped(draw: Callable[[int], Entry], indices: Sequence[int], workers: int) -> Iterator[Entry]:
    """Draw in this process, or in several."""
    if workers <= 1:
        yield from map(draw, indices)
        return
    pool = ProcessPoolExecutor(workers)
    try:
        yield from pool.map(draw, indices, chunksize=16)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def class_folder(world: World, label: int) -> str:
    """A class's name in `classes.txt`, such as `001.Amber_Finch`."""
    return f"{label + 1:03d}.{world.labels[label].replace(' ', '_')}"


def _draw(world: World, half: Unfinished, size: int, image_format: str, index: int) -> Entry:
    """Draw one scene and write its picture and masks."""
    drawing = render(world.scene(index), size)
    scene = drawing.scene
    kind = class_folder(world, scene.label)
    path = f"{kind}/{kind[4:]}_{index + 1:06d}.{image_format}"
    opacity = np.rint(drawing.coverage() * 255).astype(np.uint8)
    entry = Entry(
        index=index,
        path=path,
        label=scene.label,
        train=world.in_train(index),
        box=drawing.box or (0, 0, 0, 0),
        points=keypoints(drawing),
        noted=scene.noted,
        certainty=_certainty(drawing),
        latents=json.dumps({"visibility": [round(v, 4) for v in drawing.visibility], **asdict(scene)}),
    )
    pictures = (drawing.image, opacity, drawing.parts)
    return half.keep(entry, {name: _encoded(p, name) for name, p in zip(_files(path), pictures, strict=True)})


def _files(path: str) -> tuple[str, str, str]:
    """Picture, foreground mask and part mask of a scene."""
    stem = path.rpartition(".")[0]
    return f"images/{path}", f"masks/foreground/{stem}.png", f"masks/parts/{stem}.png"


def _encoded(pixels: NDArray[np.uint8], name: str) -> bytes:
    """One picture as the bytes of a file; JPEG at a quality that keeps small parts."""
    sink = BytesIO()
    if name.endswith(".jpg"):
        Image.fromarray(pixels).save(sink, "JPEG", quality=95, subsampling=0)
    else:
        Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def _certainty(drawing: Rendering) -> tuple[int, ...]:
    """Per group, 1 not visible to 4 definitely, from the visible share of its part."""
    shares = dict(zip(PARTS, drawing.visibility, strict=True))
    shares["body"] = float(np.mean(np.array(drawing.visibility)))
    return tuple(int(np.searchsorted((0.1, 0.4, 0.7), shares[group.part], side="right")) + 1 for group in GROUPS)


def _write_lists(folder: Path, world: World, entries: list[Entry]) -> None:
    """The five lists at the top."""
    numbered = list(enumerate(entries, 1))
    _write(folder / "images.txt", (f"{i} {entry.path}" for i, entry in numbered))
    _write(folder / "image_class_labels.txt", (f"{i} {entry.label + 1}" for i, entry in numbered))
    _write(folder / "train_test_split.txt", (f"{i} {int(entry.train)}" for i, entry in numbered))
    boxes = (f"{i} " + " ".join(f"{v:.1f}" for v in entry.box) for i, entry in numbered)
    _write(folder / "bounding_boxes.txt", boxes)
    _write(folder / "classes.txt", (f"{k + 1} {class_folder(world, k)}" for k in range(len(world.species))))


def _write_parts(folder: Path, entries: list[Entry]) -> None:
    """Part names, locations, and one click per visible part."""
    make_folder(folder, error=DataError)
    _write(folder / "parts.txt", (f"{p} {name}" for p, name in enumerate(CUB_PARTS, 1)))
    rows = [
        f"{i} {p} {point.x:.1f} {point.y:.1f} {int(point.visible)}"
        for i, entry in enumerate(entries, 1)
        for p, point in enumerate(entry.points, 1)
    ]
    _write(folder / "part_locs.txt", rows)
    _write(folder / "part_click_locs.txt", (f"{row} 1.000" for row in rows))


def _write_attributes(folder: Path, world: World, entries: list[Entry], six_token_rows: int) -> None:
    """Attribute names, image-level labels with certainty, and percentages per class."""
    make_folder(folder, error=DataError)
    _write(folder / "attributes.txt", (f"{a} {name}" for a, name in enumerate(names(), 1)))
    _write(folder / "certainties.txt", (f"{c} {name}" for c, name in enumerate(CERTAINTIES, 1)))
    rows = chain.from_iterable(_attribute_rows(i, entry) for i, entry in enumerate(entries, 1))
    _write(folder / "image_attribute_labels.txt", _malformed(rows, six_token_rows))
    percent = _class_percent(len(world.species), entries)
    _write(
        folder / "class_attribute_labels_continuous.txt",
        (" ".join(f"{v:.4f}" for v in row) for row in percent),
    )


def _attribute_rows(number: int, entry: Entry) -> Iterator[str]:
    """`image attribute present certainty time` for every attribute of one image."""
    seconds = np.random.default_rng([entry.index, 83]).uniform(0.5, 9.0, offsets()[-1])
    attribute = 0
    for group, noted, certainty in zip(GROUPS, entry.noted, entry.certainty, strict=True):
        for value in range(len(group.values)):
            present = int(value == noted and certainty > 1)
            yield f"{number} {attribute + 1} {present} {certainty} {seconds[attribute]:.3f}"
            attribute += 1


def _malformed(rows: Iterable[str], count: int) -> Iterator[str]:
    """A stray 0 before the time in every seventh row, until `count` rows have one."""
    for n, row in enumerate(rows):
        head, _, seconds = row.rpartition(" ")
        yield f"{head} 0 {seconds}" if n % 7 == 3 and n // 7 < count else row


def _class_percent(classes: int, entries: list[Entry]) -> NDArray[np.float64]:
    """Per class and attribute, the percentage of images that show it among those that show the part."""
    votes, totals = np.zeros((2, classes, offsets()[-1]))
    for entry in entries:
        for g, (noted, certainty) in enumerate(zip(entry.noted, entry.certainty, strict=True)):
            if certainty > 1:
                votes[entry.label, offsets()[g] + noted] += 1
                totals[entry.label, offsets()[g] : offsets()[g + 1]] += 1
    return np.asarray(100 * votes / np.maximum(totals, 1))


def _write_truth(folder: Path, world: World, entries: list[Entry], size: int) -> None:
    """What no annotator knows: latents per image, injected errors included, and the world itself."""
    _write(folder / "scenes.jsonl", (entry.latents for entry in entries))
    cues = [{**asdict(cue), "required": cue.required, "sufficient": cue.sufficient} for cue in bayes_cues(world, 500)]
    about = {
        "schema": SCHEMA,
        "made_by": "sightline world render",
        "size": size,
        "scenes": len(entries),
        "knobs": asdict(world.config),
        "parts": dict(enumerate(PARTS, 1)),
        "species": [asdict(species) for species in world.species],
        "required_cue": required_cue(world, 500),
        "cues": cues,
    }
    write_text(folder / "world.json", json.dumps(about, indent=1), error=DataError)


def _write(path: Path, lines: Iterable[str]) -> None:
    """One line per item."""
    with whole_file(path, error=DataError) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
