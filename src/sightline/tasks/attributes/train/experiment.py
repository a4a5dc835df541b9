"""The recipe of an attribute network from start to end: data, training, knowledge, figures, files.

Resumable: pictures and checkpoints stay in a work folder. Weights, card and page are written when all is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from sightline.common.settings import flat
from sightline.models.zoo.catalog import find_model
from sightline.reports.run_page import Run, run_page
from sightline.tasks.attributes.data.pictures import Pictures, gather
from sightline.tasks.attributes.metrics.evaluate import TestReport, judge
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec, attribute_net
from sightline.tasks.attributes.network.store import load_attribute_net, save_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.report import (
    SECTION_WORDS,
    card,
    facts,
    headline,
    tables,
    verdict,
    within,
)
from sightline.tasks.attributes.train.calibrate import fit_calibration, fit_skill
from sightline.tasks.attributes.train.fit import fit, restored
from sightline.tasks.attributes.train.resume import facts_of
from sightline.training.callbacks import MONITORS, Keeper, Patience
from sightline.training.experiment import Experiment
from sightline.training.loop import Watch
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.resume import checkpoint


@dataclass(frozen=True)
class Trained:
    """What a training left behind.

    Args:
        judged: figures of the best epoch's weights.
        epochs: how many were trained.
        best: number of the epoch that was kept, from 1.
        files: best weights, last weights, card, page.
        judged_on: which pictures the figures are of.
        notes: what was noticed in the data.
    """

    judged: TestReport
    epochs: int
    best: int
    files: tuple[Path, ...]
    judged_on: str
    notes: tuple[str, ...]


def train_eat(
    data: Path | None,
    out: Path,
    recipe: EatRecipe = EatRecipe(),
    work: Path | None = None,
    *,
    reporter: Reporter = Reporter(),
) -> Trained | None:
    """Train an attribute network and write its weights, card and page.

    Args:
        data: a folder that `read_attributes` reads; None draws scenes of the aviary.
        out: the weights of the best epoch; those of the last, the card and the page are written beside it.
        recipe: everything else.
        work: folder of pictures, checkpoints and logs; None takes `out` with the ending `.work`. Running again with
            the same folder goes on after the last finished epoch and ends as if nothing had happened.
        reporter: what is said meanwhile.

    Returns:
        What was measured; None in a process that only helped to train.

    Raises:
        DataError: the data cannot be learnt from.
        InputError: a picture cannot be read.
        ModelError: there is no such backbone, or its features cannot be as fine as asked.
        TrainingError: the recipe makes no sense, the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    return EatExperiment(recipe, out, work or out.with_suffix(".work"), reporter, source=data).run()


@dataclass
class EatExperiment(Experiment[EatRecipe, Pictures, AttributeNet, Trained]):
    """The training of an attribute network."""

    beside = (".md", ".html", ".last.safetensors")
    source: Path | None = None
    written: AttributeNet | None = None

    def check(self) -> None:
        """Refuse a backbone that there is not."""
        find_model(self.recipe.network.backbone)

    def data(self, report: Report) -> Pictures:
        """Pictures to learn from, to choose by, and to judge."""
        return gather(self.source, self.recipe, self.work, report)

    def facts(self, data: Pictures) -> dict[str, Any]:
        """Classes, attributes and pictures."""
        return facts_of(data)

    def network(self, data: Pictures) -> AttributeNet:
        """The network before it has learnt."""
        own = self.recipe.network
        words: Any = {"join": own.join, "pool": own.pool}
        spec = AttributeSpec(
            backbone=own.backbone,
            classes=data.classes,
            vocabulary=data.vocabulary,
            stride=own.stride,
            reading=own.attribute_stride,
            width=own.attribute_width,
            size=own.size,
            model_args=own.model_args,
            seed=self.machine.seed,
            **words,
        )
        return attribute_net(spec, self._weights(data))

    def callbacks(self) -> list[Callback]:
        """What keeps the best epoch, and stops where none is better for long."""
        own = self.recipe.loop
        patience = [Patience(own.monitor, own.patience)] if own.patience else []
        return [*patience, Keeper(self.work / "checkpoints", "best", own.monitor)]

    def loggers(self) -> Any:
        """CSV always; TensorBoard where it is installed."""
        board = [TensorBoardLogger(self.work, name="board")] if find_spec("tensorboard") else []
        return [CSVLogger(self.work, name="log"), *board]

    def fit(self, net: AttributeNet, data: Pictures, watch: Watch) -> None:
        """Train, or go on training; a backbone that has learnt already learns more slowly."""
        factor = self.recipe.optim.trunk_lr_factor
        if factor is None:
            factor = 1.0 if self._weights(data) == "random" else 0.1
        recipe = self.recipe.but(trunk_lr_factor=factor)
        fit(net, data.train, recipe, validation=data.validation, work=self.work, watch=watch)

    def save(self, net: AttributeNet, data: Pictures, path: Path) -> None:
        """The weights of the last epoch beside those of the best one, which are kept."""
        for name, place in (("last", self.files[1]), ("best", path)):
            own = restored(net, checkpoint(self.work, name))
            balance = self.recipe.loss.balance
            own.calibration = fit_calibration(own, data.train, data.validation, balance=balance)
            own.skill = fit_skill(own, data.validation)
            save_attribute_net(own, place)

    def measure(self, path: Path, data: Pictures, rows: list[Row]) -> Trained:
        """Figures of the best epoch's weights, as they were written."""
        self.written = load_attribute_net(path)
        name, mode = MONITORS[self.recipe.loop.monitor]
        values = [row[name] if mode == "max" else -row[name] for row in rows]
        best = values.index(max(values)) + 1  # the first of the best, as the checkpoint has it
        judged = judge(self.written, data.judging)
        return Trained(judged, len(rows), best, self.files, data.judged_on, data.notes)

    def pages(self, outcome: Trained, data: Pictures, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        net, recipe, judged = cast(AttributeNet, self.written), self.recipe, outcome.judged
        epochs = f"{len(rows)} epochs; epoch {outcome.best} kept, by validation {recipe.loop.monitor}"
        about = facts(net, judged, data, recipe, epochs)
        command = self.reporter.command or "sightline train eat"
        run = Run(
            title=f"{self.out.stem}: {recipe.network.backbone} with attributes",
            verdict=verdict(judged),
            headline=headline(judged),
            facts={**about, "within classes": within(judged).partition(": ")[2]},
            recipe={name: str(value) for name, value in flat(recipe).items()},
            notes=data.notes,
            best=outcome.best,
            tables=tables(judged),
            words=SECTION_WORDS,
            command=command,
        )
        return {self.files[2]: card(net, judged, data, about, command), self.files[3]: run_page(rows, run)}

    @property
    def files(self) -> tuple[Path, ...]:
        """Best weights, last weights, card, page."""
        return (self.out, *(self.out.with_suffix(end) for end in (".last.safetensors", ".md", ".html")))

    def _weights(self, data: Pictures) -> str | None:
        """What `load_model` is to fill the backbone with; None asks for the published weights."""
        own = self.recipe.network.weights
        return None if own == "published" else own or ("random" if data.drawn else None)
