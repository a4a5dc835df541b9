"""Attention modules that are built into a network: where they can go, what is plugged, and which blocks share one."""

from sightline.gates.modules.catalog import GATES
from sightline.gates.modules.dia import DIA
from sightline.gates.scheme import Scheme
from sightline.gates.surgery.plug import Plugged, bake, plug, plugged, unplug, use_scheme
from sightline.gates.surgery.site import Site, Sites, sites

__all__ = [
    "DIA",
    "GATES",
    "Plugged",
    "Scheme",
    "Site",
    "Sites",
    "bake",
    "plug",
    "plugged",
    "sites",
    "unplug",
    "use_scheme",
]
