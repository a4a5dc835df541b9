"""Attention modules that are built into a network: where they can go, what is plugged, and which blocks share one."""

from sightline.gates.catalog import GATES
from sightline.gates.dia import DIA
from sightline.gates.plug import Plugged, bake, plug, plugged, unplug, use_scheme
from sightline.gates.scheme import Scheme
from sightline.gates.site import Site, Sites, sites

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
