"""Which sites share one gate: a key for each site."""

from __future__ import annotations

from collections.abc import Callable

from sightline.errors import GateError
from sightline.gates.surgery.site import Site, Sites
from sightline.gates.validation import choice

Share = str | Callable[[Site], object]

SHARES: dict[str, Callable[[Site], object]] = {
    "block": lambda site: f"block {site.stage}.{site.block}",
    "stage": lambda site: f"stage {site.stage}",
    "width": lambda site: f"width {site.channels}",
}
"""One gate for each block; for each stage, as published; for all blocks of a width."""


def keys_of(share: Share, places: Sites) -> dict[str, str]:
    """The key of every site, by its path; sites of one key share a gate.

    Raises:
        GateError: the word is unknown, or sites of different widths would share one.
    """
    rule = share if callable(share) else SHARES[choice("share", share, SHARES)]
    keys = {site.path: str(rule(site)) for site in places}
    widths: dict[str, Site] = {}
    for site in places:
        first = widths.setdefault(keys[site.path], site)
        if first.channels != site.channels:
            raise GateError(
                f"share would put {first.path!r} with {first.channels} channels and {site.path!r} with "
                f"{site.channels} under one gate; a gate has one width: share by block, stage or width"
            )
    return keys
