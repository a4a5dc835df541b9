"""What the HTML page carries as data: each subject's photo, raw grids and words, as JSON that is safe in HTML.

It decides nothing about looks; `page.js` reads what is written here.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from sightline.reports.glossary import NOTES, ROLES, clean, decided, grid
from sightline.reports.motion import moved
from sightline.reports.packing import packed, packed_difference
from sightline.reports.palette import SIGNED, UNSIGNED
from sightline.reports.photo import LONGEST_SIDE, WIDEST, data_uri, fit
from sightline.reports.scale import own_scale
from sightline.reports.subject import Subject
from sightline.reports.trajectory import Trajectory
from sightline.results import MEANING, AttentionMap, Explanation, Phrase
from sightline.results.concentration import concentration


def safe_json(content: object) -> str:
    r"""JSON that can stand inside a `<script>` element.

    It holds no `<`, `>` or `&` and only ASCII; numbers that are not finite become null.

    Example:
        >>> safe_json({"label": "</script>", "score": float("nan")})
        '{"label":"\\u003c/script\\u003e","score":null}'
    """
    text = json.dumps(_plain(content), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def common_payload() -> dict[str, Any]:
    """What all photos of a page share: the colour tables and what statuses and notes mean."""
    tables = [base64.b64encode(table.numpy().tobytes()).decode() for table in (UNSIGNED, SIGNED)]
    meaning = {str(key): text for key, text in MEANING.items()}
    return {"unsigned": tables[0], "signed": tables[1], "meaning": meaning, "notes": NOTES, "roles": ROLES}


def subject_payload(subject: Subject) -> dict[str, Any]:
    """One photo with all its panels."""
    pixels = fit(subject.pixels, WIDEST if subject.wide else LONGEST_SIDE)
    return {
        "source": subject.source,
        "photo": subject.has_photo,
        "image": data_uri(pixels),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "wide": subject.wide,
        "layers": list(subject.layers),
        "panels": [_panel(subject, item) for item in subject.items],
    }


def _panel(subject: Subject, item: Explanation) -> dict[str, Any]:
    """One method and decision; `at` holds, for each layer of the slider, which map is drawn there."""
    places = {map_.layer: place for place, map_ in enumerate(item.flow.maps)}
    drawn = [subject.at(item, layer) for layer in subject.layers]
    limits = subject.shared(item.method)
    return {
        "method": item.method,
        "label": item.decision.label,
        "decided": decided(item.decision),
        "index": item.decision.index,
        "score": item.decision.score,
        "remarks": list(item.flow.remarks),
        "shared": [limits.low, limits.high],
        "at": [None if map_ is None else places[map_.layer] for map_ in drawn],
        "maps": [_map(map_) for map_ in item.flow.maps],
        "course": _course(Trajectory(item)) if len(item.flow) > 1 else None,
        "sentences": list(item.sentences),
        "phrases": [_phrase(phrase) for phrase in item.phrases],
        "provenance": json.dumps(_plain(item.provenance), indent=1, ensure_ascii=False) if item.provenance else "",
    }


def _map(map_: AttentionMap) -> dict[str, Any]:
    limits = own_scale(map_)
    return {
        "layer": map_.layer,
        "grid": grid(map_),
        "height": map_.shape[0],
        "width": map_.shape[1],
        "sections": list(map_.domain.labels),
        **packed(map_, limits),
        "signed": map_.signed,
        "status": str(map_.status),
        "own": [limits.low, limits.high],
        "concentration": concentration(map_.values),
        "notes": dict(map_.notes),
    }


def _course(course: Trajectory) -> dict[str, Any]:
    """How the evidence moves; lists hold an entry for each map of the flow, `steps` one for each pair."""
    return {
        "gaps": list(course.gaps),
        "steps": [
            None
            if change is None
            else {
                "moved": round(moved(change), 4),
                "sections": list(course.item.flow[0].domain.labels),
                **packed_difference(change),
            }
            for change in course.steps
        ],
        "centres": [
            None if one is None else [round(share, 4) for share in (one.x, one.y, one.across, one.down)]
            for one in course.centres
        ],
        "named": course.named,
        "regions": [
            {
                "name": region.name,
                "box": [round(share, 4) for share in region.box],
                "area": round(region.area, 4),
                "shares": [None if share is None else round(share, 3) for share in row],
            }
            for region, row in zip(course.regions, course.shares, strict=True)
        ],
        "strongest": list(course.strongest),
    }


def _phrase(phrase: Phrase) -> dict[str, Any]:
    return {
        "text": phrase.text,
        "probability": phrase.probability,
        "contribution": phrase.contribution,
        "box": phrase.box,
        "role": phrase.role,
        "energy": phrase.energy,
        "note": phrase.note,
        "said": phrase.said,
        "map": None if phrase.map is None or phrase.map.domain.kind != "image" else _map(phrase.map),
    }


def _plain(content: object) -> Any:
    """The same content in what JSON knows; anything else as its text."""
    if isinstance(content, bool | int | None):
        return content
    if isinstance(content, str):
        return clean(str(content))
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {clean(str(key)): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple | set | frozenset):
        return [_plain(value) for value in content]
    return clean(str(content))
