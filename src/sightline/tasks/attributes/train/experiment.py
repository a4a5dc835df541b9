"""The recipe of an attribute network from start to end: data, training, knowledge, figures, files.

Resumable: pictures and checkpoints stay in a work folder. Weights, card and page are written when all is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, cast

from jaxtyping import Float
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor

from sightline.common.settings import option_texts
from sightline.errors import TrainingError
from sightline.models.huggingface import is_folder
from sightline.models.load import load_model
from sightline.models.own_code import is_own_code
from sightline.models.trunk import TooCoarseError, pixels_per_cell
from sightline.models.zoo.catalog import find_model
from sightline.models.zoo.packaged import PACKAGED
from sightline.reports.run_page import Run, run_page
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.data.kept_reading import KeptReading
from sightline.tasks.attributes.data.pictures import Pictures, gather
from sightline.tasks.attributes.data.read import has_labels
from sightline.tasks.attributes.metrics.evaluate import TestReport, judge
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec, attribute_net
from sightline.tasks.attributes.network.skill import Answers, implied_by, measure_skill
from sightline.tasks.attributes.network.store import load_attribute_net, save_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe, NetworkConfig
from sightline.tasks.attributes.report import (
    SECTION_WORDS,
    card,
    facts,
    headline,
    tables,
    verdict,
    within,
)
from sightline.tasks.attributes.train.anatomy import anatomy_of, probe_features, with_class
from sightline.tasks.attributes.train.calibrate import answers_of, fit_calibration, prototypes_in
from sightline.tasks.attributes.train.crossfit import (
    LeftOut,
    all_features,
    class_control,
    folds_of,
    out_of_fold,
    unseen,
)
from sightline.tasks.attributes.train.fit import fit, kept_features, restored
from sightline.tasks.attributes.train.resume import facts_of
from sightline.tasks.attributes.train.start import Taught, attribute_probe, start_attribute_head, start_class_head
from sightline.training.callbacks import Keeper, Patience, kept_epoch
from sightline.training.experiment import Experiment
from sightline.training.labels.scores import MultiLabelled
from sightline.training.loop import Watch
from sightline.training.norms import remark
from sightline.training.probe import Features, LinearHead, some
from sightline.training.recipe import OperatingConfig
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.resume import checkpoint
from sightline.training.standing import Control

BOTTLENECK = "the decision sees attributes only (--join bottleneck), the linear probe all features: try --join fusion"


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
        control: the linear probe on the same pictures.
        labels: figures of the labels, where a picture may have several; None where it has one class.
    """

    judged: TestReport
    epochs: int
    best: int
    files: tuple[Path, ...]
    judged_on: str
    notes: tuple[str, ...]
    control: Control = Control()
    labels: MultiLabelled | None = None


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
    several = data is not None and has_labels(data, recipe.data.labels)
    if several:
        from sightline.tasks.attributes.train.labels import LabelEatExperiment as Kind
        from sightline.tasks.attributes.train.labels import for_labels

        recipe = for_labels(recipe)
    elif recipe.operating != OperatingConfig() or recipe.data.labels:
        raise TrainingError(
            "--label-columns, --sensitivity and --specificity are for pictures with several labels: a CSV table with "
            "a column labels, or COCO's annotations; this data gives each picture one class"
        )
    settled = recipe.settled(drawn=is_drawn(data), size=own_size(recipe, data))
    experiment = Kind if several else EatExperiment
    return experiment(settled, out, work or out.with_suffix(".work"), reporter, source=data).run()


def own_size(recipe: EatRecipe, data: Path | None) -> int | None:
    """Side of the pictures that given weights have learnt from; None for random ones, or where one is asked for."""
    own = recipe.network
    if own.size is not None or own.backbone == "birdnet" or not recipe.given(drawn=is_drawn(data)):
        return None
    return load_model(own.backbone, weights="random", model_args=own.model_args).preprocess.size[0]


def is_drawn(data: Path | None) -> bool:
    """Whether pictures are drawn rather than photographed: scenes of the aviary, in memory or in a folder."""
    return data is None or (data / "world.json").is_file()


@dataclass
class EatExperiment(Experiment[EatRecipe, Pictures, AttributeNet, Trained]):
    """The training of an attribute network."""

    beside = (".md", ".html", ".last.safetensors")
    kind: ClassVar[type[AttributeNet]] = AttributeNet
    source: Path | None = None
    written: AttributeNet | None = None
    remarks: tuple[str, ...] = ()
    taught: Examples | None = None
    crossed: Float[Tensor, "n k"] | None = None
    """Attribute logits of training pictures by heads that have not seen them; None where heads learn."""

    def check(self) -> None:
        """Refuse a backbone that there is not."""
        name = self.recipe.network.backbone
        if name not in PACKAGED and not is_own_code(name) and not is_folder(name):
            find_model(name)

    def data(self, report: Report) -> Pictures:
        """Pictures to learn from, to choose by, and to judge."""
        return gather(self.source, self.recipe, self.work, report)

    def facts(self, data: Pictures) -> dict[str, Any]:
        """Classes, attributes and pictures."""
        held = {"attribute heads": "held"} if self.recipe.holds_attributes(len(data.train), data.independent) else {}
        return {**facts_of(data), **held}

    def network(self, data: Pictures) -> AttributeNet:
        """The network before it has learnt."""
        own = self.recipe.network
        words: Any = {"join": own.join, "pool": own.pool, "ordinal": own.ordinal}
        spec = AttributeSpec(
            backbone=own.backbone,
            classes=data.classes,
            vocabulary=data.vocabulary,
            stride=own.stride,
            reading=own.attribute_stride,
            width=own.attribute_width,
            size=own.side,
            model_args=own.model_args,
            seed=self.machine.seed,
            **words,
        )
        try:
            net, note = attribute_net(spec, self._weights(data), self.kind), ""
        except TooCoarseError:
            if own.stride != NetworkConfig().stride:
                raise
            net = attribute_net(replace(spec, stride=0), self._weights(data), self.kind)
            cell = pixels_per_cell(net.trunk, (own.side, own.side))
            note = f"maps have {cell:g} pixels per cell: {own.backbone} has no features for --stride {own.stride}"
        net.kept_reading = KeptReading.of(self.recipe, data.digests)
        norms = remark(net, self.recipe.tuning.norms, given=net.taught, new=anatomy_of(net).new)
        self.remarks = tuple(text for text in (norms, note, *net.assumed) if text)
        return net

    def callbacks(self) -> list[Callback]:
        """What keeps the best epoch, and stops where none is better for long."""
        own = self.recipe.loop
        patience = [Patience(own.monitor, own.patience)] if own.patience else []
        start = self.starts_from_probe  # a head that knows nothing yet need not be looked at
        return [*patience, Keeper(self.work / "checkpoints", "best", own.monitor, start=start)]

    def loggers(self) -> Any:
        """CSV always; TensorBoard where it is installed."""
        board = [TensorBoardLogger(self.work, name="board")] if find_spec("tensorboard") else []
        return [CSVLogger(self.work, name="log"), *board]

    def fit(self, net: AttributeNet, data: Pictures, watch: Watch) -> None:
        """Train, or go on training."""
        fit(net, data.train, self.recipe, **self.fed(net, data, watch))

    def fed(self, net: AttributeNet, data: Pictures, watch: Watch) -> dict[str, Any]:
        """What `fit` is given; the attribute head is solved and kept where the recipe holds it."""
        if self.recipe.holds_attributes(len(data.train), data.independent):
            features = all_features(self.known(net, data.train, "train"))
            taught = Taught(data.train.targets, data.train.weights, data.vocabulary)
            head, strength = attribute_probe(features, taught)
            head.fill(net.attribute_head.what)
            net.attribute_head.requires_grad_(False)
            self.crossed = out_of_fold(features, taught, strength, folds_of(len(features), data.families))
        return {"validation": data.validation, "work": self.work, "watch": watch, "crossed": self.crossed}

    def features(self, net: AttributeNet, data: Pictures) -> Features | None:
        """What the trunk makes of pictures before it learns."""
        if not self.recipe.tuning.probe:
            return None
        self.taught = data.train
        return probe_features(net, self.known(net, data.train, "train"), data.judging)

    def known(self, net: AttributeNet, examples: Examples, name: str) -> Examples:
        """Pictures with their features, where the trunk does not learn and heads need the same ones later.

        Args:
            net: the network.
            examples: pictures of one part.
            name: the part.
        """
        if not self.recipe.tuning.frozen:
            return examples
        return replace(examples, features=kept_features(net, examples, self.recipe, self.work / "features" / name))

    @property
    def starts_from_probe(self) -> bool:
        """Whether the class head starts from the linear probe."""
        return self.recipe.tuning.head_start == "probe"

    def start_head(self, net: AttributeNet, head: LinearHead, features: Features) -> bool:
        """Let the class head start from the linear probe, and the attribute head from one of its own."""
        if not start_class_head(net, head):
            return False
        if self.taught is not None and self.recipe.loss.attribute_weight:
            rows = some(with_class(self.taught))  # those of the features
            start_attribute_head(net, features.train, self.taught.take(rows))
        return True

    def save(self, net: AttributeNet, data: Pictures, path: Path) -> None:
        """The weights of the last epoch beside those of the best one, which are kept."""
        train, validation = (
            self.known(net, one, name) for name, one in (("train", data.train), ("validation", data.validation))
        )
        for name, place in (("last", self.files[1]), ("best", path)):
            own = restored(net, checkpoint(self.work, name))
            self.ready(own, data, train, validation)
            save_attribute_net(own, place)

    def ready(self, own: AttributeNet, data: Pictures, train: Examples, validation: Examples) -> None:
        """Give a trained network what it must know before it may speak.

        Args:
            own: changed in place.
            data: all pictures.
            train: those to learn from, with their features where these are known.
            validation: those that choose the epoch, likewise.
        """
        table = prototypes_in(train, len(data.classes))
        said = answers_of(own, validation, lambda classes: implied_by(table, classes.argmax(1)))
        self.speak(own, data, train, said)

    def speak(self, own: AttributeNet, data: Pictures, train: Examples, validated: Answers) -> None:
        """Calibrate a network, and measure its skill, by what is said of pictures that were not learnt from.

        Args:
            own: changed in place.
            data: all pictures.
            train: training pictures, with their features where these are known.
            validated: what it says of validation pictures.
        """
        said, balance = validated, self.recipe.loss.balance
        if self.crossed is not None:
            taught = Taught(train.targets, train.weights, data.vocabulary)
            fold = folds_of(len(train), data.families)
            said = unseen(self.crossed, taught, self.left_out(own, data, train, taught), fold).and_of(validated)
            balance = 0.0  # regressions count every answer alike
        own.calibration = fit_calibration(own, train, said, balance=balance)
        own.skill = measure_skill(said, own.calibration)

    def left_out(self, own: AttributeNet, data: Pictures, train: Examples, taught: Taught) -> LeftOut:
        """What classes imply of training pictures that were left out.

        Args:
            own: the trained network.
            data: all pictures.
            train: training pictures with their features.
            taught: their attributes.
        """
        strength = None if self.probe is None else self.probe.strength
        return class_control(all_features(train), train.labels, taught, len(data.classes), strength)

    def measure(self, path: Path, data: Pictures, rows: list[Row]) -> Trained:
        """Figures of the best epoch's weights, as they were written."""
        self.written = load_attribute_net(path)
        best = kept_epoch(checkpoint(self.work, "best"))
        judged = judge(self.written, data.judging)
        control = self.control(judged.right)
        notes = self.noticed(data, below=bool(control.alarm))
        return Trained(judged, len(rows), best, self.files, data.judged_on, notes, control)

    def noticed(self, data: Pictures, *, below: bool) -> tuple[str, ...]:
        """Notes on the data and the network, and why a bottleneck is below its probe where it is."""
        why = (BOTTLENECK,) if below and self.recipe.network.join == "bottleneck" else ()
        return (*data.notes, *self.remarks, *why)

    def pages(self, outcome: Trained, data: Pictures, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        net, recipe, judged = cast(AttributeNet, self.written), self.recipe, outcome.judged
        kept = f"epoch {outcome.best}" if outcome.best else "the start (the linear probe)"
        epochs = f"{len(rows)} epochs; {kept} kept, by validation {recipe.loop.monitor.replace('-', ' ')}"
        about = facts(judged, data, recipe, epochs)
        if outcome.control.fact:
            about = {"class accuracy": about["class accuracy"], "linear probe": outcome.control.fact, **about}
        command = self.reporter.command or "sightline train eat"
        run = Run(
            title=f"{self.out.stem}: {recipe.network.backbone} with attributes",
            verdict=verdict(judged),
            headline=[*headline(judged), *outcome.control.figures],
            facts={**about, "within classes": within(judged).partition(": ")[2]},
            recipe=option_texts(recipe),
            notes=outcome.notes,
            best=outcome.best,
            tables=tables(judged),
            words=SECTION_WORDS,
            command=command,
            alarm=outcome.control.alarm,
        )
        return {self.files[2]: card(net, outcome, data, recipe, about, command), self.files[3]: run_page(rows, run)}

    @property
    def files(self) -> tuple[Path, ...]:
        """Best weights, last weights, card, page."""
        return (self.out, *(self.out.with_suffix(end) for end in (".last.safetensors", ".md", ".html")))

    def _weights(self, data: Pictures) -> str | None:
        """What `load_model` is to fill the backbone with; None asks for the published weights."""
        own = self.recipe.network.weights
        if own is None and not self.recipe.given(drawn=data.drawn):
            return "random"
        return None if own == "published" else own
