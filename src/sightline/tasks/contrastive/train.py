"""An image encoder trained with InfoNCE on the aviary: two scenes of one species belong together, others apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch.utils.data import TensorDataset

from sightline.models.zoo.encoder import BirdEncoder, EncoderSpec, load_encoder, save_encoder
from sightline.reports.run_page import run_page
from sightline.tasks.contrastive.data import PairData, PairOrder, draw
from sightline.tasks.contrastive.metrics import Retrieval, retrieval
from sightline.tasks.contrastive.module import ContrastiveTask
from sightline.tasks.contrastive.recipe import ContrastiveRecipe
from sightline.tasks.contrastive.report import card, run_of
from sightline.training.experiment import Experiment
from sightline.training.loop import Feeds, Watch, batches, run_loop
from sightline.training.recipe import DeviceConfig
from sightline.training.reporter import Report, Reporter, Row


def train_contrastive(
    out: Path,
    recipe: ContrastiveRecipe = ContrastiveRecipe(),
    work: Path | None = None,
    *,
    reporter: Reporter = Reporter(),
) -> Retrieval | None:
    """Train the encoder and write its weights, card and run page.

    Args:
        out: the weights file; the card (`.md`) and the run page (`.html`) are written beside it.
        recipe: everything else.
        work: folder of scenes and checkpoints; None takes `out` with the ending `.work`. Running again with the same
            folder goes on after the last finished epoch.
        reporter: what is said meanwhile.

    Returns:
        Retrieval on held-out scenes, with the weights as written; None in a process that only helped.

    Raises:
        TrainingError: the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    return ContrastiveExperiment(recipe, out, work or out.with_suffix(".work"), reporter).run()


@dataclass
class ContrastiveExperiment(Experiment[ContrastiveRecipe, PairData, BirdEncoder, Retrieval]):
    """The training of the encoder."""

    beside = (".md", ".html")
    untrained: int = 0
    """Hits of the network with its weights as they were drawn: the control."""

    def data(self, report: Report) -> PairData:
        """Scenes."""
        return draw(self.recipe, self.work / "scenes", report)

    def network(self, data: PairData) -> BirdEncoder:
        """The network before it has learnt."""
        own = self.recipe.network
        net = BirdEncoder(EncoderSpec(own.widths, own.blocks, own.dimensions, self.recipe.data.size))
        self.untrained = retrieval(net.eval(), data.held_out).hits
        return net

    def fit(self, net: BirdEncoder, data: PairData, watch: Watch) -> None:
        """Train, or go on training."""
        train = data.train
        order = PairOrder(train.labels, self.machine.seed)
        module = ContrastiveTask(net, self.recipe, steps=len(order) * self.recipe.loop.epochs)
        feeds = Feeds(batches(TensorDataset(train.images, train.labels, train.parts), order))
        device = DeviceConfig(precision="bf16-mixed", device="cpu")
        run_loop(module, feeds, loop=self.recipe.loop, device=device, work=self.work, watch=watch)

    def save(self, net: BirdEncoder, data: PairData, path: Path) -> None:
        """The last epoch's weights."""
        save_encoder(net, path)

    def measure(self, path: Path, data: PairData, rows: list[Row]) -> Retrieval:
        """Retrieval on held-out scenes, beside that of the untrained network."""
        return replace(retrieval(load_encoder(path), data.held_out), untrained=self.untrained)

    def pages(self, outcome: Retrieval, data: PairData, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        command = self.reporter.command or "sightline train contrastive --out FILE"
        run = run_of(outcome, self.recipe, title=f"{self.out.stem}: bird encoder", epochs=len(rows), command=command)
        return {
            self.out.with_suffix(".md"): card(outcome, self.recipe, command),
            self.out.with_suffix(".html"): run_page(rows, run),
        }
