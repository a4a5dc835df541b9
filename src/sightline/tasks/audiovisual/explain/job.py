"""`sightline explain CLIP` with a network of events, or with none: a folder for each clip, with its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.errors import InputError
from sightline.results import Explanations
from sightline.tasks.audiovisual.explain.clip import EventClip, read_event_clip
from sightline.tasks.audiovisual.explain.posthoc import flow_maps
from sightline.tasks.audiovisual.explain.result import explained
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import load_net
from sightline.tasks.audiovisual.report.page import save_event_page
from sightline.tasks.audiovisual.report.strip import save_strip
from sightline.terminal.folder import folder_names, whole_folder, write_summary
from sightline.terminal.intrinsic import Request
from sightline.terminal.screen import say, say_error, say_json, say_note
from sightline.terminal.summary import explanation_record

WITHOUT = (
    "no network was named, so the clip gets no event: its picture, its sound and its ruler are shown. "
    "`sightline train events` makes a network that knows drawn scenes"
)


def explain_clips(request: Request) -> bool:
    """Explain every clip of a request; files that cannot be read are reported and passed over.

    Returns:
        Whether all of them could be read.
    """
    net = None if request.weights is None else load_net(request.weights)
    records: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    for path, name in zip(request.files, folder_names(request.files), strict=True):
        try:
            clip = read_event_clip(path, EventSpec(("none",)) if net is None else net.spec)
        except InputError as problem:
            errors.append({"source": str(path), "error": str(problem)})
            continue
        items = Explanations(()) if net is None else explained(net, clip, request.targets)
        records.append(_written(clip, items, request.out / name, request, net))
    _report(records, errors, request)
    return not errors


def _written(
    clip: EventClip, items: Explanations, folder: Path, request: Request, net: EventNet | None
) -> dict[str, Any]:
    """Write one clip's folder; returns its record, which is also in the folder."""
    from sightline._version import __version__

    record: dict[str, Any] = {
        "source": str(clip.path),
        "folder": str(folder),
        "ruler": list(clip.ruler.lines()),
        "segments": [list(row) for row in clip.ruler.table()],
        "notes": [*clip.ruler.notes, *([WITHOUT] if net is None else [])],
        "explanations": [explanation_record(item) for item in items],
    }
    with whole_folder(folder) as partial:
        drawn = {"html", "png"} & set(request.formats)
        flows = [] if net is None or not drawn else flow_maps(net, clip, items)
        if "html" in request.formats:
            save_event_page(clip, items, partial / "page.html", flows=flows)
        if "png" in request.formats:
            save_strip(clip, items, partial / "strip.png", flows=flows)
        if "arrays" in request.formats and len(items):
            items.save(partial)
        record["files"] = sorted(path.name for path in partial.iterdir())
        write_summary(partial, {"sightline": __version__, **record})
    return record


def _report(records: list[dict[str, Any]], errors: list[dict[str, str]], request: Request) -> None:
    """The same for people or for programs."""
    if request.as_json:
        say_json({"photos": records, "errors": errors})
    for record in () if request.as_json else records:
        say(f"{Path(record['source']).name}")
        for line in record["ruler"]:
            say(f"  {line}")
        for item in record["explanations"][:3]:
            say(f"  {item['decision']}: probability {item['probability']:.3f}")
        say(f"  {record['folder']}: {', '.join(record['files'])}")
    for record in records:
        for note in record["notes"]:
            say_note(f"{Path(record['source']).name}: {note}")
    for sentence in dict.fromkeys(s for r in records for item in r["explanations"] for s in item["sentences"]):
        say_note(sentence)
    for error in errors:
        say_error(error["error"])
