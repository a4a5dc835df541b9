"""A study begins with a summary of five lines, and a page for users quotes it word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT

DOCS = ROOT / "docs"
STUDIES = sorted((DOCS / "studies").glob("*.md"))
SUMMARY = re.compile(r"<!-- summary: ([\w-]+) -->\n(.*?)<!-- summary end -->", re.DOTALL)


def summaries(page: Path) -> dict[str, str]:
    return dict(SUMMARY.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("study", STUDIES, ids=lambda page: page.stem)
def test_a_study_begins_with_five_lines_that_a_page_for_users_quotes(study: Path) -> None:
    text = study.read_text(encoding="utf-8")
    summary = summaries(study)[study.stem]
    assert text.index("<!-- summary: ") < text.index("\n## ")
    assert [line[:2] for line in summary.splitlines()] == ["- "] * 5
    quotes = [summaries(page).get(study.stem) for page in DOCS.rglob("*.md") if page.parent.name != "studies"]
    assert [quote for quote in quotes if quote is not None] == [summary]


def test_no_page_quotes_a_study_that_is_not_there() -> None:
    names = {name for page in DOCS.rglob("*.md") for name in summaries(page)}
    assert names == {page.stem for page in STUDIES}
