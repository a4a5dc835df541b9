"""What only a world can judge: does the map move where the redrawn change was, and rank parts as their removal does?

Adds rows to a comparison on certified scenes. Every method is asked about the scene as drawn and about the scene with
its cue exchanged, for the same decision; parts are removed by drawing the scene without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from sightline.api.explain import explain
from sightline.compare.measure import Row, Settings, maps_at
from sightline.compare.samples import Sample
from sightline.metrics import METRICS, Probe, Scores, on_grid
from sightline.models.load import LoadedModel
from sightline.tasks.bird.judging.certified import Certified, as_inputs, classes_of
from sightline.worlds.aviary import PARTS, Rendering, Scene, render
from sightline.worlds.aviary.counterfactual import with_cue

AGREEMENT = "counterfactual-agreement"
BY_PARTS = ("single-deletion", "preservation-check", "deletion-check")
REDRAWN = (AGREEMENT, *BY_PARTS)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """The metrics that draw scenes again, for one comparison.

    Args:
        loaded: model and preprocessing.
        certified: what is judged on.
        metrics: some of `REDRAWN`.
        settings: methods, places and seed of the comparison.
    """

    loaded: LoadedModel
    certified: Certified
    metrics: tuple[str, ...]
    settings: Settings
    pictures: dict[tuple[int, tuple[bool, ...]], Tensor] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, Any]:
        """What the run's record says of this."""
        own = self.certified.certificates
        scenes = [verdict.scene for verdict in self.certified.verdicts]
        return {
            "cue": own.cue,
            "threshold": own.threshold,
            "scenes": scenes,
            "redrawn": list(self.metrics),
        }

    def rows(self, samples: Sequence[Sample], names: Sequence[str]) -> Iterator[Row]:
        """Every number of one batch of certified samples."""
        if not self.metrics:
            return
        scenes = [self.certified.rendered.scene(sample.path) for sample in samples]
        drawings = [render(scene, self._size) for scene in scenes]
        twins = [render(self._exchanged(scene), self._size) for scene in scenes]
        inputs = as_inputs(drawings, self.loaded)
        classes = torch.tensor(classes_of(self.loaded.labels, self.certified.rendered.world.labels))
        targets = classes[torch.tensor([scene.species for scene in scenes])]
        ask: dict[str, Any] = {
            "target": targets,
            "method": self.settings.methods,
            "sources": names,
            "seed": self.settings.seed,
        }
        before = explain(self.loaded.model, inputs, **ask)
        after = explain(self.loaded.model, as_inputs(twins, self.loaded), **ask)
        change = self._grid([_changed(a, b) for a, b in zip(drawings, twins, strict=True)]) > 0.5
        judge = _Parts(self, scenes, inputs, self._parts(drawings), targets)
        for method in self.settings.methods:
            pairs = (maps_at(answer.of(method=method), self.settings.places) for answer in (before, after))
            for (place, layers, maps), (_, _, moved) in zip(*pairs, strict=True):
                for name in self.metrics:
                    scores = _agreement(maps, moved, change) if name == AGREEMENT else judge.score(name, maps)
                    for i, (value, status) in enumerate(zip(scores.values.tolist(), scores.statuses(), strict=True)):
                        yield Row(names[i], method, place, layers[i], name, value, str(status))

    @property
    def _size(self) -> int:
        return self.certified.rendered.size

    def _exchanged(self, scene: Scene) -> Scene:
        """The scene with the cue of the first donor that the decision followed."""
        donor = next(v.donor for v in self.certified.verdicts if v.scene == scene.index)
        return with_cue(scene, self.certified.rendered.world.scene(donor or 0), self.certified.certificates.cue)

    def _grid(self, pictures: Sequence[np.ndarray[Any, Any]]) -> Float[Tensor, "b h w"]:
        """Grey pictures through the network's scaling and cutting, in 0..1."""
        flat = replace(self.loaded.preprocess, mean=(0.0,), std=(1.0,), interpolation="nearest")
        device = next(self.loaded.model.parameters()).device
        return torch.stack([flat(Image.fromarray(p.astype(np.uint8))).view[0] for p in pictures]).to(device)

    def _parts(self, drawings: Sequence[Rendering]) -> Bool[Tensor, "b p h w"]:
        """The mask of every part."""
        ids = (self._grid([one.parts for one in drawings]) * 255).round()
        return torch.stack([ids == number for number in range(1, len(PARTS) + 1)], dim=1)


@dataclass(frozen=True, eq=False)
class _Parts:
    """Scenes of one batch, whose parts are taken away by drawing them again."""

    owner: Redrawn
    scenes: list[Scene]
    inputs: Float[Tensor, "b c h w"]
    parts: Bool[Tensor, "b p h w"]
    targets: Tensor

    def score(self, name: str, maps: Float[Tensor, "b h w"]) -> Scores:
        """One metric on one batch of maps."""
        probe = Probe(self.owner.loaded.model, self.targets, batch_size=self.owner.settings.batch_size)
        scores: Scores = METRICS[name](probe, self.inputs, maps, self.parts, render=self.draw)
        return scores

    def draw(self, samples: Tensor, masks: Tensor) -> Tensor:
        """Pictures with only some parts left; each is drawn once."""
        return torch.stack([self._one(int(i), tuple(row)) for i, row in zip(samples, masks.tolist(), strict=True)])

    def _one(self, sample: int, stay: tuple[bool, ...]) -> Tensor:
        scene, pictures = self.scenes[sample], self.owner.pictures
        # The methods of one comparison take away the same parts often, and drawing is the slow step.
        if (scene.index, stay) not in pictures:
            absent = tuple(part for part, stays in zip(PARTS, stay, strict=True) if not stays)
            bare = replace(scene, missing=tuple(dict.fromkeys((*scene.missing, *absent))))
            pictures[scene.index, stay] = as_inputs([render(bare, self.owner._size)], self.owner.loaded)[0]
        return pictures[scene.index, stay]


def redrawn_forwards(settings: Settings, metrics: Sequence[str], donors: int = 8) -> int:
    """Forwards per sample of the certificate and of these metrics, not counting the explanations."""
    maps = len(settings.methods) * len(settings.places)
    return 2 * donors + 1 + maps * sum(METRICS[name].forwards(parts=len(PARTS)) for name in metrics)


def _agreement(maps: Tensor, moved: Tensor, change: Bool[Tensor, "b h w"]) -> Scores:
    size = tuple(change.shape[1:])
    scores: Scores = METRICS[AGREEMENT](on_grid(maps, size), on_grid(moved, size), change)
    return scores


def _changed(one: Rendering, other: Rendering) -> np.ndarray[Any, Any]:
    """Where two drawings differ, in white."""
    return np.asarray((one.image != other.image).any(2).astype(np.uint8) * 255)
