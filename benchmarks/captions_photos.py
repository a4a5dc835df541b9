"""A miniature on photos: captioners of 60 photos of COCO, measured on 20 others: docs/studies/captions.md.

    python benchmarks/captions_photos.py --work captions_photos.work             # resumable; needs the test pack
    python benchmarks/captions_photos.py tables --work captions_photos.work --write

Regions are the 49 grid cells of the network of the extra `imagenet`. Beside the captioner stand captions that are
copied: one for all pictures (the most frequent, and the one most like all others), those of the most similar training
photo, and the captioner's own, each given to another photo. Intervals are over the 20 photos, seeds averaged.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from _eat_cells import _pack
from _study import Rows, arguments, part_of, publish
from sightline.common.files import write_text
from sightline.common.statistics.bootstrap import bootstrap
from sightline.tasks.captioning.data.sources import CaptionFiles, read_data
from sightline.tasks.captioning.data.table import CaptionData, Words
from sightline.tasks.captioning.metrics.bleu import bleu
from sightline.tasks.captioning.metrics.cider import CiderD, cider_d
from sightline.tasks.captioning.metrics.measures import write
from sightline.tasks.captioning.metrics.nearest import nearest_captions
from sightline.tasks.captioning.metrics.rouge import rouge_l
from sightline.tasks.captioning.network.captioner import load_captioner
from sightline.tasks.captioning.recipe import CaptionRecipe
from sightline.tasks.captioning.train import train_captions
from sightline.tasks.captioning.world.picture import scene_picture
from sightline.tasks.captioning.world.scenes import draw_scenes

ARMS = {"SAN": {"preset": "san"}, "NG-SAN": {"preset": "ng-san"}}
COPIED = ("the most frequent caption", "the caption most like all", "captions of the most similar photo")
Cell = dict[str, Any]


def main() -> None:
    """Train the cells that are missing, then print the table."""
    asked = arguments(__doc__, "captions_photos.work", "captions.md", ("photos",)).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if asked.toy else asked.work
        if asked.what == "train":
            files = toy_files(work) if asked.toy else pack_files()
            arms = list(ARMS)[-1:] if asked.toy else list(ARMS)
            cells = [(seed, arm) for seed in range(1 if asked.toy else asked.seeds) for arm in ("copied", *arms)]
            at, of = part_of(asked)
            for seed, arm in cells[at::of]:
                path = work / "cells" / f"{arm.lower()}-{seed}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.is_file() and (arm != "copied" or not seed):
                    own = copied(files) if arm == "copied" else trained(files, arm, seed, work, toy=asked.toy)
                    write_text(path, json.dumps(own))
                    print(path.stem, own["cpu"], file=sys.stderr)
        cells_there = [json.loads(path.read_text()) for path in sorted((work / "cells").glob("*.json"))]
        publish({"photos": table(cells_there)}, "captions", json_to=asked.json, write=asked.write)


def pack_files() -> CaptionFiles:
    """COCO's photos of the test pack; the photos lie in two folders of one."""
    mini = _pack() / "captions" / "coco_mini"
    train, held_out = (mini / "annotations" / f"captions_{part}2017.json" for part in ("train", "val"))
    return CaptionFiles(train, held_out, None, mini, "imagenet")


@cache
def data_of(files: CaptionFiles) -> CaptionData:
    """Captions with the regions of their photos."""
    return read_data(files, CaptionRecipe(), lambda count: None)


def recipe(arm: str, seed: int, *, toy: bool) -> CaptionRecipe:
    """A small captioner with much dropout: 60 photos are few."""
    own = CaptionRecipe().but(**ARMS[arm], seed=seed, batch_size=20, epochs=60, lr=5e-4, warm_up=2.0)
    own = own.but(width=128, inner=256, dropout=0.3, least_count=3, captions_per_picture=5, halve_from=40)
    return own.toy().but(least_count=1, batch_size=3) if toy else own


def trained(files: CaptionFiles, arm: str, seed: int, work: Path, *, toy: bool) -> Cell:
    """Scores of one captioner on every held-out photo, and of its captions given to other photos."""
    own, begun = recipe(arm, seed, toy=toy), time.process_time()
    weights = work / f"{arm.lower()}-{seed}.safetensors"
    train_captions(weights, own, files=files)
    data, spent = data_of(files), time.process_time() - begun
    captions = write(load_captioner(weights), data.held_out, width=3)
    rows = {arm: scores(captions, data), f"{arm}, given to other photos": scores([*captions[1:], captions[0]], data)}
    return {"seed": seed, "cpu": spent, "rows": rows, "captions": [" ".join(own) for own in captions]}


def copied(files: CaptionFiles) -> Cell:
    """Scores of captions that are copied from training photos."""
    data = data_of(files)
    sentences = [own for picture in data.train.sentences for own in picture]
    cider, count = CiderD(data.train.sentences), len(data.held_out)
    like_all = max(sorted(set(sentences)), key=lambda own: cider.score(own, sentences))
    frequent = min(set(sentences), key=lambda own: (-sentences.count(own), own))
    captions = ([frequent] * count, [like_all] * count, nearest_captions(data.train, data.held_out))
    rows = {name: scores(own, data) for name, own in zip(COPIED, captions, strict=True)}
    return {"seed": 0, "cpu": 0.0, "rows": rows, "captions": [" ".join(own) for own in captions[2]]}


def scores(captions: list[Words], data: CaptionData) -> Cell:
    """Of each held-out photo, and BLEU-4 of all."""
    references = data.held_out.sentences
    each = {"CIDEr-D": cider_d(captions, references), "ROUGE-L": rouge_l(captions, references)}
    return {**each, "BLEU-4": bleu(captions, references)[3], "kinds": len(set(captions))}


def table(cells: list[Cell]) -> Rows:
    """A row for each way to caption."""
    rows: Rows = []
    names = [*COPIED, *(name for arm in ARMS for name in (arm, f"{arm}, given to other photos"))]
    similar = next((cell["rows"][COPIED[-1]]["CIDEr-D"] for cell in cells if COPIED[-1] in cell["rows"]), None)
    for name in names:
        if mine := [cell["rows"][name] for cell in cells if name in cell["rows"]]:
            figures = {metric: mean_of([own[metric] for own in mine]) for metric in ("CIDEr-D", "ROUGE-L")}
            figures["CIDEr-D less that of the most similar photo"] = gain([own["CIDEr-D"] for own in mine], similar)
            bleu4 = f"{sum(own['BLEU-4'] for own in mine) / len(mine):.3f}"
            kinds = f"{sum(own['kinds'] for own in mine) / len(mine):.1f}"
            rows.append({"captions": name, "seeds": str(len(mine)), **figures, "BLEU-4": bleu4, "different": kinds})
    return rows


def mean_of(scores_by_seed: list[list[float]]) -> str:
    """Mean over photos of the mean over seeds, with a bootstrap interval over photos."""
    own = bootstrap(torch.tensor(scores_by_seed, dtype=torch.float64).mean(0))
    return f"{own.mean:.3f} [{own.low:.3f}, {own.high:.3f}]"


def gain(scores_by_seed: list[list[float]], control: list[float] | None) -> str:
    """Mean difference from a control over photos, seeds averaged, with a bootstrap interval over photos."""
    if control is None or scores_by_seed == [control]:
        return "-"
    own = torch.tensor(scores_by_seed, dtype=torch.float64).mean(0) - torch.tensor(control, dtype=torch.float64)
    figure = bootstrap(own)
    return f"{figure.mean:+.3f} [{figure.low:+.3f}, {figure.high:+.3f}]"


def toy_files(work: Path) -> CaptionFiles:
    """Six drawn scenes in COCO's layout, and the bundled bird network for their grid."""
    scenes, folder = draw_scenes(6), work / "pictures"
    folder.mkdir(parents=True)
    for i in range(6):
        scene_picture(scenes, i, 96).save(folder / f"{i}.png")
    for name, rows in (("train", range(4)), ("val", range(4, 6))):
        images = [{"id": i, "file_name": f"{i}.png", "width": 96, "height": 96} for i in rows]
        notes = [{"image_id": i, "caption": " ".join(own)} for i in rows for own in scenes.sentences(i, ("size",))]
        write_text(work / f"{name}.json", json.dumps({"images": images, "annotations": notes}))
    return CaptionFiles(work / "train.json", work / "val.json", None, folder, "birdnet")


if __name__ == "__main__":
    main()
