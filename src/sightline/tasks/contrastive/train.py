"""An image encoder trained with InfoNCE on the aviary: two scenes of one species belong together, others apart.

Resumable (scenes and checkpoints are kept in a work folder), seeded; the weights are written last.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional as fn
from torch.utils.data import Sampler, TensorDataset

from sightline.common.files import check_place, write_text
from sightline.common.statistics.intervals import wilson
from sightline.models.zoo.encoder import BirdEncoder, EncoderSpec, load_encoder, save_encoder
from sightline.training.augmentation import augmented
from sightline.training.loop import Loop, batches, run_loop
from sightline.training.recipe import lasting
from sightline.training.resume import claim_folder
from sightline.worlds.aviary.config import Knobs
from sightline.worlds.aviary.dataset import HELD_OUT, Scenes, rendered
from sightline.worlds.aviary.world import World

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContrastiveRecipe:
    """How the encoder is trained.

    Args:
        scenes: number of training scenes of the default world.
        held_out: number of scenes that retrieval is measured on: half of them ask, half are the gallery.
        epochs: passes over the training scenes.
        temperature: T of the loss.
        rate: highest learning rate.
        decay: weight decay.
        seed: of the world, of the weights and of the order of pairs.
        spec: the encoder.
        workers: processes that draw scenes.
        threads: of torch.
    """

    scenes: int = 2_000
    held_out: int = 600
    epochs: int = 40
    temperature: float = 0.1
    rate: float = 3e-3
    decay: float = 0.03
    seed: int = 0
    spec: EncoderSpec = field(default_factory=EncoderSpec)
    workers: int = 2
    threads: int = 1

    def toy(self) -> ContrastiveRecipe:
        """A size that finishes in seconds and proves only that the road is open."""
        spec = replace(self.spec, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), dimensions=8, size=32)
        return replace(self, scenes=80, held_out=80, epochs=1, workers=1, spec=spec)


@dataclass(frozen=True)
class Retrieval:
    """How often the nearest picture of a gallery is of the same species.

    Args:
        hits: queries whose nearest neighbour by cosine is of their species.
        queries: number of queries.
        gallery: pictures they are sought in.
        chance: the share that picking at random would hit.
        untrained: hits of the same network with its weights as they were drawn.
    """

    hits: int
    queries: int
    gallery: int
    chance: float
    untrained: int

    @property
    def accuracy(self) -> float:
        """Accuracy@1."""
        return self.hits / self.queries

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, for this gallery."""
        return wilson(self.hits, self.queries)


def train_contrastive(
    out: Path, *, recipe: ContrastiveRecipe = ContrastiveRecipe(), work: Path | None = None
) -> Retrieval:
    """Train the encoder and write its weights and card.

    Args:
        out: the weights file; the card is written beside it with the ending `.md`.
        recipe: sizes and rates.
        work: folder of scenes and checkpoints; None takes `out` with the ending `.work`. Running again with the same
            folder goes on after the last finished epoch.

    Returns:
        Retrieval on held-out scenes, with the weights as written.

    Raises:
        TrainingError: the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    work = work or out.with_suffix(".work")
    check_place(out)
    claim_folder(work, lasting(recipe))
    torch.set_num_threads(recipe.threads)
    lightning.seed_everything(recipe.seed, verbose=False)
    train, held_out = _draw(World(Knobs(seed=recipe.seed)), recipe, work / "scenes")
    net = BirdEncoder(recipe.spec)
    before = retrieval(net.eval(), held_out)
    _fit(net, train, recipe, work)
    half = out.with_suffix(".tmp")
    save_encoder(net, half)
    found = replace(retrieval(load_encoder(half), held_out), untrained=before.hits)
    write_text(out.with_suffix(".md"), _card(found, recipe))
    half.replace(out)
    return found


def info_nce(embeddings: Float[Tensor, "n d"], temperature: float) -> Float[Tensor, ""]:
    """Mean of `-log( exp(cos(e_i, e_p)/T) / sum_{j != i} exp(cos(e_i, e_j)/T) )` where rows 2i and 2i + 1 are a pair.

    [oord2018cpc; chen2020simclr]

    Example:
        >>> float(info_nce(torch.eye(2).repeat_interleave(2, 0), 0.1)) < 0.001
        True
    """
    directions = fn.normalize(embeddings, dim=1)
    logits = (directions @ directions.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(logits), device=logits.device) ^ 1
    return fn.cross_entropy(logits, partner)


class PairOrder(Sampler[list[int]]):
    """Batches of two scenes of each species, side by side, in an order that depends on seed and epoch only."""

    def __init__(self, labels: Int[Tensor, " b"], seed: int) -> None:
        self.members = [(labels == kind).nonzero()[:, 0] for kind in sorted(set(labels.tolist()))]
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch."""
        return min(len(own) for own in self.members) // 2

    def __iter__(self) -> Iterator[list[int]]:
        """Positions, batch by batch."""
        order = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        shuffled = [own[torch.randperm(len(own), generator=order)] for own in self.members]
        for step in range(len(self)):
            yield torch.cat([own[2 * step : 2 * step + 2] for own in shuffled]).tolist()


class ContrastiveTask(lightning.LightningModule):  # type: ignore[misc]
    """InfoNCE over a batch of pairs; AdamW on one cosine cycle.

    Args:
        net: the encoder.
        recipe: rates and temperature.
        steps: steps of all epochs together.
    """

    def __init__(self, net: BirdEncoder, recipe: ContrastiveRecipe, steps: int) -> None:
        super().__init__()
        self.net, self.recipe, self.steps = net, recipe, steps
        self.register_buffer("mean", torch.tensor(net.spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(net.spec.std).view(1, 3, 1, 1), persistent=False)

    def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Loss of one batch of pairs."""
        generator = torch.Generator().manual_seed((self.recipe.seed * 1009 + self.current_epoch) * 100_003 + index)
        images, _, parts = batch
        x, _ = augmented(images, parts, self.get_buffer("mean"), self.get_buffer("std"), generator)
        embeddings = self.net(x.contiguous(memory_format=torch.channels_last))
        loss = info_nce(embeddings.float(), self.recipe.temperature)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.recipe.rate, weight_decay=self.recipe.decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self.recipe.rate, total_steps=self.steps, pct_start=0.15
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@torch.inference_mode()
def retrieval(net: BirdEncoder, scenes: Scenes) -> Retrieval:
    """Accuracy@1 of the first half of the scenes, sought in the second half by cosine."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (net.spec.mean, net.spec.std))
    parts = torch.split(scenes.images, 100)
    directions = fn.normalize(torch.cat([net((part.float() / 255 - mean) / std) for part in parts]), dim=1)
    count = len(scenes) // 2
    found = scenes.labels[count:][(directions[:count] @ directions[count:].T).argmax(1)]
    asked, there = scenes.labels[:count], scenes.labels[count:]
    chance = float((asked[:, None] == there).float().mean())
    return Retrieval(int((found == asked).sum()), count, len(there), chance, 0)


def _draw(world: World, recipe: ContrastiveRecipe, folder: Path) -> tuple[Scenes, Scenes]:
    """Training and held-out scenes, behind one bar."""
    with Progress(transient=True) as bar:
        task = bar.add_task("drawing scenes", total=recipe.scenes + recipe.held_out)

        def part(first: int, count: int) -> Scenes:
            return rendered(
                world,
                first,
                count,
                size=recipe.spec.size,
                folder=folder,
                workers=recipe.workers,
                report=lambda done: bar.update(task, advance=done),
            )

        return part(0, recipe.scenes), part(HELD_OUT, recipe.held_out)


def _fit(net: BirdEncoder, scenes: Scenes, recipe: ContrastiveRecipe, work: Path) -> None:
    """Train, or go on training."""
    table, order = TensorDataset(scenes.images, scenes.labels, scenes.parts), PairOrder(scenes.labels, recipe.seed)
    task = ContrastiveTask(net, recipe, steps=len(order) * recipe.epochs)
    loop = Loop(recipe.epochs, 2 * len(order.members), "bf16-mixed", accelerator="cpu")
    run_loop(task, loop, batches(table, order), work=work, bar=True)


def _card(found: Retrieval, recipe: ContrastiveRecipe) -> str:
    """What a user of the weights should know."""
    low, high = found.interval
    return f"""# Bird encoder

Embeds pictures of Sightline's generated bird world so that two scenes of one species lie together. It knows nothing
of real birds. This page was written by the command that trained it.

| | |
|---|---|
| accuracy@1 of retrieval by cosine | {found.accuracy:.4f} ({low:.4f} to {high:.4f}, 95 %) |
| chance | {found.chance:.4f} |
| the same network untrained | {found.untrained / found.queries:.4f} |
| held-out | {found.queries} queries, {found.gallery} pictures in the gallery |
| training | {recipe.scenes} scenes, {recipe.epochs} epochs, seed {recipe.seed} |
| loss | InfoNCE, T = {recipe.temperature} |
| encoder | {recipe.spec.dimensions} numbers, widths {recipe.spec.widths}, input {recipe.spec.size} px |
| command | `sightline train contrastive --out FILE` |
"""
