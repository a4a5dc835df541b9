"""The aviary: a generated world of birds in which the right answer is known."""

from sightline.worlds.aviary.attributes import GROUPS, PARTS, Group
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.render import Rendering, render
from sightline.worlds.aviary.scene import FAMILIES, Scene
from sightline.worlds.aviary.species import Species
from sightline.worlds.aviary.world import World

__all__ = [
    "FAMILIES",
    "GROUPS",
    "PARTS",
    "Group",
    "Rendering",
    "Scene",
    "Species",
    "World",
    "WorldConfig",
    "render",
]
