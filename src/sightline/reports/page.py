"""The page: one HTML file that holds photos, raw maps and the program that shows them, and asks nothing of a network.

The looks are in `page.html.j2`, `page.css` and the `page*.js` beside this file; the data is made in `payload`. A
content security policy admits exactly the style and the script that are written here, by hash, and no address.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from sightline.reports.figure import ExtraFigure
from sightline.reports.glossary import clean
from sightline.reports.output import write_page
from sightline.reports.payload import common_payload, safe_json, subject_payload
from sightline.reports.photo import thumbnail_uri
from sightline.reports.subject import Subject, subjects_of
from sightline.results import LayerChoice, Results

SCRIPTS = ("page_draw.js", "page_chart.js", "page_panel.js", "page_trajectory.js", "page_flow.js", "page.js")


def page(
    explanations: Results,
    *,
    layers: LayerChoice = None,
    title: str | None = None,
    plates: Sequence[ExtraFigure] = (),
) -> str:
    """One self-contained HTML page for explanations of any number of photos, methods and targets.

    Args:
        explanations: what to show: one explanation, flow or map, or many; those of one photo become panels side by
            side.
        layers: which layers: a name, a wildcard, a place (`-1` is the last), or a list of these; None is all.
        title: heading of the page; the photo's name, or how many there are, if None.
        plates: further figures, below the panels.

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
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    subjects = subjects_of(explanations, layers)
    style, script = _asset("page.css"), _program()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html.j2")).render(
        title=clean(title) if title else _title(subjects),
        methods=_methods(subjects),
        reasons=_reasons(subjects),
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own files
        common=Markup(safe_json(common_payload())),  # noqa: S704 - safe_json leaves nothing to escape
        payloads=(Markup(safe_json(subject_payload(subject))) for subject in subjects),  # noqa: S704 - as above
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
) -> Path:
    """Write the page, whole or not at all.

    Args:
        explanations: see `page`.
        path: where to.
        layers: see `page`.
        title: see `page`.
        plates: see `page`.

    Returns:
        The path.

    Raises:
        ResultError: there is nothing to show, or the file cannot be written.
    """
    return write_page(path, page(explanations, layers=layers, title=title, plates=plates))


def _title(subjects: tuple[Subject, ...]) -> str:
    if len(subjects) > 1:
        return f"Where the network looks in {len(subjects)} photos"
    name = clean(subjects[0].source)
    return f"Where the network looks in {name}" if name else "Where the network looks"


def _methods(subjects: tuple[Subject, ...]) -> tuple[str, ...]:
    """Every method that was used, once."""
    return tuple(dict.fromkeys(clean(item.method) for subject in subjects for item in subject.items))


def _reasons(subjects: tuple[Subject, ...]) -> tuple[str, ...]:
    """Why a method was taken, where the provenance says so; every sentence once."""
    reasons = (item.provenance.get("why") for subject in subjects for item in subject.items)
    return tuple(dict.fromkeys(clean(why) for why in reasons if isinstance(why, str) and why))


def _asset(name: str) -> str:
    return (files("sightline.reports") / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _program() -> str:
    """All scripts as one, in a scope of their own."""
    return '(() => {\n"use strict";\n' + "\n".join(_asset(name) for name in SCRIPTS) + "})();\n"


def _policy(style: str, script: str) -> str:
    """The content security policy that admits this style and this script, pictures within the page, nothing else."""
    admitted = {"style-src": _digest(style), "script-src": _digest(script)}
    rules = [f"{name} '{digest}'" for name, digest in admitted.items()]
    return "; ".join(["default-src 'none'", *rules, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
