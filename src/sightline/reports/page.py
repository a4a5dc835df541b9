"""The page: one HTML file that holds photos, raw maps and the program that shows them, and asks nothing of a network.

The looks are in `page.html.j2`, `page.css` and the `page*.js` beside this file; the data is made in `payload`, and
the frame around it in `document`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightline.reports.cmaps import DEFAULT
from sightline.reports.document import document
from sightline.reports.figure import ExtraFigure
from sightline.reports.glossary import clean
from sightline.reports.headline import clause, lead, sure
from sightline.reports.output import write_page
from sightline.reports.page_picture import PagePicture, picture_of_page
from sightline.reports.payload import common_payload, safe_json, subject_payload
from sightline.reports.photo import thumbnail_uri
from sightline.reports.subject import Subject, subjects_of
from sightline.results import LayerChoice, Results

PARTS = (
    "draw", "picture", "erase", "thumbs", "trajectory", "course", "rows", "words", "correct", "numbers", "view",
    "controls",
)  # fmt: skip
SCRIPTS = tuple(f"page_{part}.js" for part in PARTS)
"""Parts of the page's program, in the order in which they are read."""


def page(
    explanations: Results,
    *,
    layers: LayerChoice = None,
    title: str | None = None,
    plates: Sequence[ExtraFigure] = (),
    cmap: str = DEFAULT,
) -> str:
    """One self-contained HTML page for explanations of any number of photos, methods and targets.

    Args:
        explanations: what to show: one explanation, flow or map, or many; those of one photo are methods and
            decisions to choose from.
        layers: which layers: a name, a wildcard, a place (`-1` is the last), or a list of these; None is all.
        title: heading of the page; the photo's name, or how many there are, if None.
        plates: further figures, below everything else.
        cmap: name of the colour map.

    Returns:
        The page's text. It works from `file://`, loads nothing and runs nothing but its own script.

    Raises:
        ResultError: there is nothing to show, or a map lies over a domain that no picture can carry.

    Example:
        >>> import torch
        >>> from sightline.results import AttentionMap, Decision, Explanation, Flow
        >>> flow = Flow((AttentionMap(torch.eye(4), "early"), AttentionMap(torch.eye(2), "late")), "gradcam")
        >>> page([Explanation(flow, Decision("cat", 3.2), torch.rand(3, 32, 32))])[:15]
        '<!doctype html>'
    """
    from markupsafe import Markup

    subjects = subjects_of(explanations, layers)
    pictures = [picture_of_page(subject) for subject in subjects]
    payloads = [
        subject_payload(subject, picture if number else picture.without_image(), cmap=cmap)
        for number, (subject, picture) in enumerate(zip(subjects, pictures, strict=True))
    ]
    return document(
        "page.html.j2",
        title=clean(title) if title else _title(subjects),
        styles=("page.css",),
        scripts=SCRIPTS,
        first=_first(subjects[0], pictures[0]),
        common=Markup(safe_json(common_payload())),  # noqa: S704 - safe_json leaves nothing to escape
        payloads=[Markup(safe_json(payload)) for payload in payloads],  # noqa: S704 - as above
        plates=[(clean(plate.title), clean(plate.words), plate.address) for plate in plates],
        thumbnails=[(clean(subject.source), thumbnail_uri(subject.pixels)) for subject in subjects],
    )


def save_page(
    explanations: Results,
    path: str | Path,
    *,
    layers: LayerChoice = None,
    title: str | None = None,
    plates: Sequence[ExtraFigure] = (),
    cmap: str = DEFAULT,
) -> Path:
    """Write the page, whole or not at all.

    Args:
        explanations: see `page`.
        path: where to.
        layers: see `page`.
        title: see `page`.
        plates: see `page`.
        cmap: see `page`.

    Returns:
        The path.

    Raises:
        ResultError: there is nothing to show, or the file cannot be written.
    """
    return write_page(path, page(explanations, layers=layers, title=title, plates=plates, cmap=cmap))


def _title(subjects: tuple[Subject, ...]) -> str:
    if len(subjects) > 1:
        return f"Where the network looks in {len(subjects)} photos"
    name = clean(subjects[0].source)
    return f"Where the network looks in {name}" if name else "Where the network looks"


def _first(subject: Subject, picture: PagePicture) -> dict[str, Any]:
    """What the page shows before its script runs: the first photo and the sentence of its main map."""
    item = subject.items[0]
    return {
        "label": clean(item.decision.label),
        "method": clean(item.method),
        "sure": sure(item.decision),
        "lead": lead(item),
        "clause": clause(item.flow.main, subject.crop),
        "source": clean(subject.source),
        **picture.record(),
    }
