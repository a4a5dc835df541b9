"""What a world is made from: what is informative, what is noisy, where the birds sit.

Only numbers and their checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from sightline.common.numbers import check_seed
from sightline.errors import DataError, near
from sightline.worlds.aviary.attributes import GROUPS, PARTS, group_index, groups_of
from sightline.worlds.aviary.scene import FAMILIES

LAYOUTS = ("edges", "uniform", "centre")
DIAGNOSTIC = (
    "has_bill_shape", "has_head_pattern", "has_crown_color", "has_throat_color", "has_breast_color",
    "has_breast_pattern", "has_wing_color", "has_wing_pattern", "has_upper_tail_color",
)  # fmt: skip
"""The groups that make a species in a `foreground` world; all others are drawn anew for every bird."""


@dataclass(frozen=True)
class WorldConfig:
    """How a world is made.

    Args:
        cue: what carries the class: `foreground`, `part:NAME` or `background`.
        species: number of classes; None takes 20, or as many as the cue can tell apart.
        twins: pairs of species that differ in exactly one group (`foreground` worlds only).
        seed: the world's seed.
        background_correlation: share of scenes whose background is their species' own family.
        entanglement: share of plumage colours that copy the breast's colour.
        variation: chance that a species' own group takes a random value in an image.
        label_noise: chance that the written class is another one.
        attribute_noise: chance, per group, that the annotator writes another value.
        drop_out: chance, per part, that the part is not there.
        occluders: mean number of leaves and twigs before the bird.
        layout: where the birds sit: `edges` (a centre prior fails), `uniform`, `centre`.
        bird_size: factor on the size of all birds.
        train_share: share of scenes in the training split.

    Raises:
        DataError: a knob outside its range, an unknown cue or layout, more species than the cue can carry.
    """

    cue: str = "foreground"
    species: int | None = None
    twins: int = 3
    seed: int = 0
    background_correlation: float = 0.0
    entanglement: float = 0.0
    variation: float = 0.02
    label_noise: float = 0.0
    attribute_noise: float = 0.0
    drop_out: float = 0.0
    occluders: float = 1.0
    layout: str = "edges"
    bird_size: float = 1.0
    train_share: float = 0.8

    def __post_init__(self) -> None:
        """Check everything before any work."""
        check_seed(self.seed, error=DataError)
        for name in (
            "background_correlation",
            "entanglement",
            "variation",
            "label_noise",
            "attribute_noise",
            "drop_out",
            "train_share",
        ):
            _check_share(name, getattr(self, name))
        _check_range("bird_size", self.bird_size, 0.3, 1.3)
        _check_range("occluders", self.occluders, 0.0, 12.0)
        if self.layout not in LAYOUTS:
            raise DataError(f"there is no layout {self.layout!r}; {near(self.layout, LAYOUTS)}")
        if not 2 <= self.count <= self.capacity:
            raise DataError(
                f"{self.count} species were asked for, but the cue {self.cue!r} can distinguish 2 to "
                f"{self.capacity}; ask for fewer species or another cue"
            )

    @property
    def diagnostic(self) -> tuple[int, ...]:
        """Positions of the groups that make a species."""
        if self.cue == "foreground":
            return tuple(group_index(name) for name in DIAGNOSTIC)
        return () if self.cue == "background" else groups_of(self.cue_part)

    @property
    def cue_part(self) -> str:
        """The part of a `part:NAME` cue, empty for the other cues."""
        if self.cue in ("foreground", "background"):
            return ""
        kind, _, part = self.cue.partition(":")
        if kind != "part" or part not in PARTS:
            cues = ("foreground", "background", *(f"part:{name}" for name in PARTS))
            raise DataError(f"there is no cue {self.cue!r}; {near(self.cue, cues, most=12)}")
        return part

    @property
    def capacity(self) -> int:
        """The most species that the cue can tell apart (a tenth of the combinations of many groups)."""
        if self.cue == "background":
            return len(FAMILIES)
        combinations = prod(len(GROUPS[g].values) for g in self.diagnostic)
        return combinations if self.cue_part else min(200, combinations // 10)

    @property
    def count(self) -> int:
        """The number of species."""
        return min(20, self.capacity) if self.species is None else self.species

    @property
    def home_share(self) -> float:
        """Share of scenes in the species' own background family beyond chance: 1 in a `background` world."""
        return 1.0 if self.cue == "background" else self.background_correlation


def _check_share(name: str, value: float) -> None:
    _check_range(name, value, 0.0, 1.0)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise DataError(f"{name} is {value}; it must lie between {low:g} and {high:g}")
