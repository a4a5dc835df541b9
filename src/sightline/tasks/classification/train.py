"""A classifier from start to end: pictures, network, training, figures, files.

Resumable: pictures and checkpoints stay in a work folder. Weights, card and page are written when all is measured.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.nn import functional as fn

from sightline.common.files import digest
from sightline.common.settings import option_texts
from sightline.data.label_table import is_multilabel
from sightline.errors import TrainingError
from sightline.gates.store import GatedSpec, gated_net, load_gated, plain_net, save_gated
from sightline.gates.surgery.plug import plugged
from sightline.models.load import load_model
from sightline.models.preprocess import Preprocess
from sightline.models.zoo.cifar_names import is_cifar
from sightline.reports.run_page import Run, run_page
from sightline.tasks.classification.data.aside import with_validation
from sightline.tasks.classification.data.pictures import Pictures, gather
from sightline.tasks.classification.fit import fit, looked_at, probe_features, scores
from sightline.tasks.classification.heads import anatomy_of, head_of, head_paths, lifted
from sightline.tasks.classification.metrics import Classified
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.report import card, facts, headline, verdict
from sightline.training.callbacks import Keeper, kept_epoch, load_net
from sightline.training.experiment import Experiment
from sightline.training.loop import Watch
from sightline.training.norms import remark
from sightline.training.probe import Features, LinearHead, head_from, head_without_bias, knows_classes, some
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.resume import checkpoint
from sightline.training.standing import surely_lower

if TYPE_CHECKING:
    from sightline.training.labels.scores import MultiLabelled


def train_classify(
    data: str | Path,
    out: Path,
    recipe: ClassifyRecipe = ClassifyRecipe(),
    work: Path | None = None,
    *,
    reporter: Reporter = Reporter(),
) -> Classified | MultiLabelled | None:
    """Train a classifier and write its weights, card and page.

    Where a `labels.csv` gives each picture any number of labels, the network has a yes or no for each.

    Args:
        data: a folder of pictures, of CIFAR's binary files, or `aviary`.
        out: the weights that are kept (`--keep`); card and page are written beside it.
        recipe: everything else.
        work: folder of pictures, checkpoints and logs; None takes `out` with the ending `.work`. Running again with
            the same folder goes on after the last finished epoch and ends as if nothing had happened.
        reporter: what is said meanwhile.

    Returns:
        What was measured; None in a process that only helped to train.

    Raises:
        DataError: the data cannot be learnt from.
        InputError: a picture cannot be read.
        ModelError: there is no such network.
        GateError: the gate or its scheme does not fit the network.
        TrainingError: the recipe makes no sense, the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    settled, place = recipe.settled(own_size(recipe)), work or out.with_suffix(".work")
    if is_multilabel(Path(data), recipe.data.labels):
        from sightline.tasks.classification.multilabel.train import MultiLabelExperiment

        return MultiLabelExperiment(without_smoothing(recipe, settled), out, place, reporter, source=data).run()
    refuse_label_options(recipe)
    return ClassifyExperiment(settled, out, place, reporter, source=data).run()


@dataclass
class ClassifyExperiment(Experiment[ClassifyRecipe, Pictures, nn.Module, Classified]):
    """The training of a classifier."""

    beside = (".md", ".html")
    source: str | Path = "aviary"
    spec: GatedSpec | None = None
    remarks: tuple[str, ...] = ()
    chooses: bool = False
    """Whether pictures that are put aside choose the epoch that is kept."""
    kept: int | None = None
    """That epoch; 0 for the start."""
    learnt: int = 0
    """Pictures at the head of the probe's that the network learns from."""
    pictures: Pictures | None = None

    def data(self, report: Report) -> Pictures:
        """Pictures to learn from, to choose the epoch by, and to test on."""
        pictures = as_taught(gather(self.source, self.recipe, self.work, report), self.recipe)
        if self.recipe.loop.keep == "best":
            pictures = with_validation(pictures, self.recipe.data.validation)
        self.chooses = bool(len(pictures.val))
        return pictures

    def facts(self, data: Pictures) -> dict[str, Any]:
        """Classes and pictures."""
        return {
            "classes": digest("\n".join(data.classes).encode()),
            "pictures": digest(data.fingerprint.encode() + data.labels.numpy().tobytes()),
        }

    def network(self, data: Pictures) -> nn.Module:
        """The network with its gates."""
        self.spec, net = built(data, self.recipe)
        tuning, added = self.recipe.tuning, anatomy_of(net).new
        notes = (
            remark(net, tuning.norms, given=self.recipe.given, new=added),
            without_probe(net) if tuning.probe else "",
        )
        self.remarks = tuple(note for note in notes if note)
        return net

    def features(self, net: nn.Module, data: Pictures) -> Features | None:
        """What the last layer reads before it learns; nothing where a network has no such layer."""
        self.pictures, self.learnt = data, len(some(data.train))
        return probe_features(net, data) if self.recipe.tuning.probe and len(head_paths(net)) == 1 else None

    @property
    def starts_from_probe(self) -> bool:
        """Whether the last layer starts from the linear probe."""
        return self.recipe.tuning.head_start == "probe"

    def start_head(self, net: nn.Module, head: LinearHead, features: Features) -> bool:
        """Let the last layer start from the linear probe, unless it came with the weights and tells these classes.

        The probe that training is compared with is fitted to all training pictures; the start must not know those
        that choose the epoch.
        """
        last = head_of(net)
        if isinstance(last, nn.Linear | nn.Conv2d) and knows_classes(last, features):
            return False
        return self._fill(net, self._learnt(net, features) if self.chooses or last.bias is None else head)

    def _fill(self, net: nn.Module, head: LinearHead) -> bool:
        """Let the last layer of a network be the probe."""
        if not head.fill(head_of(net)):
            return False
        lifted(net, looked_at(cast(Pictures, self.pictures)))
        return True

    def callbacks(self) -> list[Callback]:
        """What keeps the epoch of the lowest validation loss; the start counts."""
        return [Keeper(self.work / "checkpoints", "best", "loss", start=True)] if self.chooses else []

    def loggers(self) -> Any:
        """A table of all epochs."""
        return [CSVLogger(self.work, name="log")]

    def fit(self, net: nn.Module, data: Pictures, watch: Watch) -> None:
        """Train, or go on training."""
        fit(net, data, self.recipe, work=self.work, watch=watch)

    def save(self, net: nn.Module, data: Pictures, path: Path) -> None:
        """The weights that are kept."""
        if self.chooses:
            self._keep_best(net, data)
        elif self.recipe.tuning.frozen:  # the last layer learnt from means over places
            lifted(net, looked_at(data))
        save_gated(net, cast(GatedSpec, self.spec), path, reading=kept_reading(self.recipe))

    def measure(self, path: Path, data: Pictures, rows: list[Row]) -> Classified:
        """Test accuracy, beside the most frequent class."""
        net, spec = load_gated(path)
        files = (self.out, self.out.with_suffix(".md"), self.out.with_suffix(".html"))
        own = tested(net, spec, rows, data)
        notes = (*data.notes, *self.remarks)
        return replace(own, files=files, control=self.control(own.right), notes=notes, kept=self.kept)

    def pages(self, outcome: Classified, data: Pictures, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        recipe, (_, text, page) = self.recipe, outcome.files
        about = facts(outcome, data, recipe)
        command = self.reporter.command or "sightline train classify"
        run = Run(
            title=f"{self.out.stem}: {recipe.network.model}, gate {recipe.gating.gate}",
            verdict=verdict(outcome),
            headline=headline(outcome),
            facts=about,
            recipe=option_texts(recipe),
            notes=outcome.notes,
            best=len(rows) if outcome.kept is None else outcome.kept,
            command=command,
            alarm=outcome.control.alarm,
        )
        return {text: card(outcome, data, about, command), page: run_page(rows, run)}

    def _keep_best(self, net: nn.Module, data: Pictures) -> None:
        """Give the net the weights of the lowest validation loss, where that surely is below the start's.

        Few pictures choose among many epochs, so a lower loss must be lower by more than its standard error. Where
        the start is kept, a last layer that started from the probe becomes the probe of all training pictures.
        """
        path = checkpoint(self.work, "best")
        load_net(net, path)
        start = built(data, self.recipe)[1].eval()
        own = self.features(start, data) if self.head_started else None
        if own is not None:
            self._fill(start, self._learnt(start, own))
        losses = [
            fn.cross_entropy(scores(one, data, data.val), data.labels[data.val], reduction="none")
            for one in (start, net)
        ]
        self.kept = kept_epoch(path) if surely_lower(losses[1], losses[0]) else 0
        if self.kept:
            return
        net.load_state_dict(start.state_dict())
        if own is not None:
            self._fill(net, self._head(net, own))

    def _learnt(self, net: nn.Module, features: Features) -> LinearHead:
        """The probe of the pictures that the network learns from."""
        own = slice(self.learnt)
        some_of = replace(features, train=features.train[own], train_labels=features.train_labels[own])
        return self._head(net, some_of)

    @staticmethod
    def _head(net: nn.Module, features: Features) -> LinearHead:
        """The probe that the last layer may be: one without a bias where it has none."""
        return head_from(features) if head_of(net).bias is not None else head_without_bias(features)


def built(pictures: Pictures, recipe: ClassifyRecipe) -> tuple[GatedSpec, nn.Module]:
    """The spec of the network that a recipe asks for, and the network with its gates.

    Raises:
        ModelError: there is no such network.
        GateError: the gate or its scheme does not fit it.
    """
    own, gating, seed = recipe.network, recipe.gating, recipe.machine.seed
    size = recipe.data.side
    spec = GatedSpec(
        model=own.model,
        classes=pictures.classes,
        model_args=own.model_args,
        skip=own.skip,
        norm=own.norm,
        gate=None if gating.gate == "none" else gating.gate,
        share=gating.share,
        scheme=gating.scheme,
        start=gating.start,
        options={} if gating.reduction is None else {"reduction": gating.reduction},
        preprocess=Preprocess((size, size), None, pictures.mean, pictures.std).record(),
    )
    plain = plain_net(spec, None if own.begins_with == "published" else own.begins_with, seed)
    if own.init == "fan_out":
        drawn_anew(plain, seed)
    net = gated_net(spec, seed=seed, plain=plain)
    return spec if spec.gate is None else replace(spec, scheme=str(plugged(net).scheme)), net


def without_probe(net: nn.Module) -> str:
    """Why no linear probe stands beside a network; empty where one does."""
    paths = head_paths(net)
    if len(paths) == 1:
        return ""
    ends = f"has {len(paths)} last layers ({', '.join(paths)})" if paths else "has no last layer"
    return f"no linear probe stands beside this training: {type(net).__name__} {ends}, and a probe stands for one"


def kept_reading(recipe: ClassifyRecipe) -> str:
    """How the data was read into splits, as JSON that the network's file keeps."""
    own = recipe.data
    options = {name: getattr(own, name) for name in ("held_out", "group_by", "validation", "labels")}
    return json.dumps({"options": {**options, "seed": recipe.machine.seed}})


def without_smoothing(recipe: ClassifyRecipe, settled: ClassifyRecipe) -> ClassifyRecipe:
    """The settled recipe for several labels, whose probabilities no smoothing may move.

    Its last layer starts from the probe on frozen features too: the best epoch may be the start.

    Raises:
        TrainingError: smoothing is asked for.
    """
    if recipe.optim.label_smoothing:
        raise TrainingError(
            "--label-smoothing is for classes that exclude each other: of several labels it would move every "
            "probability away from the share of pictures that it stands for; leave it out"
        )
    if recipe.loop.keep == "last":
        raise TrainingError(
            "--keep last is for one class of each picture: several labels keep the epoch of the lowest validation "
            "loss; leave it out"
        )
    probe = recipe.tuning.head_start == "auto" and recipe.given and recipe.tuning.probe
    return settled.but(label_smoothing=0.0, **({"head_start": "probe"} if probe else {}))


def refuse_label_options(recipe: ClassifyRecipe) -> None:
    """Refuse options of several labels where each picture has one class.

    Raises:
        TrainingError: one is given.
    """
    own = recipe.operating
    if own.sensitivity is not None or own.specificity is not None or recipe.data.labels:
        raise TrainingError(
            "--label-columns, --sensitivity and --specificity are for a labels.csv with several labels per picture, "
            "or with columns of 0 and 1; this data gives each picture one class"
        )


Own = TypeVar("Own", bound=Pictures)


def as_taught(pictures: Own, recipe: ClassifyRecipe) -> Own:
    """The pictures, normalised as the weights that are begun with were taught, where a published network has some."""
    network = recipe.network
    if not recipe.given or is_cifar(network.model):
        return pictures
    loaded = load_model(network.model, weights="random", model_args=network.model_args)
    own, notes = loaded.preprocess, (*pictures.notes, *loaded.notes)
    return replace(pictures, mean=own.mean, std=own.std, notes=notes)


def own_size(recipe: ClassifyRecipe) -> int | None:
    """Side of the pictures that given weights have learnt from; None for random ones and CIFAR's networks."""
    network = recipe.network
    if not recipe.given or recipe.data.size is not None or is_cifar(network.model):
        return None
    return load_model(network.model, weights="random", model_args=network.model_args).preprocess.size[0]


def drawn_anew(net: nn.Module, seed: int) -> None:
    """Every convolution from a normal of mean 0 and variance 2 / (k k channels behind), in place; biases to 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def tested(net: nn.Module, spec: GatedSpec, rows: list[Row], pictures: Pictures) -> Classified:
    """The figures of a network.

    Args:
        net: network in eval mode.
        spec: how it is built.
        rows: figures of every epoch.
        pictures: its data.
    """
    labels = pictures.labels[pictures.test]
    counts = torch.bincount(pictures.labels[pictures.train], minlength=len(pictures.classes))
    accuracies = [row["val/accuracy"] for row in rows if "val/accuracy" in row]
    right = scores(net, pictures).argmax(1) == labels
    return Classified(
        hits=int(right.sum()),
        total=len(labels),
        frequent=int((labels == counts.argmax()).sum()),
        best=max(accuracies),
        best_epoch=accuracies.index(max(accuracies)) + 1,
        epochs=len(rows),
        parameters=sum(p.numel() for p in net.parameters()),
        scheme=spec.scheme if spec.gate else "",
        notes=pictures.notes,
        right=tuple(right.tolist()),
    )
