"""Figures of a network that learned from frozen features, each beside its controls."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, bootstrap
from sightline.common.statistics.intervals import wilson
from sightline.common.statistics.ranking import average_precision
from sightline.metrics import area, pointing_game
from sightline.tasks.audiovisual.data.feature_set import FeatureClips, FeatureSet
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.training.probe import Features

AT_ONCE = 64


@dataclass(frozen=True)
class FeatureFigures:
    """Figures on the clips that were held out.

    Args:
        right: for each clip, whether the highest output is its event, or one of its events.
        majority: share of clips that have the most frequent event of those learned from.
        picture: share of clips that are right without their sound.
        sound: share of clips that are right without their picture.
        precision: average precision of each event, by name; events without a clip are left out.
        prevalence: share of clips that have each event: what a guess reaches.
        when: share of partial clips whose curve peaks while the event lasts; None where no times are known.
        chance: the same of a guess: the share of the time that the event lasts.
    """

    right: tuple[bool, ...]
    majority: float
    picture: float
    sound: float
    precision: dict[str, float]
    prevalence: dict[str, float]
    when: Interval | None = None
    chance: Interval | None = None

    @property
    def accuracy(self) -> float:
        """Share of clips that are right."""
        return sum(self.right) / len(self.right)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson(sum(self.right), len(self.right))

    @property
    def mean_precision(self) -> tuple[float, float]:
        """Mean average precision, and that of a guess."""
        names = list(self.precision)
        means = [sum(part[name] for name in names) / len(names) for part in (self.precision, self.prevalence)]
        return means[0], means[1]


@torch.no_grad()
def judge_features(net: EventNet, data: FeatureSet) -> FeatureFigures:
    """Judge a network on clips that were held out."""
    held, gone = data.held, torch.zeros_like
    logits = answers(net, held, held.pictured, held.audible)
    truth = with_nothing(held.labels, net)
    order = int(with_nothing(data.train.labels, net).sum(0).argmax())
    present = [k for k in range(len(data.classes)) if 0 < int(held.labels[:, k].sum()) < len(held)]
    when = _when(net, held)
    return FeatureFigures(
        right=tuple((truth.gather(1, logits.argmax(1, keepdim=True))[:, 0] > 0).tolist()),
        majority=float(truth[:, order].mean()),
        picture=_share(answers(net, held, held.pictured, gone(held.audible)), truth),
        sound=_share(answers(net, held, gone(held.pictured), held.audible), truth),
        precision={data.classes[k]: float(average_precision(logits[:, k], held.labels[:, k] > 0)) for k in present},
        prevalence={data.classes[k]: float(held.labels[:, k].mean()) for k in present},
        when=None if when is None else when[0],
        chance=None if when is None else when[1],
    )


def answers(net: EventNet, clips: FeatureClips, pictured: Tensor, audible: Tensor) -> Float[Tensor, "n k"]:
    """Logits of all clips, some at a time."""
    parts = [
        net(*(part[i : i + AT_ONCE].float() for part in (clips.pictures, clips.sounds)),
            *(part[i : i + AT_ONCE] for part in (pictured, audible)))
        for i in range(0, len(clips), AT_ONCE)
    ]  # fmt: skip
    return torch.cat(parts)


def with_nothing(labels: Float[Tensor, "n k"], net: EventNet) -> Float[Tensor, "n j"]:
    """Labels of all outputs, that for no event among them where the network has one."""
    if net.spec.outputs == labels.shape[1]:
        return labels
    return torch.cat([labels, (labels.sum(1, keepdim=True) == 0).float()], 1)


def _share(logits: Tensor, truth: Tensor) -> float:
    return float(truth.gather(1, logits.argmax(1, keepdim=True)).mean())


def _when(net: EventNet, clips: FeatureClips) -> tuple[Interval, Interval] | None:
    """Pointing in time on clips whose event leaves a part of them out, and its chance; None where there is none."""
    spans: Bool[Tensor, "n s"] = clips.spans & clips.audible
    partial = (spans.any(1) & (spans.sum(1) < clips.audible.sum(1)) & (clips.labels.sum(1) == 1)).nonzero()[:, 0]
    if not len(partial):
        return None
    own = clips.rows(partial)
    events = own.labels.argmax(1).tolist()
    curves = []
    for number, event in enumerate(events):
        one = own.rows(torch.tensor([number]))
        curves.append(net.attend(one.pictures.float(), one.sounds.float(), one.pictured, one.audible).when(event))
    hits = pointing_game(torch.cat(curves), spans[partial]).values
    shares = area(spans[partial]) * spans.shape[1] / own.audible.sum(1)
    return bootstrap(hits, draws=500), bootstrap(shares, draws=500)


def pooled_features(data: FeatureSet) -> Features | None:
    """What a linear probe learns from: means and largest values over places and times of picture and sound."""
    if data.multi:
        return None
    train, held = (_pooled(part) for part in (data.train, data.held))
    names = [_events(part) for part in (data.train, data.held)]
    return Features(train, names[0], held, names[1])


def _events(clips: FeatureClips) -> Tensor:
    """Number of each clip's event; the one behind the last for none."""
    none = clips.labels.sum(1) == 0
    return torch.where(none, clips.labels.shape[1], clips.labels.argmax(1))


def _pooled(clips: FeatureClips) -> Float[Tensor, "n c"]:
    """Over all that is there."""
    parts = []
    for values, mask in ((clips.pictures.float(), clips.pictured), (clips.sounds.float(), clips.audible)):
        own = values.flatten(2, -2) if values.ndim > 3 else values[:, :, None]
        weights = mask[:, :, None, None].float()
        mean = (own * weights).sum((1, 2)) / (weights.sum((1, 2)) * own.shape[2]).clamp(min=1)
        most = own.masked_fill(~mask[:, :, None, None], -1e4).amax((1, 2))
        parts += [mean, most]
    return torch.cat(parts, 1)


def record(figures: FeatureFigures) -> dict[str, object]:
    """The figures as JSON."""
    best = figures.mean_precision if figures.precision else (None, None)
    return {
        **asdict(figures),
        "accuracy": figures.accuracy,
        "interval": list(figures.interval),
        "mean_precision": best[0],
        "mean_prevalence": best[1],
    }
