"""The index: one page over the results of many photos, with a drawn map, the decisions and a link for each.

Its pictures lie in the photos' own folders, so that a folder of a thousand photos opens at once.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.common.files import write_bytes, write_sealed
from sightline.reports.cmaps import DEFAULT
from sightline.reports.document import document
from sightline.reports.drawing import overlay
from sightline.reports.photo import fit, jpeg
from sightline.reports.region import marked
from sightline.reports.subject import subjects_of
from sightline.reports.whole import over_whole
from sightline.results import Results, Status

THUMBNAIL = "thumbnail.jpg"
LONGEST = 320
"""Pixels of a thumbnail's longer side."""
DECISIONS = 3
"""Decisions of a photo that are named; the others are counted."""
ORDERS = (
    ("given", "as given"),
    ("unsure", "least confident first"),
    ("sure", "most confident first"),
    ("narrow", "most concentrated first"),
    ("wide", "least concentrated first"),
    ("name", "name"),
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One photo of the index.

    Args:
        name: what the photo is called.
        link: address of its page, relative to the index.
        picture: address of its thumbnail; empty for none.
        decisions: label and score of each, in words.
        confidence: probability of the first decision; None if there is none.
        where: where the network looked, in words; empty for nowhere.
        area: smallest share of the picture that holds half of the evidence for the first decision; NaN if none does.
        truth: true class; empty if it is not known.
        right: whether the decision names it; None where that cannot be said.
    """

    name: str
    link: str
    picture: str
    decisions: tuple[tuple[str, str], ...]
    confidence: float | None = None
    where: str = ""
    area: float = math.nan
    truth: str = ""
    right: bool | None = None

    @property
    def keys(self) -> dict[str, str]:
        """What the page's script sorts and searches by."""
        words = " ".join([self.name, self.truth, *(label for label, _ in self.decisions)])
        return {
            "name": self.name,
            "words": words.lower(),
            "confidence": "" if self.confidence is None else f"{self.confidence:.6g}",
            "area": "" if math.isnan(self.area) else f"{self.area:.6g}",
            "right": "" if self.right is None else str(self.right).lower(),
        }


def index_page(cards: Sequence[Card], *, errors: Sequence[str] = (), title: str | None = None) -> str:
    """The page as text; it needs the files that its cards name.

    Args:
        cards: the photos.
        errors: what could not be read.
        title: heading; how many photos there are if None.
    """
    orders = ORDERS if any(card.confidence is not None for card in cards) else (ORDERS[0], *ORDERS[3:])
    judged = any(card.right is not None for card in cards)
    return document(
        "index.html.j2",
        title=title or f"Where the network looks in {len(cards)} photos",
        styles=["index.css"],
        scripts=["index.js"],
        images="data: file: 'self'",
        cards=cards,
        shown=DECISIONS,
        errors=errors,
        orders=(("wrong", "wrong decisions first"), *orders) if judged else orders,
        judged=judged,
        verdict=_verdict(cards),
        command="sightline explain",
    )


def save_index(path: Path, cards: Sequence[Card], *, errors: Sequence[str] = ()) -> Path:
    """Write the index, whole or not at all.

    Raises:
        ResultError: it cannot be written.
    """
    write_sealed(path, index_page(cards, errors=errors))
    return path


def save_thumbnail(results: Results, path: Path, *, cmap: str = DEFAULT) -> None:
    """Draw the map that stands for a photo over it, small, as a JPEG.

    Args:
        results: the photo's explanations.
        path: where to.
        cmap: name of the colour map.

    Raises:
        ResultError: there is nothing to draw, or the file cannot be written.
    """
    subject = subjects_of(results)[0]
    item, original = subject.items[0], subject.original
    map_ = item.flow.main
    drawn = fit(subject.pixels if original is None else original.pixels, LONGEST)
    if map_.status is Status.OK:
        if original is None:
            drawn = overlay(map_, drawn, cmap=subject.tint(cmap))
        else:
            drawn = over_whole(map_, original, longest=LONGEST, cmap=subject.tint(cmap))
        drawn = marked(drawn, item.decision, box=subject.crop)
    write_bytes(path, jpeg(drawn))


def _verdict(cards: Sequence[Card]) -> str:
    """What is seen over all photos."""
    judged = [card.right for card in cards if card.right is not None]
    areas = [card.area for card in cards if not math.isnan(card.area)]
    parts = []
    if judged:
        parts.append(
            f"{sum(judged)} of {len(judged)} decisions name the true class; {len(judged) - sum(judged)} do not."
        )
    if areas:
        middle, low, high = statistics.median(areas), min(areas), max(areas)
        parts.append(
            f"Half of the evidence lies in {middle:.0%} of the picture at the median ({low:.0%} to {high:.0%})."
        )
    return " ".join(parts)
