"""How often the packaged networks name the class of a photo: top-1 and top-5, with Wilson's 95 % intervals.

    python benchmarks/imagenet_packages.py FOLDER --write && python docs/_gen    # into docs/models.md
    python benchmarks/imagenet_packages.py --toy

FOLDER holds photos and `labels.csv` with the columns `file` and `class_index` (0 to 999). `--toy` makes two drawn
photos of its own, and asks only the networks whose packages are installed. Photos of ImageNet that are shown as
samples are probably from its training set: such an accuracy is optimistic.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import nn

from _measure import STUDIES, conditions, table
from sightline.common.files import write_text
from sightline.common.statistics.intervals import wilson
from sightline.data.photos import read_photo
from sightline.models.load import LoadedModel, load_model
from sightline.models.zoo.packaged import PACKAGED, installed_file

DATA = STUDIES.parent / "data" / "imagenet_packages.txt"
KS = (1, 5)


class Labelled(NamedTuple):
    """A photo and its true class."""

    path: Path
    index: int


def photos_of(folder: Path, every: int) -> list[Labelled]:
    """Every so many photos of a folder, in the order of its table."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = [Labelled(folder / row["file"], int(row["class_index"])) for row in csv.DictReader(file)]
    return rows[::every]


def hits(loaded: LoadedModel, photos: list[Labelled]) -> dict[int, int]:
    """For each k, of how many photos the true class is among the k highest."""
    counts = dict.fromkeys(KS, 0)
    for photo in photos:
        inputs = loaded.preprocess(read_photo(photo.path)).inputs
        with torch.inference_mode():
            best = loaded.model(inputs[None])[0].topk(max(KS)).indices.tolist()
        for k in KS:
            counts[k] += photo.index in best[:k]
    return counts


def cell(count: int, total: int) -> str:
    """A share in percent with its interval."""
    low, high = wilson(count, total)
    return f"{100 * count / total:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def row(name: str, photos: list[Labelled]) -> list[str]:
    """One network's row."""
    loaded = load_model(name)
    counts = hits(loaded, photos)
    size = sum(parameter.numel() for parameter in loaded.model.parameters() if isinstance(parameter, nn.Parameter))
    packaged = PACKAGED[name]
    return [f"`{name}`", f"`{packaged.package}`", f"{size / 1e6:.1f} M", *(cell(counts[k], len(photos)) for k in KS)]


def drawn(folder: Path) -> Path:
    """A folder with two plain pictures, for the toy run."""
    rows = ["file,class_index"]
    for index, colour in enumerate(("red", "blue")):
        Image.new("RGB", (300, 260), colour).save(folder / f"{colour}.png")
        rows.append(f"{colour}.png,{index}")
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="photos and labels.csv")
    parser.add_argument("--every", type=int, default=6, metavar="N", help="take every N-th photo")
    parser.add_argument("--toy", action="store_true", help="two drawn pictures: seconds, for CI")
    parser.add_argument("--write", action="store_true", help="keep the table for docs/models.md")
    asked = parser.parse_args()
    if not (asked.toy or asked.folder):
        parser.error("name a folder of photos with labels.csv, or give --toy")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        photos = photos_of(drawn(Path(scratch)), 1) if asked.toy else photos_of(asked.folder, asked.every)
        names = [name for name in PACKAGED if not asked.toy or installed_file(name)]
        rows = [row(name, photos) for name in names]
    head = ["`--model`", "package", "parameters", "top-1, %", "top-5, %"]
    text = f"{table(head, rows)}\n\n{len(photos)} photos; {conditions('cpu')}"
    print(text)
    if asked.write:
        write_text(DATA, text + "\n")


if __name__ == "__main__":
    main()
