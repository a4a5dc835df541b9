"""The index: one page for many photos, with a small picture, the decisions and a link for each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sightline.common.text import printable, printable_name

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
 :root { color-scheme: light dark; }
 body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
 h1 { font-size: 1.4rem; font-weight: 600; }
 ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; list-style: none;
   padding: 0; }
 li { border: 1px solid #8886; border-radius: .5rem; overflow: hidden; }
 li a { color: inherit; display: block; text-decoration: none; }
 li a:hover, li a:focus-visible { background: #8882; }
 img { display: block; width: 100%; height: 11rem; object-fit: contain; background: #8881; }
 .text { padding: .6rem .8rem .8rem; overflow-wrap: anywhere; }
 .name { font-weight: 600; }
 .score { opacity: .75; }
 .bad { color: #c33; }
</style>
<h1>{{ title }}</h1>
<ul>
{%- for card in cards %}
 <li><a href="{{ card.link }}"><img src="{{ card.thumbnail }}" alt="">
  <div class="text"><div class="name">{{ card.name }}</div>
  {%- for line in card.lines %}<div>{{ line.label }} <span class="score">{{ line.score }}</span></div>{% endfor %}
  </div></a></li>
{%- endfor %}
</ul>
{%- if errors %}
<h1>Not read</h1>
{%- for error in errors %}<p class="bad">{{ error }}</p>{% endfor %}
{%- endif %}
</html>
"""


def save_index(
    path: Path, photos: Sequence[Mapping[str, Any]], *, thumbnails: Sequence[str], errors: Sequence[Mapping[str, str]]
) -> Path:
    """Write the index page, whole or not at all.

    Args:
        path: where to; links are relative to it.
        photos: one record per photo, as in the summary.
        thumbnails: a data address per photo.
        errors: photos that could not be read.

    Raises:
        ResultError: it cannot be written.
    """
    from jinja2 import Environment

    from sightline.common.files import write_sealed

    cards = [_card(photo, thumbnail) for photo, thumbnail in zip(photos, thumbnails, strict=True)]
    template = Environment(autoescape=True).from_string(PAGE)
    title = f"Where the network looks in {len(cards)} photos"
    text = template.render(title=title, cards=cards, errors=[printable(error["error"]) for error in errors])
    write_sealed(path, text)
    return path


def _card(photo: Mapping[str, Any], thumbnail: str) -> dict[str, Any]:
    folder = Path(photo["folder"]).name
    first = next((name for name in ("page.html", "montage.png", *photo["files"]) if name in photo["files"]), "")
    items = {item["decision"]: item for item in photo["explanations"]}
    lines = [{"label": label, "score": _score(item)} for label, item in items.items()]
    return {
        "link": quote(os.fsencode(f"{folder}/{first}")),
        "thumbnail": thumbnail,
        "name": printable_name(folder),
        "lines": lines,
    }


def _score(item: Mapping[str, Any]) -> str:
    return f"{item['score']:.3g}" if item["probability"] is None else f"{item['probability']:.1%}"
