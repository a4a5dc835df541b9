"""All figures of a trained network on held-out scenes, each beside its controls."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, bootstrap, paired_difference
from sightline.common.statistics.intervals import wilson
from sightline.tasks.audiovisual.metrics.maps import WAYS, cells_of_frame
from sightline.tasks.audiovisual.metrics.negative import NegativeSound, negative_sound
from sightline.tasks.audiovisual.metrics.pointing import chance, pointing
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.world import CLASSES, Scenes


@dataclass(frozen=True)
class Judged:
    """Figures of one network.

    Args:
        right: scenes whose event is named.
        scenes: scenes.
        picture: scenes whose event is named from the picture alone, the sound being masked as missing.
        sound: likewise from the sound alone.
        rows: for each way to make maps, and for `chance`, the figures of `Pointing`.
        negative: what becomes of the map when the sound is another.
        leads: how far the attention is ahead of each other way on the same scenes, by way and figure.
    """

    right: int
    scenes: int
    picture: int
    sound: int
    rows: dict[str, dict[str, Interval]] = field(default_factory=dict)
    negative: tuple[NegativeSound, ...] = ()
    leads: dict[str, dict[str, Interval]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Share of scenes whose event is named."""
        return self.right / self.scenes

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson(self.right, self.scenes)

    @property
    def behind(self) -> dict[str, list[str]]:
        """For where, mass and when the ways that the attention is not shown to be ahead of."""
        figures = ("where", "mass", "when")
        return {name: [way for way, row in self.leads.items() if row[name].low <= 0] for name in figures}


@torch.no_grad()
def measure(net: EventNet, scenes: Scenes) -> Judged:
    """Judge a network on scenes that each have an event."""
    inputs = scenes.inputs()
    count, frames, segments = len(scenes), inputs[0].shape[1], inputs[1].shape[1]
    gone, here = torch.zeros(count, 1, dtype=torch.bool), torch.ones(count, 1, dtype=torch.bool)
    answers = net(*inputs).argmax(1)
    picture = net(*inputs, here.expand(-1, frames), gone.expand(-1, segments))
    sound = net(*inputs, gone.expand(-1, frames), here.expand(-1, segments))
    events = len(CLASSES)

    def hits(logits: Tensor) -> int:
        return int((logits[:, :events].argmax(1) == scenes.labels).sum())

    points: dict[str, dict[str, Tensor]] = {}
    for name, way in WAYS.items():
        with torch.enable_grad():
            where, when = way(net, inputs, scenes.labels)
        points[name] = vars(pointing(where, when, scenes))
    points["chance"] = vars(chance(scenes, cells_of_frame(net, inputs[0])))
    own = points["attention"]
    return Judged(
        right=int((answers == scenes.labels).sum()),
        scenes=count,
        picture=hits(picture),
        sound=hits(sound),
        rows={name: intervals(figures) for name, figures in points.items()},
        negative=tuple(negative_sound(net, scenes)),
        leads={
            name: {key: paired_difference(own[key], figures[key], draws=500) for key in own}
            for name, figures in points.items()
            if name != "attention"
        },
    )


def intervals(figures: dict[str, Float[Tensor, "b"]]) -> dict[str, Interval]:
    """Mean and interval of each figure, over the scenes that could be scored."""
    return {name: bootstrap(values[values.isfinite()], draws=500) for name, values in figures.items()}


def record(judged: Judged) -> dict[str, object]:
    """The figures as JSON."""
    return {**asdict(judged), "accuracy": judged.accuracy, "interval": list(judged.interval)}
