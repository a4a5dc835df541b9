"""`LabelEatExperiment`: an attribute network of several labels per picture, from start to end.

As `experiment` does it for one class; thresholds are chosen on validation pictures and judged on test pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.settings import option_texts
from sightline.errors import TrainingError
from sightline.reports.roc import roc_drawing
from sightline.reports.run_page import Run, run_page
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.data.pictures import Pictures
from sightline.tasks.attributes.metrics.labelled import judge_labels
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.network.store import load_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.report import tables, within
from sightline.tasks.attributes.train.anatomy import trunk_features
from sightline.tasks.attributes.train.calibrate import answers_of, predict
from sightline.tasks.attributes.train.crossfit import LeftOut, all_features, label_control
from sightline.tasks.attributes.train.experiment import EatExperiment, Trained
from sightline.tasks.attributes.train.fit import fit
from sightline.tasks.attributes.train.label_card import card, facts, words
from sightline.tasks.attributes.train.labelled import LabelControl, LabelEatTask, flagged
from sightline.tasks.attributes.train.start import Taught, start_attribute_head, start_class_head
from sightline.training.callbacks import kept_epoch
from sightline.training.labels.objective import positive_weights, unweighted
from sightline.training.labels.probe import LabelProbe, label_probe
from sightline.training.labels.report import headline, label_curves, verdict
from sightline.training.labels.report import tables as label_tables
from sightline.training.labels.scores import MultiLabelled, clear_share, label_scores
from sightline.training.loop import Watch
from sightline.training.operating import judged_points
from sightline.training.probe import Features, LinearHead, some
from sightline.training.reporter import Row
from sightline.training.resume import checkpoint, last_readable


def for_labels(recipe: EatRecipe) -> EatRecipe:
    """A recipe for several labels: no smoothing, which would move their probabilities; the loss keeps the epoch.

    Heads start from probes on frozen features too: the best epoch may be the start.

    Args:
        recipe: as it was asked for, nothing settled.

    Raises:
        TrainingError: an option needs one class of each picture.
    """
    if recipe.augmentation.mixup:
        raise TrainingError("--mixup mixes classes that exclude each other; leave it out for several labels")
    if recipe.loss.outside_weight:
        raise TrainingError(
            "--outside-weight guides the map of one class, and these pictures have several labels; leave it out"
        )
    if recipe.loop.monitor == "accuracy":
        raise TrainingError("--monitor accuracy is of one class per picture; several labels are kept by loss")
    tuning = recipe.tuning
    monitor = recipe.lowest if recipe.loop.monitor == "auto" else recipe.loop.monitor
    start = tuning.head_start == "auto" and tuning.probe and recipe.given(drawn=False)
    return recipe.but(label_smoothing=0.0, monitor=monitor, **({"head_start": "probe"} if start else {}))


@dataclass
class LabelEatExperiment(EatExperiment):
    """The training of an attribute network of several labels."""

    kind: ClassVar[type[AttributeNet]] = LabelledAttributeNet
    probe_logits: Float[Tensor, "n y"] | None = None
    label_control: LabelControl | None = None
    drawings: Sequence[tuple[str, str, str]] = ()

    def network(self, data: Pictures) -> AttributeNet:
        """The network before it has learnt; heads start from probes where that is asked for."""
        net = super().network(data)
        tuning = self.recipe.tuning
        if tuning.balanced and self._head(net).bias is None:
            raise TrainingError("--balanced needs a last layer with a bias, to correct probabilities; leave it out")
        if not tuning.probe:
            return net
        rows, path = some(torch.arange(len(data.train))), self.work / "label_probe.safetensors"
        features = trunk_features(net, self.known(net, data.train, "train"), rows, pooled=True).float()
        probe = LabelProbe.kept(path) or label_probe(features, data.train.labels[rows]).keep(path)
        tested = trunk_features(net, data.judging, torch.arange(len(data.judging)), pooled=True).float()
        self.probe_logits = probe.logits(tested)
        if self.starts_from_probe and start_class_head(net, LinearHead(probe.weight, probe.bias)):
            held = self.recipe.holds_attributes(len(data.train), data.independent)
            if self.recipe.loss.attribute_weight and not held:
                start_attribute_head(net, features, data.train.take(rows))
            if not last_readable(self.work):
                self.keep_head_rate(features)
        return net

    def features(self, net: AttributeNet, data: Pictures) -> Features | None:
        """None: each label has a probe of its own."""
        return None

    def fit(self, net: AttributeNet, data: Pictures, watch: Watch) -> None:
        """Train, or go on training."""
        fit(net, data.train, self.recipe, **self.fed(net, data, watch), task=LabelEatTask)

    def ready(self, own: AttributeNet, data: Pictures, train: Examples, validation: Examples) -> None:
        """Thresholds, chosen on validation and judged on test pictures, and what attributes may be said."""
        net = cast(LabelledAttributeNet, own)
        if self.recipe.tuning.balanced:
            unweighted(self._head(net), positive_weights(train.labels))
        chosen, tested = (
            (predict(net, one).classes.double().sigmoid(), one.labels) for one in (validation, data.judging)
        )
        net.points = judged_points(data.classes, chosen, tested, self.recipe.operating, data.groups)
        control = self._control(data)
        said = answers_of(net, validation, lambda classes: control.of(flagged(classes, net.points)))
        self.speak(net, data, train, said)

    def left_out(self, own: AttributeNet, data: Pictures, train: Examples, taught: Taught) -> LeftOut:
        """What labels imply of training pictures that were left out."""
        probe = LabelProbe.kept(self.work / "label_probe.safetensors")
        strengths = (None if probe is None else probe.strength, self._control(data).own.strength)
        points = cast(LabelledAttributeNet, own).points
        return label_control(all_features(train), train.labels, taught, points, strengths)

    def measure(self, path: Path, data: Pictures, rows: list[Row]) -> Trained:
        """Figures of the best epoch's weights, as they were written."""
        net = self.written = cast(LabelledAttributeNet, load_attribute_net(path))
        logits, truth = predict(net, data.judging).classes, data.judging.labels
        likely, best = logits.double().sigmoid(), kept_epoch(checkpoint(self.work, "best"))
        self.drawings = [
            (one.title, roc_drawing(one.label, one.curve, one.point.sensitivity, one.point.specificity), one.words)
            for one in label_curves(likely, truth, net.points)
        ]
        each, mean, gap = label_scores(logits, truth, net.points, probe=self.probe_logits, groups=data.groups)
        notes = self.noticed(data, below=gap is not None and gap.mean < 0)
        labels = MultiLabelled(
            scores=each,
            mean=mean,
            over_probe=gap,
            clear=clear_share(likely, truth, net.points),
            total=len(truth),
            grouped=bool(data.groups),
            epochs=len(rows),
            best=best,
            parameters=sum(p.numel() for p in net.parameters()),
            files=self.files,
            notes=notes,
        )
        report = judge_labels(net, data.judging, self._control(data))
        return Trained(report, len(rows), best, self.files, data.judged_on, notes, labels=labels)

    def pages(self, outcome: Trained, data: Pictures, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        labels, recipe = cast(MultiLabelled, outcome.labels), self.recipe
        about = facts(outcome, data, recipe)
        command = self.reporter.command or "sightline train eat"
        run = Run(
            title=f"{self.out.stem}: {recipe.network.backbone} with attributes, {len(labels.scores)} labels",
            verdict=f"{verdict(labels)} {within(outcome.judged)}",
            headline=headline(labels),
            facts=about,
            recipe=option_texts(recipe),
            notes=outcome.notes,
            best=outcome.best,
            tables={**label_tables(labels), **tables(outcome.judged)},
            words=words(labels),
            command=command,
            alarm=labels.alarm,
            drawings=self.drawings,
        )
        return {self.files[2]: card(outcome, data, recipe, about, command), self.files[3]: run_page(rows, run)}

    def _control(self, data: Pictures) -> LabelControl:
        """What labels alone imply of attributes, of the training pictures."""
        if self.label_control is None:
            self.label_control = LabelControl(data.train.labels, data.train.targets, data.train.weights)
        return self.label_control

    @staticmethod
    def _head(net: AttributeNet) -> Any:
        """The layer whose bias the labels' scores have."""
        own: nn.Module | None = net.class_head.of_features
        return own if own is not None else net.class_head.of_attributes
