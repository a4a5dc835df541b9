"""What `events.py` measures of one trained network on scenes that it never saw."""

from __future__ import annotations

import math
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.tasks.audiovisual.data.drawn import EventData, draw, world_of
from sightline.tasks.audiovisual.explain.clip import EventClip, read_event_clip
from sightline.tasks.audiovisual.explain.result import explained
from sightline.tasks.audiovisual.metrics.maps import WAYS, Maps, attention
from sightline.tasks.audiovisual.metrics.measure import measure
from sightline.tasks.audiovisual.metrics.perturb import perturbed, random_maps
from sightline.tasks.audiovisual.metrics.pointing import pointing
from sightline.tasks.audiovisual.metrics.sanity import likeness
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.store import load_net
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.tasks.audiovisual.train import EventExperiment
from sightline.tasks.audiovisual.world import CLASSES, HELD_OUT, Scenes, scenes
from sightline.training.reporter import Report

Cell = dict[str, Any]
KNOWING = ("uniform", "middle of the picture", "loudness")
"""Ways that do not ask the network: their order of cells is no finding about it."""


@lru_cache(maxsize=1)
def drawn(recipe: EventRecipe) -> EventData:
    """Scenes of a recipe, once for all networks that learn from them."""
    return draw(recipe, lambda done: None)


class Study(EventExperiment):
    """A training whose scenes are drawn once for several networks; or whose labels are permuted."""

    permuted = False

    def data(self, report: Report) -> EventData:
        """The scenes of the recipe's world and seed."""
        own = drawn(EventRecipe(data=self.recipe.data).but(seed=self.machine.seed))
        if not self.permuted:
            return own
        order = torch.randperm(len(own.train), generator=torch.Generator().manual_seed(self.machine.seed))
        return replace(own, train=replace(own.train, labels=own.train.labels[order]))


class Permuted(Study):
    """Labels that say nothing of the scenes."""

    permuted = True


def trained(recipe: EventRecipe, out: Path, *, permuted: bool = False) -> tuple[EventNet, float]:
    """A network, trained unless its file is there, and the CPU seconds that it took."""
    clock = out.with_suffix(".seconds")
    if not out.is_file() or not clock.is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        begun = time.process_time()
        (Permuted if permuted else Study)(recipe, out, out.with_suffix(".work")).run()
        clock.write_text(str(time.process_time() - begun))
    return load_net(out), float(clock.read_text())


def held_out(recipe: EventRecipe) -> Scenes:
    """Scenes of the recipe's world that no network of it learns from."""
    return drawn(EventRecipe(data=recipe.data).but(seed=recipe.machine.seed)).held_out


@torch.no_grad()
def chosen_on(net: EventNet, recipe: EventRecipe) -> Cell:
    """Recognition and pointing of the attention on scenes of a range that serves for choosing settings only."""
    config = replace(world_of(recipe.data), negatives=0.0)
    own = scenes(config, 2 * HELD_OUT, recipe.data.held_out, seed=recipe.machine.seed)
    inputs = own.inputs()
    points = pointing(*attention(net, inputs, own.labels), own)
    right = (net(*inputs).argmax(1) == own.labels).float()
    return {
        "accuracy": mean(right),
        **{name: mean(getattr(points, name)) for name in ("where", "mass", "when")},
    }


def figures(net: EventNet, scenes: Scenes) -> Cell:
    """Recognition, pointing of every way, negative sounds."""
    own = measure(net, scenes)
    return {
        "accuracy": own.accuracy,
        "picture": own.picture / own.scenes,
        "sound": own.sound / own.scenes,
        "ways": {
            name: {key: figure.mean for key, figure in row.items() if not math.isnan(figure.mean)}
            for name, row in own.rows.items()
        },
        "events": by_event(net, scenes),
        "negative": [
            {"sound": one.sound, "mass": one.mass.mean, "area": one.area, "moved": one.moved, "same": one.same}
            for one in own.negative
        ],
    }


@torch.no_grad()
def by_event(net: EventNet, scenes: Scenes) -> Cell:
    """Pointing of the attention in the scenes of each event: peaks on the object, and on it or one cell beside it."""
    points = pointing(*attention(net, scenes.inputs(), scenes.labels), scenes)
    found: Cell = {}
    for place, name in enumerate(CLASSES):
        own = scenes.labels == place
        found[name] = {"where": mean(points.where[own]), "near": mean(points.near[own])}
    return found


def maps_of(net: EventNet, scenes: Scenes) -> dict[str, Maps]:
    """Maps of every way that asks the network, and of random ones."""
    inputs = scenes.inputs()
    maps = {}
    for name, way in WAYS.items():
        if name not in KNOWING:
            maps[name] = way(net, inputs, scenes.labels)
    first = next(iter(maps.values()))
    maps["random"] = random_maps((first[0].shape, first[1].shape))
    return maps


def areas(net: EventNet, scenes: Scenes, steps: int) -> Cell:
    """Deletion and insertion of every way."""
    inputs, found = scenes.inputs(), {}
    for name, maps in maps_of(net, scenes).items():
        own = perturbed(net, inputs, scenes.labels, maps, steps=steps)
        found[name] = {
            f"{kind}, {fill}": {"deletion": float(one.deletion.mean()), "insertion": float(one.insertion.mean())}
            for (kind, fill), one in own.items()
        }
    return found


def forgotten(net: EventNet, other: EventNet, scenes: Scenes) -> Cell:
    """Likeness of every way's maps to those of networks that know less."""
    found: Cell = {}
    for name, way in WAYS.items():
        if name in KNOWING:
            continue
        both = likeness(net, other, scenes.inputs(), scenes.labels, way=way)
        found[name] = {
            kind: {
                "all weights": mean(list(one.weights.values())[-1]),
                "labels": mean(one.labels),
            }
            for kind, one in both.items()
        }
    return found


def mean(values: Tensor) -> float:
    """Over the scenes that have a value; NaN where none has."""
    return float(values[values.isfinite()].mean()) if values.isfinite().any() else math.nan


def speed(recipe: EventRecipe, repetitions: int) -> Cell:
    """CPU time of explaining a clip of ten seconds over that of its forward, and of decoding it over its length."""
    from sightline.tasks.audiovisual.network.spec import EventSpec
    from sightline.tasks.audiovisual.report.player import save_scene

    torch.manual_seed(0)
    net = EventNet(EventSpec(CLASSES, queries="class")).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mkv"
        save_scene(scenes(replace(world_of(recipe.data), frames=50), 0, 1), 0, path)
        decoding = [spent(lambda: read_event_clip(path, net.spec)) for _ in range(repetitions)]
        clip = read_event_clip(path, net.spec)
    return {
        "maps": map_costs(net, clip, repetitions),
        "decoding": [one / 10.0 for one in decoding],
        "segments": clip.ruler.segments,
        "real": [real_clip(net, path, min(repetitions, 3)) for path in real_clips() if repetitions > 2],
    }


@torch.no_grad()
def map_costs(net: EventNet, clip: EventClip, repetitions: int) -> list[float]:
    """CPU time of the maps of all classes over that of a forward, in pairs."""
    ratios = []
    net(*clip.inputs)
    for _ in range(repetitions):
        before = spent(lambda: net(*clip.inputs))
        maps = spent(lambda: explained(net, clip))
        ratios.append(maps / ((before + spent(lambda: net(*clip.inputs))) / 2))
    return ratios


def real_clip(net: EventNet, path: Path, repetitions: int) -> Cell:
    """Decoding of somebody's clip over its length, and its maps over a forward."""
    decoding = [spent(lambda: read_event_clip(path, net.spec)) for _ in range(repetitions)]
    clip = read_event_clip(path, net.spec)
    footage = clip.footage
    sides = "-" if footage is None else f"{footage.original_size[2]} x {footage.original_size[1]}"
    decoded = min(decoding) / clip.ruler.end
    return {
        "sides": sides,
        "seconds": clip.ruler.end,
        "decoding": decoded,
        "maps": min(map_costs(net, clip, repetitions)),
    }


def real_clips() -> list[Path]:
    """Clips of the test pack of two seconds or more; none where it is not here."""
    here = Path(os.environ.get("SIGHTLINE_PACK", Path(__file__).resolve().parents[2] / "shared" / "pack"))
    short = ("realshort.mp4", "h265_video.mp4")
    return sorted(path for path in (here / "events" / "clips").glob("*.m*") if path.name not in short)


def spent(work: Callable[[], object]) -> float:
    """CPU seconds of this process and of the programs that it runs."""

    def now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    begun = now()
    work()
    return now() - begun
