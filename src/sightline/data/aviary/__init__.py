"""The aviary: a generated world of birds in which the right answer is known."""

from sightline.data.aviary.attributes import GROUPS, PARTS, Group
from sightline.data.aviary.knobs import Knobs
from sightline.data.aviary.render import Rendering, render
from sightline.data.aviary.scene import FAMILIES, Scene
from sightline.data.aviary.species import Species
from sightline.data.aviary.world import World

__all__ = [
    "FAMILIES",
    "GROUPS",
    "PARTS",
    "Group",
    "Knobs",
    "Rendering",
    "Scene",
    "Species",
    "World",
    "render",
]
