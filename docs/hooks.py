"""What mkdocs does besides: formulas become MathML, so that no page loads a program to draw them."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)


def on_page_content(page: str, /, **_: Any) -> str:
    """Turn each formula that arithmatex has marked into MathML."""
    return FORMULA.sub(_mathml, page)


def _mathml(match: re.Match[str]) -> str:
    display = "block" if match[2] == "[" else "inline"
    return convert(html.unescape(match[3]).strip(), display=display)
