"""A scene as data: everything that one picture depends on, and nothing drawn yet.

A scene is frozen and complete: rendering it twice gives the same bytes, and replacing one field gives
its counterfactual. Knows nothing of how scenes are sampled or drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = ("sky", "forest", "water", "meadow", "desert", "city", "snow", "sunset")
"""Background families."""


@dataclass(frozen=True)
class Pose:
    """Where and how the bird sits.

    Args:
        x: centre of the body, as a share of the image side.
        y: the same, downwards.
        length: body length as a share of the image side.
        tilt: degrees by which the whole bird leans forwards.
        head: degrees by which the head nods forwards.
        tail: degrees by which the tail is lowered.
        wing: degrees by which the wing is lifted.
        left: whether the bird looks to the left.
    """

    x: float
    y: float
    length: float
    tilt: float = 0.0
    head: float = 0.0
    tail: float = 0.0
    wing: float = 0.0
    left: bool = False


@dataclass(frozen=True)
class Light:
    """Global light: brightness (1 is neutral), warmth (-1 blue to 1 amber), slope and its angle."""

    brightness: float = 1.0
    warmth: float = 0.0
    slope: float = 0.0
    angle: float = 0.0


@dataclass(frozen=True)
class Backdrop:
    """A background family and the seed of its details."""

    family: str
    seed: int


@dataclass(frozen=True)
class Cover:
    """A leaf or a twig in front of the bird: base, length (shares of the side), angle, tone in 0-1."""

    kind: str
    x: float
    y: float
    length: float
    angle: float
    tone: float


@dataclass(frozen=True)
class Perch:
    """The branch under the feet: slope in degrees, thickness in body lengths, tone in 0-1, leaf seed."""

    slope: float
    thickness: float
    tone: float
    seed: int


@dataclass(frozen=True)
class Scene:
    """One picture of a world.

    Args:
        index: number of the scene in its world, from 0.
        seed: seed of feather texture and colour jitter.
        species: the true class.
        label: the class that is written down; differs from `species` under label noise.
        values: the true value of every attribute group.
        noted: the value that the annotator wrote down; differs under attribute noise.
        missing: parts that are not drawn.
        pose: the bird's pose.
        light: the light.
        backdrop: the background.
        perch: the branch.
        covers: what hides the bird.
        bird: whether there is a bird at all.
    """

    index: int
    seed: int
    species: int
    label: int
    values: tuple[int, ...]
    noted: tuple[int, ...]
    missing: tuple[str, ...]
    pose: Pose
    light: Light
    backdrop: Backdrop
    perch: Perch
    covers: tuple[Cover, ...] = ()
    bird: bool = True
