"""A network of several labels from start to end: pictures, training, thresholds, figures, files.

As `sightline.tasks.classification.train` does it for one class, with a validation part that chooses thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

from sightline.common.files import digest
from sightline.common.settings import option_texts
from sightline.errors import TrainingError
from sightline.gates.store import GatedSpec
from sightline.gates.surgery.plug import plugged
from sightline.reports.roc import roc_drawing
from sightline.reports.run_page import Run, run_page
from sightline.tasks.classification.fit import fit, looked_at, scores
from sightline.tasks.classification.heads import anatomy_of, features, head_of, head_paths, lifted
from sightline.tasks.classification.multilabel.module import LabelTask
from sightline.tasks.classification.multilabel.network import VERSION, LabelSpec, load_label_net, save_label_net
from sightline.tasks.classification.multilabel.pictures import LabelledPictures, gather_labelled
from sightline.tasks.classification.multilabel.report import card, facts
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.train import as_taught, built, kept_reading, without_probe
from sightline.training.callbacks import Keeper, kept_epoch, load_net
from sightline.training.experiment import Experiment
from sightline.training.labels.objective import label_loss, positive_weights, unweighted
from sightline.training.labels.probe import LabelProbe, label_probe
from sightline.training.labels.report import headline, label_curves, table_words, tables, verdict
from sightline.training.labels.scores import MultiLabelled, clear_share, label_scores
from sightline.training.loop import Watch
from sightline.training.norms import remark
from sightline.training.operating import judged_points
from sightline.training.probe import some
from sightline.training.reporter import Report, Row
from sightline.training.resume import last_readable


@dataclass
class MultiLabelExperiment(Experiment[ClassifyRecipe, LabelledPictures, nn.Module, MultiLabelled]):
    """The training of a network of several labels."""

    beside = (".md", ".html")
    source: str | Path = ""
    spec: GatedSpec | None = None
    remarks: tuple[str, ...] = ()
    label_probe: LabelProbe | None = None
    probe_logits: Float[Tensor, "n k"] | None = None
    drawings: Sequence[tuple[str, str, str]] = ()
    best: int = 0
    """The epoch that was kept; 0 for the start."""
    began: bool = False
    """Whether the last layer began as the linear probe."""

    def check(self) -> None:
        """Refuse what only one class of each picture can have."""
        if self.recipe.augmentation.mixup:
            raise TrainingError("--mixup mixes classes that exclude each other; leave it out for several labels")

    def data(self, report: Report) -> LabelledPictures:
        """Pictures in three parts."""
        return as_taught(gather_labelled(Path(self.source), self.recipe, self.work, report), self.recipe)

    def facts(self, data: LabelledPictures) -> dict[str, Any]:
        """Labels and pictures."""
        return {
            "labels": digest("\n".join(data.classes).encode()),
            "pictures": digest(data.fingerprint.encode() + data.labels.numpy().tobytes()),
        }

    def network(self, data: LabelledPictures) -> nn.Module:
        """The network with its gates; what a linear probe makes of it is kept."""
        self.spec, net = built(data, self.recipe)
        tuning = self.recipe.tuning
        notes = (
            remark(net, tuning.norms, given=self.recipe.given, new=anatomy_of(net).new),
            without_probe(net) if tuning.probe else "",
        )
        self.remarks = tuple(note for note in notes if note)
        if lifted(net, looked_at(data)):
            raise TrainingError(
                f"the scores of {type(net).__name__} pass a ReLU, so no label could be less likely than 0.5; choose "
                "another network, such as imagenet"
            )
        if tuning.balanced and head_of(net).bias is None:
            raise TrainingError("--balanced needs a last layer with a bias, to correct probabilities; leave it out")
        if tuning.probe and len(head_paths(net)) == 1:
            path = self.work / "label_probe.safetensors"
            self.label_probe = LabelProbe.kept(path) or self._probe(net, data).keep(path)
            self.probe_logits = self.label_probe.logits(self._features(net, data, data.test))
            if tuning.head_start == "probe":
                self.began = self.label_probe.begin(head_of(net))
                if self.began and not last_readable(self.work):
                    self.keep_head_rate(self._features(net, data, some(data.train)))
        return net

    def callbacks(self) -> list[Callback]:
        """What keeps the epoch of the lowest validation loss."""
        return [Keeper(self.work / "checkpoints", "best", "loss")]

    def loggers(self) -> Any:
        """A table of all epochs."""
        return [CSVLogger(self.work, name="log")]

    def fit(self, net: nn.Module, data: LabelledPictures, watch: Watch) -> None:
        """Train, or go on training."""
        fit(net, data, self.recipe, work=self.work, watch=watch, task=LabelTask)

    def save(self, net: nn.Module, data: LabelledPictures, path: Path) -> None:
        """The best epoch's weights, with thresholds that validation chose and test pictures judged."""
        self._keep_best(net, data)
        chosen, tested = (
            (scores(net, data, rows).double().sigmoid(), data.labels[rows]) for rows in (data.val, data.test)
        )
        points = judged_points(data.classes, chosen, tested, self.recipe.operating, data.groups_of(data.test))
        spec = cast(GatedSpec, self.spec)
        if spec.gate is not None:
            spec = replace(spec, scheme=str(plugged(net).scheme))
        save_label_net(net, LabelSpec(spec, points, VERSION), path, reading=kept_reading(self.recipe))

    def measure(self, path: Path, data: LabelledPictures, rows: list[Row]) -> MultiLabelled:
        """Figures of the file as it was written."""
        net, spec = load_label_net(path)
        logits, truth = scores(net, data), data.labels[data.test]
        groups = data.groups_of(data.test)
        self.drawings = [
            (one.title, roc_drawing(one.label, one.curve, one.point.sensitivity, one.point.specificity), one.words)
            for one in label_curves(logits.double().sigmoid(), truth, spec.points)
        ]
        each, mean, gap = label_scores(logits, truth, spec.points, probe=self.probe_logits, groups=groups)
        return MultiLabelled(
            scores=each,
            mean=mean,
            over_probe=gap,
            clear=clear_share(logits.double().sigmoid(), truth, spec.points),
            total=len(truth),
            grouped=bool(groups),
            epochs=len(rows),
            best=self.best,
            parameters=sum(p.numel() for p in net.parameters()),
            files=(self.out, self.out.with_suffix(".md"), self.out.with_suffix(".html")),
            notes=(*data.notes, *self.remarks),
        )

    def pages(self, outcome: MultiLabelled, data: LabelledPictures, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        recipe, (_, text, page) = self.recipe, outcome.files
        about = facts(outcome, data, recipe)
        command = self.reporter.command or "sightline train classify"
        run = Run(
            title=f"{self.out.stem}: {recipe.network.model}, {len(outcome.scores)} labels",
            verdict=verdict(outcome),
            headline=headline(outcome),
            facts=about,
            recipe=option_texts(recipe),
            notes=outcome.notes,
            best=outcome.best,
            command=command,
            alarm=outcome.alarm,
            tables=tables(outcome),
            words=table_words(outcome),
            drawings=self.drawings,
        )
        return {text: card(outcome, about, command), page: run_page(rows, run)}

    def _probe(self, net: nn.Module, data: LabelledPictures) -> LabelProbe:
        """The linear probe on features before training."""
        rows = some(data.train)
        return label_probe(self._features(net, data, rows), data.labels[rows])

    @staticmethod
    def _features(net: nn.Module, data: LabelledPictures, rows: Int[Tensor, " m"]) -> Float[Tensor, "m c"]:
        """What the last layer reads of some pictures."""
        mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (data.mean, data.std))
        return features(net, data.images[rows], mean, std)

    def _keep_best(self, net: nn.Module, data: LabelledPictures) -> None:
        """Give the net the weights of the lowest validation loss; those of the start count, where it was the probe.

        The weights of rare positives are taken out of the probabilities first: they are no part of the judgement.
        """
        path = self.work / "checkpoints" / "best.ckpt"
        self.best = kept_epoch(path)
        load_net(net, path)
        if self.recipe.tuning.balanced:
            unweighted(head_of(net), positive_weights(data.labels[data.train]))
        if not self.began or self.label_probe is None:
            return
        start = built(data, self.recipe)[1].eval()
        self.label_probe.begin(head_of(start))
        truth = data.labels[data.val]
        if label_loss(scores(start, data, data.val), truth) < label_loss(scores(net, data, data.val), truth):
            self.best = 0
            net.load_state_dict(start.state_dict())
