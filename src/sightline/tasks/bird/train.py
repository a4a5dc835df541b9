"""The recipe of the bundled model: draw scenes, train, measure on held-out scenes, write weights and card.

Resumable (scenes and checkpoints are kept in a work folder), seeded; the weights are written last.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from rich.progress import Progress
from safetensors.torch import save
from torch.utils.data import TensorDataset

from sightline.common.files import check_place, write_text
from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec, load_birdnet
from sightline.tasks.bird.metrics import Measures, Times, measure
from sightline.tasks.bird.module import BirdTask, Schedule
from sightline.tasks.bird.report import card
from sightline.training.loop import Loop, batches, run_loop
from sightline.training.recipe import lasting
from sightline.training.resume import claim_folder
from sightline.training.sampling import EpochOrder
from sightline.worlds.aviary.config import Knobs
from sightline.worlds.aviary.dataset import HELD_OUT, Scenes, joined, rendered, unlabelled
from sightline.worlds.aviary.world import World

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How the bundled model is trained.

    Args:
        scenes: number of training scenes of the default world.
        loose: number of training scenes in which every attribute is drawn by chance and the class is not
            told; without them the attribute head would only repeat the class.
        held_out: number of scenes it is measured on.
        epochs: passes over the training scenes.
        small_epochs: how many of them, at the beginning, see the scenes at five eighths of their side.
        batch: scenes per step.
        rate: highest learning rate.
        decay: weight decay.
        size: side of the scenes in pixels.
        seed: of the world, of the weights and of the order of scenes.
        widths: channels of the four stages.
        blocks: blocks of the four stages.
        reading: channels that the attribute head reads.
        attribute_weight: weight of the attribute loss.
        place_weight: weight of the loss that shows each group of attributes its part; 0 leaves that to the net.
        workers: processes that draw scenes.
        threads: of torch; on shared cores two threads wait for one another and are slower than one.
    """

    scenes: int = 8_000
    loose: int = 12_000
    held_out: int = 2_000
    epochs: int = 7
    small_epochs: int = 2
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.03
    size: int = 128
    seed: int = 0
    widths: tuple[int, ...] = (32, 48, 80, 112)
    blocks: tuple[int, ...] = (2, 2, 3, 3)
    reading: int = 64
    attribute_weight: float = 4.0
    place_weight: float = 0.5
    workers: int = 2
    threads: int = 1

    def toy(self) -> Recipe:
        """A size that finishes in seconds and proves only that the road is open."""
        return replace(
            self,
            scenes=80,
            loose=40,
            held_out=40,
            epochs=1,
            batch=20,
            size=48,
            widths=(8, 8, 12, 16),
            blocks=(1, 1, 1, 1),
            reading=8,
            workers=1,
        )


def train_birdnet(out: Path, *, recipe: Recipe = Recipe(), work: Path | None = None) -> Measures:
    """Train the bundled model and write its weights and card.

    Args:
        out: the weights file; the card is written beside it with the ending `.md`.
        recipe: sizes and rates.
        work: folder of scenes and checkpoints; None takes `out` with the ending `.work`. Running again with
            the same folder goes on after the last finished epoch.

    Returns:
        What was measured on the held-out scenes, with the weights as written.

    Raises:
        TrainingError: the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    work = work or out.with_suffix(".work")
    check_place(out)
    claim_folder(work, lasting(recipe))
    torch.set_num_threads(recipe.threads)
    lightning.seed_everything(recipe.seed, verbose=False)
    world = World(Knobs(seed=recipe.seed))
    begun = time.perf_counter()
    train, *held_out = _draw_all(world, recipe, work / "scenes")
    drawn = time.perf_counter()
    spec = BirdNetSpec(world.labels, world.attributes, recipe.widths, recipe.blocks, recipe.reading, recipe.size)
    net = BirdNet(spec)
    clock = _fit(net, train, recipe, work)
    half = out.with_suffix(".tmp")
    save_weights(net, half)
    measures = measure(load_birdnet(half), world, *held_out)
    seconds = Times(drawn - begun, train.cpu + sum(part.cpu for part in held_out), clock.seconds, clock.cpu)
    measures = replace(measures, times=seconds)
    write_text(out.with_suffix(".md"), card(measures, recipe, spec, half.stat().st_size))
    half.replace(out)
    return measures


def save_weights(net: BirdNet, path: Path) -> None:
    """Write a net in half precision with all that is needed to load it, under another name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.half().contiguous() for name, value in net.state_dict().items() if "num_batches" not in name
    }
    half = path.with_name(f"{path.name}.{os.getpid()}")
    half.write_bytes(_ordered(save(weights, metadata={"architecture": "birdnet", "spec": net.spec.to_json()})))
    half.replace(path)


def _ordered(archive: bytes) -> bytes:
    """A safetensors archive with its header in a fixed order: the library's own order of metadata varies."""
    length = int.from_bytes(archive[:8], "little")
    text = json.dumps(json.loads(archive[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + archive[8 + length :]


def _draw_all(world: World, recipe: Recipe, folder: Path) -> tuple[Scenes, Scenes, Scenes]:
    """Training scenes, held-out scenes, and held-out scenes of the loose world, behind one bar."""
    loose = World(replace(world.knobs, variation=1.0))
    jobs = (
        (world, 0, recipe.scenes),
        (loose, 0, recipe.loose),
        (world, HELD_OUT, recipe.held_out),
        (loose, HELD_OUT, recipe.held_out),
    )
    with Progress(transient=True) as bar:
        task = bar.add_task("drawing scenes", total=sum(count for _, _, count in jobs))
        parts = [
            rendered(
                place,
                first,
                count,
                size=recipe.size,
                folder=folder,
                workers=recipe.workers,
                report=lambda done: bar.update(task, advance=done),
            )
            for place, first, count in jobs
        ]
    return joined(parts[0], unlabelled(parts[1])), parts[2], parts[3]


class _Clock(Callback):  # type: ignore[misc]
    """Seconds of training and of CPU time, over all runs of a resumed training."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0
        self.since = (0.0, 0.0)

    def on_train_epoch_start(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        self.since = time.perf_counter(), time.process_time()

    def on_train_epoch_end(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        self.seconds += time.perf_counter() - self.since[0]
        self.cpu += time.process_time() - self.since[1]
        log.info("epoch %d of %d, %.0f s", trainer.current_epoch + 1, trainer.max_epochs, self.seconds)

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds, "cpu": self.cpu}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.seconds, self.cpu = state_dict["seconds"], state_dict["cpu"]


def _fit(net: BirdNet, scenes: Scenes, recipe: Recipe, work: Path) -> _Clock:
    """Train, or go on training; returns the time that all epochs took."""
    table = TensorDataset(scenes.images, scenes.labels, scenes.values, scenes.visible, scenes.parts)
    order = EpochOrder(len(scenes), recipe.batch, recipe.seed)
    small = recipe.small_epochs, recipe.size * 5 // 8
    schedule = Schedule(recipe.rate, recipe.decay, recipe.seed, *small, recipe.attribute_weight, recipe.place_weight)
    task = BirdTask(net, schedule, steps=len(order) * recipe.epochs)
    clock, loop = _Clock(), Loop(recipe.epochs, recipe.batch, "bf16-mixed")
    run_loop(task, loop, batches(table, order), work=work, callbacks=[clock], bar=True)
    return clock
