"""What a result comes to: the same facts as a table for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.common.text import printable_name
from sightline.terminal.screen import say, say_table

if TYPE_CHECKING:
    from sightline.results import AttentionMap, Explanation


PHRASE = (
    "text",
    "role",
    "probability",
    "contribution",
    "box",
    "energy",
    "object_area",
    "object_others",
    "note",
    "said",
)
"""What the record holds of a phrase; its map is in the arrays."""


def explanation_record(item: Explanation) -> dict[str, Any]:
    """Decision, score, probability, and per layer the status and statistics."""
    decision = item.decision
    return {
        "method": item.method,
        "remarks": list(item.flow.remarks),
        "decision": decision.label,
        "index": decision.index,
        "score": decision.score,
        "probability": decision.probability,
        "sentences": list(item.sentences),
        "words": [phrase.text for phrase in item.phrases],
        "phrases": [{name: getattr(phrase, name) for name in PHRASE} for phrase in item.phrases],
        "layers": [_layer_record(map_) for map_ in item.flow.maps],
    }


def _layer_record(map_: AttentionMap) -> dict[str, Any]:
    from sightline.results.concentration import concentration

    return {
        "layer": map_.layer,
        "status": str(map_.status),
        "shape": list(map_.shape),
        **map_.statistics(),
        "concentration": concentration(map_.values),
        "notes": map_.notes,
    }


def say_summary(photos: Sequence[dict[str, Any]], *, index: str | None) -> None:
    """The table of all photos, decisions and methods, and where the files are."""
    columns = ("photo", "decision", ">score", ">probability", "method", "layers", "looked at")
    say_table(columns, (row for photo in photos for row in _rows(photo)))
    for photo in photos:
        for decision, words in _sentences(photo).items():
            say(f"{printable_name(Path(photo['source']).name)}, {decision}: {words}")
    for photo in photos:
        say(f"{printable_name(photo['folder'])}: {', '.join(photo['files'])}")
    if index:
        say(f"all photos: {index}")


def _rows(photo: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    before: tuple[str, ...] = ()
    for item in photo["explanations"]:
        chance = item["probability"]
        head = (
            Path(photo["source"]).name,
            item["decision"],
            f"{item['score']:.4g}",
            "" if chance is None else f"{chance:.1%}",
        )
        cells = ("",) * len(head) if head == before else head
        before = head
        yield (*cells, item["method"], _statuses(item["layers"]), _looked(item.get("main")))
        if item["words"] and not item["sentences"]:
            yield ("", "; ".join(item["words"]), "", "", "", "", "")


def _sentences(photo: dict[str, Any]) -> dict[str, str]:
    """What is said of each decision, once."""
    return {item["decision"]: " ".join(item["sentences"]) for item in photo["explanations"] if item["sentences"]}


def _statuses(layers: Sequence[dict[str, Any]]) -> str:
    """For example `17 ok, 1 zero`."""
    counts = Counter(row["status"] for row in layers)
    return ", ".join(f"{counts[status]} {status}" for status in ("ok", "zero", "flat", "nan") if counts[status])


def _looked(main: dict[str, Any] | None) -> str:
    """For example `mostly the top (half in 4 %)`."""
    if main is None or main["half_area"] is None:
        return "-"
    half = f"half in {100 * main['half_area']:.2g} %"
    return f"{main['where']} ({half})" if main["where"] else half
