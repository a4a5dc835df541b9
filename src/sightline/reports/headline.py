"""The one sentence on top of a page: what was decided, how sure, and where the network looked.

It is made for every map, so that the page's sentence follows its slider. It knows no page.
"""

from __future__ import annotations

import math
from typing import Any

from sightline.errors import ResultError
from sightline.reports.glossary import clean, number
from sightline.reports.motion import NO_EVIDENCE, Box, silence
from sightline.reports.outline import half_area
from sightline.reports.panels import drawable
from sightline.reports.where import SPREAD, place_words
from sightline.results import AttentionMap, Decision, Explanation, Status
from sightline.results.concentration import half_share
from sightline.results.original import WHOLE

LEAST_AGAINST = 0.05
"""Evidence against a decision is spoken of where it is at least that share of all evidence."""
GAPS = {
    Status.ZERO.value: "every value of its map is zero",
    Status.FLAT.value: "every value of its map is the same",
    Status.NAN.value: "some values of its map are not finite",
    NO_EVIDENCE: "no value of its map is above zero",
}
"""Why a map has no evidence that could be placed."""


def sure(decision: Decision) -> str:
    """How sure the network is, in words; its score where it gives no probability, and nothing where that is unknown.

    Example:
        >>> sure(Decision("cat", 12.5, probability=0.873))
        '87 % sure'
        >>> sure(Decision("cosine", 0.25))
        'score 0.25'
    """
    if decision.probability is None:
        return "" if math.isnan(decision.score) else f"score {number(decision.score)}"
    percent = 100 * decision.probability
    if percent > 99.5:
        return "more than 99 % sure"
    return f"{percent:.0f} % sure" if percent >= 1 else "less than 1 % sure"


def lead(item: Explanation) -> str:
    """The sentence that comes before the decision's own, where the words are about all of the network's outputs.

    These words have no phrases that point into the picture, as those about one decision have.
    """
    return clean(item.sentences[0]) if item.sentences and not item.phrases else ""


def clause(map_: AttentionMap, crop: Box = WHOLE) -> str:
    """Where the network looked at a layer, as the second half of the sentence.

    Args:
        map_: a layer's map.
        crop: the part of the photo that it lies over.

    Example:
        >>> import torch
        >>> clause(AttentionMap(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 0.0]]), "last"))
        'the network looked mostly at the upper left'
        >>> clause(AttentionMap(torch.zeros(3, 3), "last"))
        'this layer shows no evidence, because every value of its map is zero'
    """
    against = _against(map_, crop)
    if gap := silence(map_):
        return (
            f"this layer shows no evidence for it{against}"
            if against
            else f"this layer shows no evidence, because {GAPS[gap]}"
        )
    words = place_words(map_, crop=crop)
    return f"the network looked {words if words == SPREAD else words.replace('mostly ', 'mostly at ', 1)}{against}"


def main_record(item: Explanation) -> dict[str, Any]:
    """Where the network looked, by the main map: its layer, the region in words, the area of half of the evidence.

    Both are of the picture that is drawn: the user's photo where that is known; of a signal its line, of a volume or
    clip its strip of slices or frames. What no picture is drawn of (words) has an area that is counted in cells.
    """
    map_, crop = item.flow.main, WHOLE if item.original is None else item.original.crop
    try:
        drawn = next((panel.flow[map_.layer] for panel in drawable(item) if map_.layer in panel.flow), None)
    except ResultError:
        drawn = None
    area = half_share(map_.values) if drawn is None else half_area(drawn, crop=crop)
    return {
        "layer": map_.layer,
        "where": "" if drawn is None else place_words(drawn, crop=crop),
        "half_area": None if math.isnan(area) else area,
    }


def against_share(map_: AttentionMap) -> float:
    """Share of all evidence, by magnitude, that is against the decision; zero for a map without signs.

    Example:
        >>> import torch
        >>> against_share(AttentionMap(torch.tensor([[3.0, -1.0]]), "last", signed=True))
        0.25
    """
    if not map_.signed or map_.status is not Status.OK:
        return 0.0
    values = map_.values.detach().cpu().double()
    whole = float(values.abs().sum())
    return float(values.clamp(max=0.0).abs().sum()) / whole if 0.0 < whole < float("inf") else 0.0


def _against(map_: AttentionMap, crop: Box) -> str:
    """Where the evidence against the decision lies, if there is enough of it."""
    if against_share(map_) < LEAST_AGAINST:
        return ""
    words = place_words(map_, against=True, crop=crop)
    return f"; the evidence against it is {words if words == SPREAD else words.replace('mostly ', 'mostly in ', 1)}"
