"""A captioner trained on captions with regions, or on generated scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline.common.files import digest, digest_of
from sightline.reports.run_page import run_page
from sightline.tasks.captioning.data.sources import CaptionFiles, read_data
from sightline.tasks.captioning.data.table import CaptionData, CaptionTable
from sightline.tasks.captioning.metrics.measures import CaptionMeasures, measure
from sightline.tasks.captioning.module import CaptionTask
from sightline.tasks.captioning.network.captioner import Captioner, load_captioner, save_captioner
from sightline.tasks.captioning.network.spec import CaptionerSpec, preset
from sightline.tasks.captioning.recipe import CaptionRecipe
from sightline.tasks.captioning.report import card, run_of
from sightline.training.experiment import Experiment
from sightline.training.loop import Feeds, Watch, batches, run_loop
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.sampling import EpochOrder


def train_captions(
    out: Path,
    recipe: CaptionRecipe = CaptionRecipe(),
    work: Path | None = None,
    *,
    files: CaptionFiles = CaptionFiles(),
    reporter: Reporter = Reporter(),
) -> CaptionMeasures | None:
    """Train a captioner and write its weights, card and run page.

    Args:
        out: the weights file; the card (`.md`) and the run page (`.html`) are written beside it.
        recipe: everything else.
        work: folder of checkpoints; None takes `out` with the ending `.work`. Running again with the same folder goes
            on after the last finished epoch.
        files: captions and regions; generated scenes where there are none.
        reporter: what is said meanwhile.

    Returns:
        Figures on held-out pictures, with the weights as written; None in a process that only helped.

    Raises:
        DataError, InputError: files break their layout, or do not go together.
        TrainingError: the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    return CaptionExperiment(recipe, out, work or out.with_suffix(".work"), reporter, files=files).run()


def spec_of(recipe: CaptionRecipe, words: tuple[str, ...], features: int, origin: str) -> CaptionerSpec:
    """How the network of a recipe is built."""
    own = recipe.network
    kind = replace(preset(own.preset), signed=own.signed)
    if own.normaliser != "preset":
        kind = replace(kind, normaliser=own.normaliser)  # type: ignore[arg-type]
    if own.geometry is not None:
        kind = replace(kind, geometry=own.geometry)
    return CaptionerSpec(
        words,
        features,
        own.width,
        own.heads,
        own.inner,
        own.layers,
        kind,
        own.absolute,
        own.longest,
        own.dropout,
        origin,
    )


@dataclass
class CaptionExperiment(Experiment[CaptionRecipe, CaptionData, Captioner, CaptionMeasures]):
    """The training of a captioner."""

    beside = (".md", ".html")
    files: CaptionFiles = CaptionFiles()

    def check(self) -> None:
        """See `Experiment.check`."""
        self.files.check()

    def data(self, report: Report) -> CaptionData:
        """Pictures with sentences and regions."""
        return read_data(self.files, self.recipe, report)

    def facts(self, data: CaptionData) -> Mapping[str, Any]:
        """See `Experiment.facts`."""
        captions = self.files.captions
        words = digest(" ".join(data.words).encode())
        return {
            "captions": None if captions is None else digest_of(captions),
            "pictures": len(data.train),
            "vocabulary": words,
            "regions": data.origin,
        }

    def network(self, data: CaptionData) -> Captioner:
        """The network before it has learnt."""
        return Captioner(spec_of(self.recipe, data.words, data.features, data.origin))

    def fit(self, net: Captioner, data: CaptionData, watch: Watch) -> None:
        """Train, or go on training."""
        own, loop = self.recipe.optim, self.recipe.loop
        order = EpochOrder(len(data.train), min(loop.batch_size, len(data.train)), self.machine.seed)
        module = CaptionTask(net, self.recipe, data.train, order.steps)
        feeds = Feeds(batches(CaptionTable(data.train, data.words, net.spec.longest), order))
        whole = replace(loop, epochs=loop.epochs + own.critical_epochs)
        run_loop(module, feeds, loop=whole, device=self.recipe.machine, work=self.work, watch=watch)

    def save(self, net: Captioner, data: CaptionData, path: Path) -> None:
        """The last epoch's weights."""
        save_captioner(net, path)

    def measure(self, path: Path, data: CaptionData, rows: list[Row]) -> CaptionMeasures:
        """Captions of held-out pictures, beside controls."""
        return measure(load_captioner(path), data.train, data.held_out, kinds=self.recipe.data.relations)

    def pages(self, outcome: CaptionMeasures, data: CaptionData, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        command = self.reporter.command or "sightline train captions --out FILE"
        run = run_of(outcome, self.recipe, title=f"{self.out.stem}: captioner", epochs=len(rows), command=command)
        return {
            self.out.with_suffix(".md"): card(outcome, self.recipe, data, command),
            self.out.with_suffix(".html"): run_page(rows, run),
        }
