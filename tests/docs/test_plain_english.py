"""User-facing text uses none of the words and phrases of `dialect.toml`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs import plain

DIALECT = tomllib.loads(Path(__file__).with_name("dialect.toml").read_text(encoding="utf-8"))
AVOIDED = {
    re.compile(rf"(?<![\w-])(?:{word})(?![\w-])", re.IGNORECASE): better
    for word, better in (DIALECT["phrases"] | DIALECT["words"]).items()
}
SOURCES = {
    "pages": plain.pages,
    "strings": plain.strings,
    "docstrings": plain.docstrings,
    "helps": plain.helps,
    "templates": plain.templates,
}


def findings(place: str, text: str) -> list[str]:
    """Each avoided word in a text, with its surroundings and what to write instead."""
    text = " ".join(text.split())
    for allowed in DIALECT["allowed"]:
        text = text.replace(allowed, "")
    return [
        f"{place}: ...{text[max(0, match.start() - 30) : match.end() + 30]}... -> {better}"
        for pattern, better in AVOIDED.items()
        for match in pattern.finditer(text)
    ]


@pytest.mark.parametrize("source", SOURCES)
def test_user_facing_text_is_plain_english(source: str) -> None:
    wrong = [line for place, text in SOURCES[source]() for line in findings(place, text)]
    assert not wrong, "\n".join(["write plain English (tests/docs/dialect.toml):", *wrong])


def test_the_sources_are_not_empty() -> None:
    assert {name: len(list(source())) > 10 for name, source in SOURCES.items()} == dict.fromkeys(SOURCES, True)


def test_an_avoided_word_is_noticed_wherever_it_stands() -> None:
    assert findings("a", "the layer is no\npicture")
    assert findings("a", "Whatever you like")
    assert not findings("a", "there is no picture; households; it is no longer there")


def test_the_pages_for_users_are_short() -> None:
    names = {page.relative_to(plain.DOCS).as_posix(): page for page in plain.user_pages()}
    counts = {name: plain.words(page) for name, page in names.items() if not name.startswith(plain.UNCOUNTED)}
    longest = sorted(counts.items(), key=lambda item: -item[1])
    later = [counts.pop(f"howto/{name}.md") for name in ("events", "captions", "clicks")]
    assert max(later) <= 1_000, f"{later} words; a page for each of the three tasks of later"
    assert sum(counts.values()) <= 15_000, f"{sum(counts.values())} words; longest pages: {longest[:8]}"
