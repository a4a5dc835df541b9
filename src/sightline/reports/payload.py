"""What the HTML page carries as data: each subject's photo, raw grids and words, as JSON that is safe in HTML.

It decides nothing about looks; `page.js` reads what is written here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sightline.reports.cmaps import DEFAULT
from sightline.reports.density import shared_unit
from sightline.reports.drawing import drawing_record, map_record, photo_record
from sightline.reports.glossary import HELP, NAMES, NOTES, ROLES, SHARES, clean, grid
from sightline.reports.headline import against_share, clause, lead, sure
from sightline.reports.motion import Box, moved
from sightline.reports.packing import packed, packed_difference, ring_text
from sightline.reports.page_picture import PagePicture, picture_of_page
from sightline.reports.region import region_area, region_name, region_of, share_within
from sightline.reports.scale import own_scale
from sightline.reports.subject import Subject
from sightline.reports.trajectory import Trajectory
from sightline.results import MEANING, AttentionMap, Explanation, Phrase
from sightline.results.concentration import concentration
from sightline.results.original import WHOLE, inside_of


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
    """What all photos of a page share: how maps are drawn, and what statuses and numbers mean."""
    return {
        "drawing": drawing_record(),
        "meaning": {str(key): text for key, text in MEANING.items()},
        "notes": NOTES,
        "roles": ROLES,
        "names": NAMES,
        "help": HELP,
        "shares": SHARES,
    }


def subject_payload(subject: Subject, picture: PagePicture | None = None, *, cmap: str = DEFAULT) -> dict[str, Any]:
    """One photo with all its panels.

    Args:
        subject: the photo and its explanations.
        picture: the photo as the page carries it; the page's own markup holds that of the first photo.
        cmap: name of the colour map.

    Raises:
        ResultError: the colour map is unknown.
    """
    return {
        "source": subject.source,
        "photo": subject.has_photo,
        **(picture or picture_of_page(subject)).record(),
        "paint": photo_record(subject.pixels, cmap=cmap, inside=subject.inside),
        "wide": subject.wide,
        "layers": list(subject.layers),
        "panels": [_panel(subject, item) for item in subject.items],
    }


def _panel(subject: Subject, item: Explanation) -> dict[str, Any]:
    """One method and decision; `at` holds, for each layer of the slider, which map is drawn there."""
    places = {map_.layer: place for place, map_ in enumerate(item.flow.maps)}
    drawn = [subject.at(item, layer) for layer in subject.layers]
    unit = shared_unit([map_ for other in subject.items if other.method == item.method for map_ in other.flow.maps])
    return {
        "method": item.method,
        **_method(item),
        "label": item.decision.label,
        "sure": sure(item.decision),
        "probability": item.decision.probability,
        "index": item.decision.index,
        "score": item.decision.score,
        **_target(item),
        "remarks": list(item.flow.remarks),
        "shared": {"value": unit.value, "against": unit.against},
        "main": next((place for place, map_ in enumerate(drawn) if map_ is item.flow.main), None),
        "at": [None if map_ is None else places[map_.layer] for map_ in drawn],
        "maps": [_map(map_, subject.crop) for map_ in item.flow.maps],
        "course": _course(Trajectory(item)) if len(item.flow) > 1 else None,
        "lead": lead(item),
        "sentences": list(item.sentences),
        "phrases": [_phrase(phrase) for phrase in item.phrases],
        "corrections": None if item.corrections is None else item.corrections.record(),
        "provenance": json.dumps(_plain(item.provenance), indent=1, ensure_ascii=False) if item.provenance else "",
    }


def _method(item: Explanation) -> dict[str, Any]:
    """What is known of the method: its name, its equation and why it was taken."""
    texts = {name: item.provenance.get(name) for name in ("title", "equation", "why")}
    return {name: text if isinstance(text, str) else "" for name, text in texts.items()}


def _target(item: Explanation) -> dict[str, Any]:
    """The region that the decision is about, as rings, and each map's share of evidence on it or on the object.

    Beside the shares stands what an even map and the other pictures' maps have there, as far as that is known.
    """
    noted = [map_.notes.get("object") for map_ in item.flow.maps]
    known = any(share is not None for share in noted)
    areas = [map_.notes["object_area"] for map_ in item.flow.maps if "object_area" in map_.notes]
    area = next(iter(areas), None) if known else region_area(item.decision)
    others = [map_.notes.get("object_others") if known else None for map_ in item.flow.maps]
    shares = noted if known else [share_within(map_, item.decision) for map_ in item.flow.maps]
    return {
        "region": [ring_text(loop) for loop in region_of(item.decision)],
        "region_name": region_name(item.decision),
        "on_object": [None if share is None else round(share, 4) for share in shares],
        "others_on_object": [None if share is None else round(share, 4) for share in others],
        "object_area": None if area is None else round(area, 4),
        "object_name": "object" if known else region_name(item.decision),
    }


def _map(map_: AttentionMap, crop: Box = WHOLE) -> dict[str, Any]:
    limits, drawing = own_scale(map_), map_record(map_, inside_of(crop))
    return {
        "clause": clause(map_, crop),
        "value": _brief(drawing["unit"]),
        "against": drawing["against"],
        "kernel": drawing["kernel"],
        "half": None if drawing["area"] is None else round(drawing["area"], 5),
        "outline": _rings(drawing["loops"]),
        "opposed": round(against_share(map_), 4),
        "layer": map_.layer,
        "grid": grid(map_),
        "height": map_.shape[0],
        "width": map_.shape[1],
        "sections": list(map_.domain.labels),
        **packed(map_, limits),
        "signed": map_.signed,
        "status": str(map_.status),
        "own": [_brief(limits.low), _brief(limits.high)],
        "concentration": _brief(concentration(map_.values)),
        "notes": dict(map_.notes),
    }


def _rings(loops: list[list[float]]) -> list[str]:
    return [ring_text(list(zip(loop[::2], loop[1::2], strict=True))) for loop in loops]


def _brief(value: float | None) -> float | None:
    """A number in the nine digits that tell any two float32 apart."""
    return None if value is None else float(f"{value:.9g}")


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
        "object_area": phrase.object_area,
        "object_others": phrase.object_others,
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
