"""The index over the photos of one command: a card for each, with its thumbnail, its decision and its true class."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sightline.common.text import printable, printable_name

if TYPE_CHECKING:
    from sightline.reports.index_page import Card

INDEX = "index.html"


def card_of(record: Mapping[str, Any], main: Mapping[str, Any] | None = None) -> Card:
    """The card of one photo.

    Args:
        record: what the photo's summary holds.
        main: where the evidence lies in the picture that is drawn, if that is not the one of the first explanation.
    """
    from sightline.reports.index_page import THUMBNAIL, Card

    folder, files = Path(record["folder"]).name, record["files"]
    first = next((name for name in ("page.html", "montage.png", *files) if name in files), "")
    main = main or record["explanations"][0]["main"]
    decisions = {item["decision"]: _score(item) for item in record["explanations"]}
    return Card(
        name=printable_name(folder),
        link=_address(folder, first),
        picture=_address(folder, THUMBNAIL) if THUMBNAIL in files else "",
        decisions=tuple(decisions.items()),
        confidence=record["explanations"][0]["probability"],
        where=main["where"],
        area=math.nan if main["half_area"] is None else main["half_area"],
        truth=record.get("truth") or "",
        right=record.get("right"),
    )


def make_index(folder: Path, cards: Sequence[Card], errors: Sequence[Mapping[str, str]]) -> str:
    """Write the page over all results; returns its path."""
    from sightline.reports.index_page import save_index

    return str(save_index(folder / INDEX, cards, errors=[printable(error["error"]) for error in errors]))


def _address(folder: str, name: str) -> str:
    return quote(os.fsencode(f"{folder}/{name}"))


def _score(item: Mapping[str, Any]) -> str:
    return f"{item['score']:.3g}" if item["probability"] is None else f"{item['probability']:.1%}"
