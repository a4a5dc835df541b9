"""`train classify` on given weights and few photos, beside a linear probe: the table of docs/studies/fine-tuning.md.

    python benchmarks/fine_tuning.py --work fine_tuning.work --seeds 3            # resumable; needs the test pack
    python benchmarks/fine_tuning.py tables --work fine_tuning.work --write

Three folders are made of the test pack (`SIGHTLINE_PACK`): CIFAR-10 for its ResNet-20, and, for EfficientNet-Lite0 of
the extra `imagenet`, ten species of birds and twenty kinds of things from photos of ImageNet. Each is trained with
the command's own defaults (large photos: --epochs 10); arms change one option. A finished cell is not trained again.
"""

from __future__ import annotations

import csv
import json
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from _eat_cells import _pack
from _measure import conditions
from _study import Rows, arguments, part_of, publish
from sightline.common.files import write_text
from sightline.common.statistics.bootstrap import bootstrap
from sightline.common.statistics.intervals import wilson
from sightline.tasks.classification.metrics import Classified
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.train import train_classify

TOY = "toy"
"""The arm of the training of noise."""
EPOCHS = 10
"""Epochs on large photos; on CIFAR the default."""
Facts = dict[str, Any]
MOST = 20
"""Training photos of a class."""
ARMS: dict[str, dict[str, object]] = {
    "the default": {},
    "whole network": {"keep": "last"},
    "last layer only": {"frozen": True},
    "whole network, last layer as built": {"head_start": "built", "keep": "last"},
}
"""The default keeps the start unless an epoch is surely better; the others keep the last epoch."""
KINDS = {
    "fish": "0-6 389-397",
    "land birds": "7-24 80-96",
    "water birds": "97-100 127-146",
    "frogs and turtles": "25-37",
    "lizards": "38-51",
    "snakes": "52-68",
    "hounds": "151-178",
    "terriers": "179-204",
    "other dogs": "205-268",
    "cats and wild dogs": "269-299",
    "insects": "300-327",
    "hoofed animals": "339-355",
    "monkeys": "365-384",
    "fruit and vegetables": "936-957",
    "dishes": "924-935 960-969",
    "instruments": "402 420 432 486 513 541 546 558 577 579 594 642 684 687 699 822 889",
    "road vehicles": "436 468 511 555 573 609 627 654 661 670 675 717 751 757 817 864 867 874",
    "boats": "403 472 484 510 576 625 628 724 780 814 871 913",
    "clothes": "399 400 411 445 459 474 501 568 601 610 639 655 697 735 775 834 841",
    "furniture": "423 453 493 495 516 520 526 532 559 564 765 831 846 894",
}
"""Twenty kinds of things as numbers of ImageNet's classes; the pack has one photo of each."""


@dataclass(frozen=True)
class Cell:
    """One training: a folder, an arm, a seed."""

    data: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.data}-{self.arm}-{self.seed}".replace(" ", "_").replace(",", "")

    @property
    def recipe(self) -> ClassifyRecipe:
        """What `train classify` would be asked for."""
        own: dict[str, object] = {"model": "imagenet", "epochs": EPOCHS}
        if self.arm == TOY:
            return ClassifyRecipe().but(model_args={"widths": (8, 8, 8)}, size=16, epochs=1, device="cpu")
        if self.data == "cifar":
            file = str(_pack() / "models" / "cifar10_resnet20.safetensors")
            own = {"model": "cifar-resnet20", "model_args": {"pad": True}, "weights": file}
        return ClassifyRecipe().but(seed=self.seed, device="cpu", **own, **ARMS[self.arm])


def cells(seeds: int) -> Iterator[Cell]:
    """The defaults first, seed by seed."""
    for arm in ARMS:
        for seed in range(seeds):
            for data in FOLDERS:
                yield Cell(data, arm, seed)


def cifar(folder: Path) -> None:
    """Twenty pictures of each class to learn from, forty to test on."""
    root = _pack() / "cifar10_test_subset"
    with (root / "labels.csv").open() as file:
        rows = [(row["class_name"], root / row["file"]) for row in csv.DictReader(file)]
    _divided(rows, folder, share=1 / 3)


def birds(folder: Path) -> None:
    """The species of CUB by its own split, and three more of another set, of which the half is tested on."""
    root = _pack() / "cub_200_2011_subset" / "CUB_200_2011"
    lists = [(root / name).read_text().splitlines() for name in ("images.txt", "train_test_split.txt")]
    split = dict(line.split() for line in lists[1])
    for number, file in (line.split() for line in lists[0]):
        path = root / "images" / file
        if path.is_file():
            _put(path, folder / ("train" if split[number] == "1" else "test") / path.parent.name)
    for part in sorted((folder / "train").iterdir()):
        for path in sorted(part.iterdir())[MOST:]:
            path.unlink()
    more = _pack() / "extra_birds"
    with (more / "labels.csv").open() as file:
        rows = [(row["cub_class_name"], more / row["file"]) for row in csv.DictReader(file)]
    _divided(rows, folder, share=0.5)


def things(folder: Path) -> None:
    """Twenty kinds of things: two thirds of each are learnt from, at most twenty."""
    root = _pack() / "imagenet_photos"
    kinds = {number: kind for kind, text in KINDS.items() for number in _numbers(text)}
    with (root / "labels.csv").open() as file:
        rows = [(int(row["class_index"]), root / row["file"]) for row in csv.DictReader(file)]
    _divided([(kinds[number], path) for number, path in rows if number in kinds], folder, share=2 / 3)


FOLDERS = {"cifar": cifar, "birds": birds, "things": things}


def _numbers(text: str) -> Iterator[int]:
    """`0-6 9` as 0 to 6 and 9."""
    for part in text.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _divided(rows: list[tuple[str, Path]], folder: Path, *, share: float) -> None:
    """A share of each class to learn from, `MOST` at most; the others are tested on, twice as many at most."""
    for name in sorted({name for name, _ in rows}):
        files = sorted(path for own, path in rows if own == name)
        files = [files[at] for at in np.random.default_rng(0).permutation(len(files))]
        count = min(MOST, round(share * len(files)))
        for at, path in enumerate(files[: count + 2 * MOST]):
            _put(path, folder / ("train" if at < count else "test") / name)


def _put(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / path.name)


def folder_of(data: str, work: Path) -> Path:
    """A folder of photos, made once."""
    whole = work / "photos" / data
    if not whole.is_dir():
        half = whole.with_name(f"{data}.tmp")
        shutil.rmtree(half, ignore_errors=True)
        FOLDERS[data](half)
        half.rename(whole)
    return whole


def trained(cell: Cell, work: Path) -> Facts:
    """Train a cell and keep what it named right, beside its probe; weights and checkpoints are thrown away."""
    source, begun = folder_of(cell.data, work), time.process_time()
    place = work / "nets" / cell.name
    own = train_classify(source, place / "net.safetensors", cell.recipe, place / "work")
    if not isinstance(own, Classified):
        raise SystemExit("one process trains alone here")
    probe = json.loads((place / "work" / "probe.json").read_text())
    shutil.rmtree(place)
    return {
        "right": list(own.right),
        "probe": probe["right"],
        "photos": probe["pictures"],
        "epochs": own.epochs,
        "seconds": time.process_time() - begun,
    }


def rows(cells_of: list[tuple[Cell, Facts]]) -> Rows:
    """A row per folder and arm; intervals over photos, of the mean over seeds."""
    table = []
    for data, arm in dict.fromkeys((cell.data, cell.arm) for cell, _ in cells_of):
        own = [facts for cell, facts in cells_of if (cell.data, cell.arm) == (data, arm)]
        right, probe = (torch.tensor([one[name] for one in own]).double().mean(0) for name in ("right", "probe"))
        low, high = wilson(round(float(probe.sum())), len(probe))
        table.append(
            {
                "photos of": data,
                "trained": arm,
                "training photos": str(own[0]["photos"]),
                "test photos": str(len(right)),
                "seeds": str(len(own)),
                "linear probe": f"{float(probe.mean()):.3f} ({low:.3f}-{high:.3f})",
                "accuracy": f"{float(right.mean()):.3f}",
                "less probe": signed(right - probe),
                "by seed": ", ".join(f"{float(torch.tensor(one['right']).double().mean()):.3f}" for one in own),
                "CPU s": f"{max(one['seconds'] for one in own):.0f}",
            }
        )
    return sorted(table, key=lambda row: list(FOLDERS).index(row["photos of"]))


def signed(differences: Tensor) -> str:
    """Mean and interval over photos."""
    own = bootstrap(differences)
    return f"{own.mean:+.3f} [{own.low:+.3f}, {own.high:+.3f}]"


def toy() -> list[tuple[Cell, Facts]]:
    """Figures drawn at random for the table, and one training of noise that is really made."""
    draw = torch.Generator().manual_seed(0)
    one = lambda: (torch.rand(12, generator=draw) < 0.5).tolist()  # noqa: E731
    facts = lambda: {"right": one(), "probe": one(), "photos": 12, "epochs": 1, "seconds": 1.0}  # noqa: E731
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for at in range(12):
            path = work / "photos" / "cifar" / ("train", "test")[at % 2] / "ab"[at % 4 // 2] / f"{at}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(torch.randint(0, 255, (16, 16, 3), dtype=torch.uint8, generator=draw).numpy()).save(path)
        trained(Cell("cifar", TOY, 0), work)
    return [(cell, facts()) for cell in cells(2)]


def place_of(cell: Cell, work: Path) -> Path:
    """The file of a finished cell."""
    return work / "cells" / f"{cell.name}.json"


def main() -> None:
    """Train what is not there yet, then print the table."""
    asked = arguments(__doc__, "fine_tuning.work", "fine-tuning", (), seeds=3).parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    torch.set_num_threads(1)
    todo = list(cells(asked.seeds))
    at, of = part_of(asked)
    for cell in () if asked.toy or asked.what == "tables" else todo[at::of]:
        path = place_of(cell, asked.work)
        if not path.is_file():
            facts = trained(cell, asked.work)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(facts))
            print(f"{cell.name}: {facts['seconds']:.0f} s of CPU", flush=True)
    done = [(cell, place_of(cell, asked.work)) for cell in todo]
    finished = toy() if asked.toy else [(cell, json.loads(path.read_text())) for cell, path in done if path.is_file()]
    print(conditions("cpu"))
    publish({"few photos": rows(finished)}, "fine_tuning", json_to=asked.json, write=asked.write)


if __name__ == "__main__":
    main()
