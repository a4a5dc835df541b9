"""The recipe of the bundled model: draw scenes, train, measure on held-out scenes, write weights and card.

Resumable (scenes and checkpoints are kept in a work folder), seeded; the weights are written last.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from rich.progress import Progress
from safetensors.torch import save
from torch.utils.data import DataLoader, Sampler, TensorDataset

from sightline.backbones.birdnet import BirdNet, BirdNetSpec, load_birdnet
from sightline.data.aviary.knobs import Knobs
from sightline.data.aviary.world import World
from sightline.training.bird_card import card
from sightline.training.bird_measures import Measures, Times, measure
from sightline.training.bird_scenes import HELD_OUT, Scenes, joined, rendered, unlabelled
from sightline.training.bird_task import BirdTask, Schedule

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
    """
    work = work or out.with_suffix(".work")
    torch.set_num_threads(recipe.threads)
    lightning.seed_everything(recipe.seed, verbose=False)
    world = World(Knobs(seed=recipe.seed))
    begun = time.perf_counter()
    train, *held_out = _draw_all(world, recipe, work / "scenes")
    drawn = time.perf_counter()
    spec = BirdNetSpec(world.labels, world.attributes, recipe.widths, recipe.blocks, recipe.reading, recipe.size)
    net, clock = _fit(BirdNet(spec), train, recipe, work)
    half = out.with_suffix(".tmp")
    save_weights(net, half)
    measures = measure(load_birdnet(half), world, *held_out)
    seconds = Times(drawn - begun, train.cpu + sum(part.cpu for part in held_out), clock.seconds, clock.cpu)
    measures = replace(measures, times=seconds)
    _write(out.with_suffix(".md"), card(measures, recipe, spec, half.stat().st_size))
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


class EpochOrder(Sampler[list[int]]):
    """Whole batches in an order that depends on seed and epoch only; what fills no batch waits."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed, self.epoch = count, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.count // self.batch

    def __iter__(self) -> Iterator[list[int]]:
        """Positions, batch by batch."""
        order = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        shuffled = torch.randperm(self.count, generator=order)
        yield from (part.tolist() for part in torch.split(shuffled, self.batch)[: len(self)])


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


def _fit(net: BirdNet, scenes: Scenes, recipe: Recipe, work: Path) -> tuple[BirdNet, _Clock]:
    """Train, or go on training; returns the net and the time that all epochs took."""
    data = TensorDataset(scenes.images, scenes.labels, scenes.values, scenes.visible, scenes.parts)
    loader = DataLoader(data, batch_size=None, sampler=EpochOrder(len(scenes), recipe.batch, recipe.seed))
    net = net.to(memory_format=torch.channels_last)
    small = recipe.small_epochs, recipe.size * 5 // 8
    schedule = Schedule(recipe.rate, recipe.decay, recipe.seed, *small, recipe.attribute_weight, recipe.place_weight)
    task = BirdTask(net, schedule, steps=len(loader) * recipe.epochs)
    clock = _Clock()
    keep = ModelCheckpoint(
        work / "checkpoints", "last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    trainer = lightning.Trainer(
        max_epochs=recipe.epochs,
        precision="bf16-mixed",
        logger=False,
        callbacks=[clock, keep, RichProgressBar()],
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    last = work / "checkpoints" / "last.ckpt"
    trainer.fit(task, loader, ckpt_path=last if last.exists() else None, weights_only=True)
    return net.float().eval().cpu(), clock


def _write(path: Path, text: str) -> None:
    """Write a text under another name, then rename."""
    half = path.with_name(f"{path.name}.tmp")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
