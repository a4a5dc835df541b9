"""A network of events from frozen features: read them, train, measure, write weights, card and run page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import TensorDataset

from sightline.common.files import digest
from sightline.reports.run_page import run_page
from sightline.tasks.audiovisual.data.feature_set import FeatureClips, FeatureSet, read_feature_set
from sightline.tasks.audiovisual.metrics.features import FeatureFigures, judge_features, pooled_features
from sightline.tasks.audiovisual.module import EventTask
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import load_net, network_of, save_net
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.tasks.audiovisual.report.feature_card import feature_card, feature_run
from sightline.tasks.audiovisual.stand_ins import learn_stand_ins
from sightline.training.experiment import Experiment
from sightline.training.loop import Feeds, Watch, batches, in_turn, run_loop
from sightline.training.probe import Features
from sightline.training.reporter import Report, Row
from sightline.training.sampling import EpochOrder


@dataclass
class FeatureExperiment(Experiment[EventRecipe, FeatureSet, EventNet, FeatureFigures]):
    """The training of a network of events from frozen features.

    Args:
        folder: of the features.
    """

    folder: Path = Path()
    beside = (".md", ".html")

    def data(self, report: Report) -> FeatureSet:
        """Features of clips, with their labels."""
        return read_feature_set(self.folder, seed=self.machine.seed)

    def facts(self, data: FeatureSet) -> Mapping[str, Any]:
        """The labels, and a sum over the features."""
        parts = [*data.train.tensors, *data.held.tensors]
        sums = "".join(digest(part.contiguous().numpy().tobytes()) for part in parts)
        return {"features": digest(sums.encode()), "events": list(data.classes)}

    def network(self, data: FeatureSet) -> EventNet:
        """The network before it has learned."""
        own, facts = self.recipe.network, data.facts
        pictures, sounds = data.train.pictures, data.train.sounds
        return network_of(
            EventSpec(
                data.classes,
                own.form,
                own.queries,
                own.field,
                own.width,
                multi=data.multi,
                nothing=bool((data.train.labels.sum(1) == 0).any()),
                reach=own.reach,
                seconds=facts.seconds,
                picture_features=pictures.shape[-1],
                sound_features=sounds.shape[-1] if sounds.ndim == 3 else 0,
                drawn=facts.drawn,
                mixing=own.mixing,
                encoder=facts.encoder,
                layer=facts.layer,
                pixels=facts.pixels,
            )
        )

    def features(self, net: EventNet, data: FeatureSet) -> Features | None:
        """Pooled features: the linear probe is a control of the training."""
        return pooled_features(data)

    def fit(self, net: EventNet, data: FeatureSet, watch: Watch) -> None:
        """Train, or go on training."""
        order = EpochOrder(len(data.train), self.recipe.loop.batch_size, self.machine.seed)
        module = EventTask(net, self.recipe, steps=order.steps * self.recipe.loop.epochs)
        train = _dataset(data.train, net)
        feeds = Feeds(batches(train, order), batches(_dataset(data.held, net), in_turn(len(data.held))))
        run_loop(module, feeds, loop=self.recipe.loop, device=self.recipe.machine, work=self.work, watch=watch)
        learn_stand_ins(module, train, steps=self.recipe.loss.missing_steps, seed=self.machine.seed)

    def save(self, net: EventNet, data: FeatureSet, path: Path) -> None:
        """The last epoch's weights."""
        save_net(net, path)

    def measure(self, path: Path, data: FeatureSet, rows: list[Row]) -> FeatureFigures:
        """Figures on clips that were held out."""
        return judge_features(load_net(path), data)

    def pages(self, outcome: FeatureFigures, data: FeatureSet, rows: list[Row]) -> dict[Path, str]:
        """Card and run page."""
        command = self.reporter.command or "sightline train events --features FOLDER --out FILE"
        run = feature_run(outcome, data, self.probe, recipe=self.recipe, epochs=len(rows), command=command)
        return {
            self.out.with_suffix(".md"): feature_card(run),
            self.out.with_suffix(".html"): run_page(rows, run),
        }


def _dataset(clips: FeatureClips, net: EventNet) -> TensorDataset:
    """Batches as the module takes them: one label as a number, several as they are."""
    pictures, sounds, labels, pictured, audible = clips.tensors
    if not net.spec.multi:
        none = labels.sum(1) == 0
        labels = torch.where(none, labels.shape[1], labels.argmax(1))
    return TensorDataset(pictures, sounds, labels, pictured, audible)
