"""All figures of a trained network on held-out scenes, each beside its controls."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, bootstrap
from sightline.common.statistics.intervals import wilson
from sightline.tasks.audiovisual.metrics.maps import WAYS
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
    """

    right: int
    scenes: int
    picture: int
    sound: int
    rows: dict[str, dict[str, Interval]] = field(default_factory=dict)
    negative: tuple[NegativeSound, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of scenes whose event is named."""
        return self.right / self.scenes

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson(self.right, self.scenes)

    @property
    def gap(self) -> dict[str, float]:
        """Least distance of the attention's lower end from any other way's mean, for where and when."""
        others = [row for name, row in self.rows.items() if name != "attention"]
        own = self.rows["attention"]
        means = {name: [row[name].mean for row in others] for name in ("where", "when")}
        return {name: own[name].low - max(m for m in means[name] if m == m) for name in means}


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

    rows = {}
    for name, way in WAYS.items():
        with torch.enable_grad():
            where, when = way(net, inputs, scenes.labels)
        rows[name] = intervals(vars(pointing(where, when, scenes)))
    rows["chance"] = intervals(vars(chance(scenes, (inputs[0].shape[-2] // 4, inputs[0].shape[-1] // 4))))
    return Judged(
        right=int((answers == scenes.labels).sum()),
        scenes=count,
        picture=hits(picture),
        sound=hits(sound),
        rows=rows,
        negative=tuple(negative_sound(net, scenes)),
    )


def intervals(figures: dict[str, Float[Tensor, "b"]]) -> dict[str, Interval]:
    """Mean and interval of each figure, over the scenes that could be scored."""
    return {name: bootstrap(values[values.isfinite()], draws=500) for name, values in figures.items()}


def record(judged: Judged) -> dict[str, object]:
    """The figures as JSON."""
    return {**asdict(judged), "accuracy": judged.accuracy, "interval": list(judged.interval)}
