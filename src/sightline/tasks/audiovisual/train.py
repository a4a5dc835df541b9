"""A network of events from start to end: draw scenes, train, measure, write weights, card and run page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import TensorDataset

from sightline.reports.run_page import run_page
from sightline.tasks.audiovisual.data.drawn import EventData, draw
from sightline.tasks.audiovisual.metrics.measure import Judged, measure
from sightline.tasks.audiovisual.module import EventTask
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import load_net, network_of, save_net
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.tasks.audiovisual.report.card import card, run_of
from sightline.tasks.audiovisual.stand_ins import learn_stand_ins
from sightline.tasks.audiovisual.world import CLASSES
from sightline.training.experiment import Experiment
from sightline.training.loop import Feeds, Watch, batches, in_turn, run_loop
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.sampling import EpochOrder


def train_events(
    out: Path,
    recipe: EventRecipe = EventRecipe(),
    work: Path | None = None,
    *,
    reporter: Reporter = Reporter(),
) -> Judged | None:
    """Train a network of events and write its weights, card and run page.

    Args:
        out: the weights file; the card (`.md`) and the run page (`.html`) are written beside it.
        recipe: everything else.
        work: folder of checkpoints; None takes `out` with the ending `.work`. Running again with the same folder goes
            on after the last finished epoch.
        reporter: what is said meanwhile.

    Returns:
        Figures on held-out scenes, with the weights as written; None in a process that only helped.

    Raises:
        TrainingError: the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    return EventExperiment(recipe, out, work or out.with_suffix(".work"), reporter).run()


@dataclass
class EventExperiment(Experiment[EventRecipe, EventData, EventNet, Judged]):
    """The training of a network of events."""

    beside = (".md", ".html")

    def data(self, report: Report) -> EventData:
        """Drawn scenes."""
        return draw(self.recipe, report)

    def network(self, data: EventData) -> EventNet:
        """The network before it has learned."""
        own = self.recipe.network
        spec = EventSpec(
            CLASSES,
            own.form,
            own.queries,
            own.field,
            own.width,
            reach=own.reach,
            size=self.recipe.data.side,
            mixing=own.mixing,
            patch=own.patch,
        )
        return network_of(spec)

    def fit(self, net: EventNet, data: EventData, watch: Watch) -> None:
        """Train, or go on training."""
        train, held = data.train, data.held_out
        order = EpochOrder(len(train), self.recipe.loop.batch_size, self.machine.seed)
        module = EventTask(net, self.recipe, steps=order.steps * self.recipe.loop.epochs)
        whole = TensorDataset(train.frames, train.spectra, train.labels)
        feeds = Feeds(
            batches(whole, order),
            batches(TensorDataset(held.frames, held.spectra, held.labels), in_turn(len(held))),
        )
        run_loop(module, feeds, loop=self.recipe.loop, device=self.recipe.machine, work=self.work, watch=watch)
        learn_stand_ins(module, whole, steps=self.recipe.loss.missing_steps, seed=self.machine.seed)

    def save(self, net: EventNet, data: EventData, path: Path) -> None:
        """The last epoch's weights."""
        save_net(net, path)

    def measure(self, path: Path, data: EventData, rows: list[Row]) -> Judged:
        """Figures on held-out scenes."""
        return measure(load_net(path), data.held_out)

    def pages(self, outcome: Judged, data: EventData, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        command = self.reporter.command or "sightline train events --out FILE"
        run = run_of(
            outcome, self.recipe, title=f"{self.out.stem}: network of events", epochs=len(rows), command=command
        )
        return {
            self.out.with_suffix(".md"): card(outcome, self.recipe, command),
            self.out.with_suffix(".html"): run_page(rows, run),
        }
