"""Text as it may be shown or kept: names of files may hold anything, also what steers a terminal or is no Unicode."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_UNSHOWN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but the line's end, marks that turn the direction of writing, halves of a character."""


def printable(text: str) -> str:
    r"""The text with everything written out that steers a terminal or cannot be written; lines stay lines.

    Example:
        >>> printable("x\x1b[2J\udcff.png")
        'x\\x1b[2J\\xff.png'
    """
    return _UNSHOWN.sub(_written_out, text)


def printable_name(text: str) -> str:
    r"""`printable` of a name, which has one line.

    Example:
        >>> printable_name("a\nb")
        'a\\nb'
    """
    return printable(text).replace("\n", "\\n")


def clipped(text: str, most: int = 60) -> str:
    """A text in quotation marks as an error shows it, cut where it is long.

    Example:
        >>> clipped("9" * 5000, 5)
        "'9999…'"
    """
    return repr(text if len(text) <= most else text[: most - 1] + "…")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    r"""A table in Markdown; the first row is its header.

    Example:
        >>> print(markdown([("a", "b"), ("1|2", "3")]))
        | a | b |
        | --- | --- |
        | 1\|2 | 3 |
    """
    return "\n".join([markdown_row(rows[0]), markdown_row(["---"] * len(rows[0])), *map(markdown_row, rows[1:])])


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a table in Markdown, whose cells may hold bars."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def json_text(content: Any, *, indent: int | None = None) -> str:
    r"""JSON that reads well, can be written as UTF-8, and steers no terminal; it reads back as it was.

    Example:
        >>> json_text("ä\udcff\x9b")
        '"ä\\udcff\\u009b"'
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    return _UNSHOWN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def _written_out(sign: re.Match[str]) -> str:
    code = ord(sign[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
