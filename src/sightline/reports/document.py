"""The frame that all pages share: one template, one style, one theme button, and a policy that admits nothing else.

A page extends `base.html.j2` and fills its blocks; `parts.html.j2` has tables, facts and figures. The result is one
HTML file that works from `file://`. A content security policy admits exactly the style and the script that are
written here, by hash, and no address. It knows no page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Any

OWN = "sightline.reports"


def document(
    template: str,
    *,
    title: str,
    package: str = OWN,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    images: str = "data:",
    media: str = "",
    inline_styles: bool = False,
    filters: Mapping[str, Callable[..., str]] = MappingProxyType({}),
    **values: Any,
) -> str:
    """A page as text.

    Args:
        template: file name of a template that extends `base.html.j2`.
        title: heading, and title of the window.
        package: where the template, styles and scripts lie; what is not there is looked for beside this file.
        styles: file names of style sheets, after `base.css`.
        scripts: file names of scripts, after `base.js`; all of them share one scope of their own.
        images: sources of pictures that the policy admits.
        media: sources of films and sounds that it admits; empty for none.
        inline_styles: whether elements carry styles of their own, as drawings of matplotlib do.
        filters: further filters of the template.
        values: what the template shows; texts are escaped.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    from sightline._version import __version__

    def asset(name: str) -> str:
        return read_asset(name, package)

    style = "".join(asset(name) for name in ("base.css", *styles))
    script = '(() => {\n"use strict";\n' + "\n".join(asset(name) for name in ("base.js", *scripts)) + "})();\n"
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(asset),
    )
    environment.filters.update(filters)
    common = {"title": title, "version": __version__, "command": "sightline", **values}
    return environment.get_template(template).render(
        **common,
        policy=Markup(policy(style, script, images=images, media=media, inline_styles=inline_styles)),  # noqa: S704 - our own
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704 - our own files
    )


def read_asset(name: str, package: str = OWN) -> str:
    """The text of a template, a style or a script that lies in a package, or beside this file."""
    places = (files(place) / name for place in dict.fromkeys((package, OWN)))
    return next(place for place in places if place.is_file()).read_text(encoding="utf-8").replace("\r\n", "\n")


def policy(style: str, script: str, *, images: str = "data:", media: str = "", inline_styles: bool = False) -> str:
    """The content security policy that admits this style, this script and pictures, and no address.

    Args:
        style: text of the only style sheet.
        script: text of the only script.
        images: sources of pictures.
        media: sources of films and sounds; empty for none.
        inline_styles: whether elements may carry styles of their own; a hash would forbid it.
    """
    admitted = "'unsafe-inline'" if inline_styles else f"'{_digest(style)}'"
    rules = [f"style-src {admitted}", f"script-src '{_digest(script)}'", f"img-src {images}"]
    rules += [f"media-src {media}"] if media else []
    return "; ".join(["default-src 'none'", *rules, "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
