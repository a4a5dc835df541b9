"""Read `docs/references.bib`: entries in the order of the file, LaTeX accents and braces turned into plain text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

BIB = Path(__file__).resolve().parents[1] / "references.bib"
ACCENTS = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "c": "\u0327", "v": "\u030c"}
LETTERS = {r"\o": "ø", r"\O": "Ø", r"\l": "ł", r"\L": "Ł", r"\ss": "ß", r"\ae": "æ", r"\aa": "å", r"\i": "ı"}


@dataclass(frozen=True)
class Entry:
    """One entry: its kind, its key, and its fields as plain text."""

    kind: str
    key: str
    fields: dict[str, str]

    @property
    def authors(self) -> str:
        """`A. Vedaldi, A. Zisserman`, as `Given Family`; more than six are cut short."""
        names = [" ".join(reversed(name.split(", ", 1))) for name in self.fields["author"].split(" and ")]
        return ", ".join(names if len(names) <= 6 else [*names[:5], "et al."])

    @property
    def where(self) -> str:
        """Journal, conference or report, with volume and number."""
        named = ("journal", "booktitle", "howpublished", "institution", "publisher", "school", "note")
        place = next((self.fields[name] for name in named if name in self.fields), "")
        volume, number = self.fields.get("volume"), self.fields.get("number")
        issue = (f" {volume}" + (f"({number})" if number else "")) if volume else (f", {number}" if number else "")
        return place + issue


def entries(path: Path = BIB) -> list[Entry]:
    """All entries.

    Raises:
        ValueError: a key stands twice, or braces do not match.
    """
    text = path.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"@(\w+)\s*\{\s*([^,\s]+)\s*,", text):
        body = text[match.end() : _closing(text, match.end())]
        found.append(Entry(match[1].lower(), match[2], _fields(body)))
    keys = [entry.key for entry in found]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"these keys stand twice in {path.name}: {', '.join(twice)}")
    return found


def _fields(body: str) -> dict[str, str]:
    fields, at = {}, 0
    while match := re.compile(r"\s*,?\s*(\w+)\s*=\s*").match(body, at):
        at = match.end()
        if body[at] in '{"':
            end = _closing(body, at + 1) if body[at] == "{" else body.index('"', at + 1)
            value, at = body[at + 1 : end], end + 1
        else:
            value = re.compile(r"[^,\s}]+").match(body, at)[0]
            at += len(value)
        fields[match[1].lower()] = plain(value)
    return fields


def _closing(text: str, start: int) -> int:
    """Where the brace that is open at `start` closes."""
    depth = 1
    for at in range(start, len(text)):
        escaped = at and text[at - 1] == "\\"
        depth += 0 if escaped else {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise ValueError(f"a brace is never closed: {text[start : start + 40]!r}")


def plain(value: str) -> str:
    """LaTeX text as Unicode.

    Example:
        >>> plain(r"M\\"uller, {Klaus-Robert} and Durand, Fr{\\'e}do")
        'Müller, Klaus-Robert and Durand, Frédo'
    """
    for command, letter in LETTERS.items():
        value = re.sub(re.escape(command) + r"(?![A-Za-z])\s?", letter, value)

    def accented(match: re.Match[str]) -> str:
        letter = "i" if match[2] == "ı" else match[2]
        return unicodedata.normalize("NFC", letter + ACCENTS[match[1]])

    value = re.sub(r"\\(['`\"^~])\s*\{?([A-Za-zı])\}?", accented, value)
    value = re.sub(r"\\([cv])\s*\{([A-Za-z])\}", accented, value)
    value = value.replace(r"\&", "&").replace("--", "–").replace("~", " ")
    return " ".join(re.sub(r"[{}]", "", value).split())
