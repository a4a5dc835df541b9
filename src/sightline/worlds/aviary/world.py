"""A world: config, species, and a scene for every index.

Every aspect of every scene has a random stream of its own (world seed, index, aspect), so a scene can be
made alone and an aspect can change without moving the others. Knows nothing of pixels or files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.random import Generator

from sightline.errors import DataError
from sightline.worlds.aviary.attributes import GROUPS, PARTS, group_index, names
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.scene import FAMILIES, Backdrop, Cover, Light, Perch, Pose, Scene
from sightline.worlds.aviary.species import Species, make_species

LENGTHS = (0.20, 0.265, 0.345)
"""Body length as a share of the image side for small, medium and large birds."""
_ASPECTS = (
    "species",
    "values",
    "pose",
    "light",
    "backdrop",
    "covers",
    "noise",
    "missing",
    "perch",
    "seed",
    "split",
)


@dataclass(frozen=True)
class World:
    """A generated world of birds.

    Example:
        >>> world = World(WorldConfig(species=6, seed=3))
        >>> world.scene(5) == world.scene(5)
        True
    """

    config: WorldConfig = field(default_factory=WorldConfig)

    @cached_property
    def species(self) -> tuple[Species, ...]:
        """The classes."""
        return make_species(self.config)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(species.name for species in self.species)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the binary attributes."""
        return names()

    def stream(self, index: int, aspect: str) -> Generator:
        """The random stream of one aspect of one scene."""
        return np.random.default_rng([self.config.seed, index, _ASPECTS.index(aspect)])

    def in_train(self, index: int) -> bool:
        """Whether a scene belongs to the training split."""
        return bool(self.stream(index, "split").random() < self.config.train_share)

    def scene(self, index: int) -> Scene:
        """Scene number `index`, from 0.

        Raises:
            DataError: a negative index.
        """
        if index < 0:
            raise DataError(f"there is no scene {index}; scenes count from 0")
        kind = self._class(index)
        values = self._values(index, kind)
        label, noted = self._notes(index, kind, values)
        pose = self._pose(index, values)
        return Scene(
            index=index,
            seed=int(self.stream(index, "seed").integers(2**31)),
            species=kind,
            label=label,
            values=values,
            noted=noted,
            missing=self._missing(index),
            pose=pose,
            light=_light(self.stream(index, "light")),
            backdrop=self._backdrop(index, kind),
            perch=_perch(self.stream(index, "perch")),
            covers=self._covers(index, pose),
        )

    def _class(self, index: int) -> int:
        """Balanced: every block of as many scenes as classes holds each class once."""
        count = self.config.count
        block = np.random.default_rng([self.config.seed, index // count, 211])
        return int(block.permutation(count)[index % count])

    def _values(self, index: int, kind: int) -> tuple[int, ...]:
        """The species' code where it has one, chance (or the breast's colour) elsewhere."""
        rng = self.stream(index, "values")
        draws = [int(rng.integers(len(group.values))) for group in GROUPS]
        varies = rng.random(len(GROUPS)) < self.config.variation
        copies = rng.random(len(GROUPS)) < self.config.entanglement
        code = self.species[kind].code
        values = [draw if own is None or vary else own for draw, own, vary in zip(draws, code, varies, strict=True)]
        breast = values[group_index("has_breast_color")]
        for g, group in enumerate(GROUPS):
            if code[g] is None and group.coloured and copies[g]:
                values[g] = breast
        return tuple(values)

    def _notes(self, index: int, kind: int, values: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """What the annotator writes: the class, and a value per group."""
        rng, config = self.stream(index, "noise"), self.config
        shift = int(rng.integers(1, config.count))
        label = (kind + shift) % config.count if rng.random() < config.label_noise else kind
        wrong = rng.random(len(GROUPS)) < config.attribute_noise
        shifts = [int(rng.integers(1, len(group.values))) for group in GROUPS]
        moved = [(v + s) % len(g.values) for v, s, g in zip(values, shifts, GROUPS, strict=True)]
        return label, tuple(m if w else v for m, v, w in zip(moved, values, wrong, strict=True))

    def _pose(self, index: int, values: tuple[int, ...]) -> Pose:
        """Size from the bird's size value, position from the layout."""
        rng, config = self.stream(index, "pose"), self.config
        length = LENGTHS[values[group_index("has_size")]] * config.bird_size * float(rng.uniform(0.94, 1.06))
        left = bool(rng.random() < 0.5)
        spread = {"edges": 0.2, "uniform": 1.0, "centre": 40.0}[config.layout]
        across, down = (float(v) for v in rng.beta(spread, spread, 2))
        x, y = _between(across, 0.94 * length), _between(down, 0.82 * length)
        return Pose(
            x=x + (-1 if left else 1) * 0.08 * length,
            y=y,
            length=length,
            tilt=float(rng.uniform(-22, 14)),
            head=float(rng.uniform(-16, 20)),
            tail=float(rng.uniform(-24, 12)),
            wing=float(rng.uniform(-6, 5)) if rng.random() < 0.75 else float(rng.uniform(14, 34)),
            left=left,
        )

    def _missing(self, index: int) -> tuple[str, ...]:
        drops = self.stream(index, "missing").random(len(PARTS)) < self.config.drop_out
        return tuple(part for part, dropped in zip(PARTS, drops, strict=True) if dropped)

    def _backdrop(self, index: int, kind: int) -> Backdrop:
        rng = self.stream(index, "backdrop")
        anywhere = FAMILIES[int(rng.integers(len(FAMILIES)))]
        at_home = rng.random() < self.config.home_share
        return Backdrop(self.species[kind].home if at_home else anywhere, int(rng.integers(2**31)))

    def _covers(self, index: int, pose: Pose) -> tuple[Cover, ...]:
        rng = self.stream(index, "covers")
        count = min(12, int(rng.poisson(self.config.occluders)))
        return tuple(_cover(rng, pose) for _ in range(count))


def _between(share: float, margin: float) -> float:
    """A position that keeps `margin` from both borders; the middle where nothing else fits."""
    margin = min(margin, 0.5)
    return margin + share * (1 - 2 * margin)


def _light(rng: Generator) -> Light:
    return Light(
        brightness=float(rng.uniform(0.86, 1.10)),
        warmth=float(rng.uniform(-1, 1)),
        slope=float(rng.uniform(0, 0.28)),
        angle=float(rng.uniform(0, 2 * np.pi)),
    )


def _perch(rng: Generator) -> Perch:
    return Perch(
        slope=float(rng.uniform(-14, 14)),
        thickness=float(rng.uniform(0.12, 0.24)),
        tone=float(rng.uniform()),
        seed=int(rng.integers(2**31)),
    )


def _cover(rng: Generator, pose: Pose) -> Cover:
    """A leaf or twig whose base lies around the bird."""
    away, turn = rng.uniform(0.35, 1.3) * pose.length, rng.uniform(0, 2 * np.pi)
    return Cover(
        kind="leaf" if rng.random() < 0.8 else "twig",
        x=float(pose.x + away * np.cos(turn)),
        y=float(pose.y + 0.8 * away * np.sin(turn)),
        length=float(pose.length * rng.uniform(0.3, 0.6)),
        angle=float(rng.uniform(0, 360)),
        tone=float(rng.uniform()),
    )
