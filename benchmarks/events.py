"""Whether space-time attention shows where and when, beside every baseline: `docs/studies/events.md`.

    python benchmarks/events.py --work events.work
    python benchmarks/events.py tables --work events.work --write

A cell is a world with a seed: its networks are trained (finished ones are kept), judged on scenes that none of them
saw, and the figures are kept as JSON, so a run goes on with the rest. Several processes take turns with the cells
(`--part 0/4`). Times are CPU seconds on one thread.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from _events_cells import Cell, areas, chosen_on, figures, forgotten, held_out, speed, trained
from _events_real import SOURCES, real_cell
from _events_settings import CHOOSING, EPOCHS, JUDGED, NETWORKS, WEIGHTS, WORLDS
from _events_tables import TABLES
from _study import arguments, part_of, publish
from sightline.common.files import write_text
from sightline.tasks.audiovisual.recipe import EventRecipe

STUDIES = ("drawn", "harder", "112 px", "networks", "weights", "epochs", "real", "speed")


def main() -> None:
    """Train and judge the cells that are missing, then print the tables."""
    parser = arguments(__doc__, "events.work", "events.md", STUDIES)
    parser.add_argument(
        "--network", action="append", choices=NETWORKS, help="which networks of `networks`; default all"
    )
    parser.add_argument("--device", default="cpu", help="what trains; figures are made on the CPU")
    parser.add_argument("--match-weight", type=float, help="another weight of the match than the default")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if asked.toy else asked.work
        recipe = (EventRecipe().toy() if asked.toy else EventRecipe()).but(device=asked.device)
        if asked.match_weight is not None:
            recipe = recipe.but(match_weight=asked.match_weight)
        studies, seeds = asked.study or STUDIES, range(1 if asked.toy else asked.seeds)
        if asked.what == "train":
            names = asked.network or (("match weight 0.3",) if asked.toy else tuple(NETWORKS))
            at, of = part_of(asked)
            for path, make in [job for study in studies for job in jobs(work, recipe, study, seeds, names)][at::of]:
                cell(path, make)
        tables = {name: make(work) for study in studies for name, make in TABLES[study].items()}
        publish(tables, "events", json_to=asked.json, write=asked.write)


def cell(path: Path, make: Callable[[], Cell]) -> None:
    """Make a cell, unless it is there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = make()
        write_text(path, json.dumps(content))
        print(path.relative_to(path.parents[1]), content.get("accuracy", ""), file=sys.stderr)


def jobs(
    work: Path, recipe: EventRecipe, study: str, seeds: Iterable[int], names: Sequence[str]
) -> Iterator[tuple[Path, Callable[[], Cell]]]:
    """The cells of a study: their files, and how each is made."""
    if study == "speed":
        yield work / "speed" / "0.json", lambda: speed(recipe, 9 if recipe.loop.epochs > 2 else 2)
        return
    for seed in seeds:
        own = recipe.but(seed=seed)
        if study in WORLDS:
            yield work / study / f"{seed}.json", partial(world_cell, work, own, study)
        for name in names if study == "networks" else ():
            path = work / study / name / f"{seed}.json"
            yield (
                path,
                partial(network_cell, path.with_suffix(".safetensors"), own.but(**as_long(NETWORKS[name], recipe))),
            )
        for weight in (WEIGHTS if recipe.loop.epochs > 2 else WEIGHTS[1:3]) if study == "weights" else ():
            path = work / study / f"{weight:g}" / f"{seed}.json"
            chosen = recipe.but(seed=CHOOSING + seed, match_weight=weight)
            yield path, partial(weight_cell, path.with_suffix(".safetensors"), chosen)
        for name in SOURCES if study == "real" else ():
            yield work / study / name / f"{seed}.json", partial(real_cell, work, name, own)
        for epochs in EPOCHS if study == "epochs" else ():
            path = work / study / str(epochs) / f"{seed}.json"
            chosen = recipe.but(seed=CHOOSING + seed, epochs=min(epochs, recipe.loop.epochs))
            yield path, partial(weight_cell, path.with_suffix(".safetensors"), chosen)


def as_long(settings: dict[str, Any], recipe: EventRecipe) -> dict[str, Any]:
    """Settings of a world or network; a toy learns no longer for them."""
    return {key: value for key, value in settings.items() if key != "epochs" or recipe.loop.epochs > 2}


def world_cell(work: Path, recipe: EventRecipe, name: str) -> Cell:
    """Every figure of the default network in one world."""
    own, seed = recipe.but(**as_long(WORLDS[name], recipe)), recipe.machine.seed
    net, seconds = trained(own, work / name / f"{seed}.safetensors")
    scenes = held_out(own)
    judged = JUDGED // 4 if own.data.side > 100 else JUDGED if recipe.loop.epochs > 2 else JUDGED // 20
    few = scenes.rows(torch.arange(min(judged, len(scenes))))
    content = {**figures(net, scenes), "cpu": seconds, "areas": areas(net, few, 12)}
    if name == "drawn":
        brief = own.but(epochs=min(3, own.loop.epochs))
        other, _ = trained(brief, work / "permuted" / f"{seed}.safetensors", permuted=True)
        content["forgotten"] = forgotten(net, other, few)
    return content


def network_cell(path: Path, recipe: EventRecipe) -> Cell:
    """What becomes of the figures with another network."""
    net, seconds = trained(recipe, path)
    return {**figures(net, held_out(recipe)), "cpu": seconds}


def weight_cell(path: Path, recipe: EventRecipe) -> Cell:
    """Recognition and pointing on scenes for choosing: nothing else is learned from or judged on these."""
    net, _ = trained(recipe, path)
    return chosen_on(net, recipe)


if __name__ == "__main__":
    main()
