"""A network of clicks from start to end: log, encoding, training, figures beside the simplest models, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from sightline.common.files import make_folder
from sightline.errors import TrainingError
from sightline.reports.run_page import run_page
from sightline.tasks.clicks.data.batches import Part
from sightline.tasks.clicks.data.cases import order_of
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.data.layouts import changed
from sightline.tasks.clicks.data.prepare import Dealing, Prepared, prepare
from sightline.tasks.clicks.data.rays import RayOrder, ray_batches
from sightline.tasks.clicks.data.schema import Schema
from sightline.tasks.clicks.data.sides import joined
from sightline.tasks.clicks.data.sniff import recognise, with_separators
from sightline.tasks.clicks.metrics.outcome import ClickFigures, tested
from sightline.tasks.clicks.metrics.policy import catalogue_of, own_value
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec, warn_if_frozen
from sightline.tasks.clicks.network.store import load_clicks, save_clicks
from sightline.tasks.clicks.recipe import ClickRecipe, DataConfig
from sightline.tasks.clicks.report import card, run_of
from sightline.tasks.clicks.train.control import logistic
from sightline.tasks.clicks.train.module import ClickTask
from sightline.tasks.clicks.world import ClickWorld
from sightline.training.callbacks import Keeper, Patience, kept_epoch
from sightline.training.experiment import Experiment
from sightline.training.loop import Feeds, Watch, batches, run_loop
from sightline.training.rays import ray_session
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.resume import checkpoint


def train_clicks(
    log: Path | None,
    out: Path,
    recipe: ClickRecipe = ClickRecipe(),
    work: Path | None = None,
    *,
    test: Path | None = None,
    reporter: Reporter = Reporter(),
) -> ClickFigures | None:
    """Train a network of clicks and write its weights, card and run page.

    Args:
        log: a file of impressions; None simulates one.
        out: the weights of the best epoch; card and page are written beside it.
        recipe: everything else.
        work: folder of the encoded log and checkpoints; None takes `out` with the ending `.work`. Running again with
            the same folder goes on after the last finished epoch.
        test: a file of its own for the test; None takes a share of the log.
        reporter: what is shown meanwhile.

    Returns:
        Figures on test rows; None in a process that only helped.

    Raises:
        DataError: the log cannot be read; the text names the line.
        TrainingError: the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    return ClickExperiment(recipe, out, work or out.with_suffix(".work"), reporter, log=log, test=test).run()


def schema_of(log: Path, own: DataConfig) -> Schema:
    """What the columns of a log are, found by reading it, with what the user says of them.

    Raises:
        DataError: it is not a log, or has no such column.
    """
    schema = changed(
        recognise(log),
        log,
        label=own.label,
        positive=own.positive,
        group=own.user,
        time=own.time,
        drop=own.drop,
        number=own.number,
        category=own.category,
        tokens=own.tokens,
        case=own.case,
        available=own.available,
    )
    return with_separators(schema, log)


@dataclass
class ClickExperiment(Experiment[ClickRecipe, Prepared, ClickNet, ClickFigures]):
    """The training of a network of clicks."""

    beside = (".md", ".html")
    log: Path | None = None
    test: Path | None = None
    warning: str = ""

    def check(self) -> None:
        """Read the first lines before anything else."""
        own = self.recipe.data
        if own.case and own.reader == "ray":
            raise TrainingError("--reader ray deals out rows, and --case needs whole choices; take --reader parquet")
        if self.log is not None:
            schema_of(self.log, own)

    def data(self, report: Report) -> Prepared:
        """The log as numbers."""
        own, folder = self.recipe.data, self.work / "log"
        log = self.log
        if log is None:
            log = self.work / "simulated.csv"
            if not log.is_file():
                make_folder(self.work)
                ClickWorld(self.machine.seed).write(log, own.rows, self.machine.seed)
        dealing = Dealing(
            split=own.split,
            validation=own.validation_share,
            test=0.0 if self.test else own.test_share,
            seed=self.machine.seed,
        )
        encoder = Encoder(schema_of(log, own), own.transform, own.hash_buckets)
        return prepare(log, encoder, dealing, folder, test=self.test, min_count=own.min_count, report=report)

    def facts(self, data: Prepared) -> Mapping[str, Any]:
        """The log and its encoding."""
        return {"log": data.fingerprint}

    def network(self, data: Prepared) -> ClickNet:
        """The network before it has learnt."""
        own = self.recipe.network
        net = ClickNet(
            ClickSpec(
                model=own.model,
                sizes=data.encoder.sizes,
                numbers=data.encoder.numbers,
                owners=data.encoder.owners,
                width=own.width,
                layers=own.layers,
                heads=own.heads,
                hidden=own.hidden,
                pooling=own.pooling,
                residual=own.residual,
                linear=own.linear,
                dropout=own.dropout,
                init=own.init,
            )
        )
        self.warning = warn_if_frozen(net)
        return net

    def monitor(self, data: Prepared) -> str:
        """What chooses the epoch: AUC does not exist where validation rows all have one label."""
        both = 0 < data.clicks["validation"] < data.rows["validation"] and not data.encoder.schema.case
        return self.recipe.loop.monitor if both else "loss"

    def fit(self, net: ClickNet, data: Prepared, watch: Watch) -> None:
        """Train, or go on training, and take the weights of the best epoch."""
        if self.recipe.network.model != "lr" and not rank_zero_only.rank:
            logistic(data, self.recipe, self.work)
        monitor, own = self.monitor(data), self.recipe.loop
        patience: list[Callback] = [Patience(monitor, own.patience)] if own.patience else []
        watch = replace(
            watch, callbacks=[*watch.callbacks, *patience, Keeper(self.work / "checkpoints", "best", monitor)]
        )
        train, looked_at = Part(data.path("train")), Part(data.path("validation"))
        module = ClickTask(net, self.recipe, outside=data.encoder.schema.outside)
        with self._reading(train) as learnt_from:
            feeds = Feeds(learnt_from, batches(looked_at, in_turn(looked_at)))
            run_loop(module, feeds, loop=own, device=self.recipe.machine, work=self.work, watch=watch)
        best = checkpoint(self.work, "best")
        content = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
        net.load_state_dict({name.removeprefix("net."): v for name, v in content.items() if name.startswith("net.")})

    @contextmanager
    def _reading(self, train: Part) -> Iterator[Any]:
        """Batches of training rows, by this process or by Ray Data."""
        batch, seed = self.recipe.loop.batch_size, self.machine.seed
        if self.recipe.data.reader == "parquet":
            yield batches(train, order_of(train, batch, seed))
            return
        with ray_session(1, "reading by Ray Data"):
            yield ray_batches(RayOrder(train, batch, seed))

    def save(self, net: ClickNet, data: Prepared, path: Path) -> None:
        """The best epoch's weights."""
        save_clicks(net, data.encoder, path)

    def measure(self, path: Path, data: Prepared, rows: list[Row]) -> ClickFigures:
        """Figures on test rows, beside the constant rate and logistic regression."""
        part, rate, items = Part(data.path("test")), data.rate("train"), items_of(data.encoder.schema)
        net = load_clicks(path)[0]
        outside = data.encoder.schema.outside
        figures = tested(net, part, rate, items, outside=outside)
        if items and (catalogue := catalogue_of(data.encoder, Part(data.path("train")))) is not None:
            figures = replace(figures, estimates=(*figures.estimates, *own_value(net, part, catalogue)))
        control = None
        if self.recipe.network.model != "lr":
            control = tested(logistic(data, self.recipe, self.work), part, rate, items, outside=outside)
        notes = (*figures.notes, *((self.warning,) if self.warning else ()), *data.encoder.schema.notes)
        if self.monitor(data) != self.recipe.loop.monitor:
            reason = "choices have no AUC" if data.encoder.schema.case else "all validation rows have the same label"
            notes = (*notes, f"{reason}: the log loss chose the epoch, not the AUC")
        best = kept_epoch(checkpoint(self.work, "best"))
        files = (self.out, self.out.with_suffix(".md"), self.out.with_suffix(".html"))
        return replace(figures, logistic=control, notes=notes, epochs=len(rows), best=best, files=files)

    def pages(self, outcome: ClickFigures, data: Prepared, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        command = self.reporter.command or "sightline train clicks"
        run = run_of(outcome, data, self.recipe, title=f"{self.out.stem}: clicks", command=command)
        return {
            self.out.with_suffix(".md"): card(outcome, data, self.recipe, command),
            self.out.with_suffix(".html"): run_page(rows, run),
        }


def in_turn(part: Part) -> list[tuple[tuple[int, ...], torch.Tensor]]:
    """The order of a part that is only looked at."""
    places: list[tuple[tuple[int, ...], torch.Tensor]] = []
    if part.case_starts() is not None:  # a case stays whole
        return [((group,), torch.arange(size)) for group, size in enumerate(part.sizes)]
    for group, size in enumerate(part.sizes):
        places += [((group,), positions) for positions in torch.split(torch.arange(size), 2**13)]
    return places


def items_of(schema: Schema) -> int:
    """Number of items that could have been shown, where a table of them is joined to a log with propensities."""
    if not schema.propensity:
        return 0
    return next((len(joined(Path(path), key, schema.layout).rows_of) for path, key in schema.sides), 0)
