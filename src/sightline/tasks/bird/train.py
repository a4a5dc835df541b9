"""The bundled model from start to end: draw scenes, train, measure on held-out scenes, write weights and card."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback

from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec, load_birdnet, save_birdnet
from sightline.reports.run_page import run_page
from sightline.tasks.bird.data import BirdData, draw
from sightline.tasks.bird.metrics import Measures, Times, measure
from sightline.tasks.bird.module import BirdTask
from sightline.tasks.bird.recipe import BirdRecipe
from sightline.tasks.bird.report import card, run_of
from sightline.training.experiment import Experiment
from sightline.training.loop import Feeds, Watch, batches, run_loop
from sightline.training.recipe import DeviceConfig
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.sampling import EpochOrder

log = logging.getLogger(__name__)


def train_birdnet(
    out: Path,
    recipe: BirdRecipe = BirdRecipe(),
    work: Path | None = None,
    *,
    reporter: Reporter = Reporter(),
) -> Measures | None:
    """Train the bundled model and write its weights, card and run page.

    Args:
        out: the weights file; the card (`.md`) and the run page (`.html`) are written beside it.
        recipe: everything else.
        work: folder of scenes and checkpoints; None takes `out` with the ending `.work`. Running again with
            the same folder goes on after the last finished epoch.
        reporter: what is said meanwhile.

    Returns:
        What was measured on the held-out scenes, with the weights as written; None in a process that only helped.

    Raises:
        TrainingError: the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    return BirdExperiment(recipe, out, work or out.with_suffix(".work"), reporter).run()


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


@dataclass
class BirdExperiment(Experiment[BirdRecipe, BirdData, BirdNet, Measures]):
    """The training of the bundled model."""

    beside = (".md", ".html")
    clock: _Clock = field(default_factory=_Clock)

    def data(self, report: Report) -> BirdData:
        """Scenes."""
        return draw(self.recipe, self.work / "scenes", report)

    def network(self, data: BirdData) -> BirdNet:
        """The network before it has learnt."""
        own, world = self.recipe.network, data.world
        size = self.recipe.data.size
        return BirdNet(BirdNetSpec(world.labels, world.attributes, own.widths, own.blocks, own.attribute_width, size))

    def callbacks(self) -> list[Callback]:
        """What takes the time."""
        return [self.clock]

    def fit(self, net: BirdNet, data: BirdData, watch: Watch) -> None:
        """Train, or go on training."""
        order = EpochOrder(len(data.train), self.recipe.loop.batch_size, self.machine.seed)
        module = BirdTask(net, self.recipe, steps=len(order) * self.recipe.loop.epochs)
        device = DeviceConfig(precision="bf16-mixed")
        feeds = Feeds(batches(data.table(), order))
        run_loop(module, feeds, loop=self.recipe.loop, device=device, work=self.work, watch=watch)

    def save(self, net: BirdNet, data: BirdData, path: Path) -> None:
        """The last epoch's weights."""
        save_birdnet(net, path)

    def measure(self, path: Path, data: BirdData, rows: list[Row]) -> Measures:
        """Figures on the held-out scenes."""
        measures = measure(load_birdnet(path), data.world, data.held_out, data.held_out_random)
        times = Times(data.seconds, data.cpu, self.clock.seconds, self.clock.cpu)
        return replace(measures, times=times, size_bytes=path.stat().st_size)

    def pages(self, outcome: Measures, data: BirdData, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        command = self.reporter.command or "sightline train birdnet --out FILE"
        run = run_of(outcome, self.recipe, title=f"{self.out.stem}: birdnet", epochs=len(rows), command=command)
        return {
            self.out.with_suffix(".md"): card(outcome, self.recipe, data.world, command),
            self.out.with_suffix(".html"): run_page(rows, run),
        }
