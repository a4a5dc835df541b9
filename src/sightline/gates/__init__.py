"""Attention modules that are built into a network: where they can go, what is plugged, and which blocks share one."""

from sightline.gates.scheme import Scheme

__all__ = ["Scheme"]
