"""`docs/limits.md` tells the truth: each row of its tables is carried out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sightline.errors import SightlineError
from tests.docs.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
ROWS = {
    name: (verdict, remark)
    for name, verdict, remark in re.findall(
        r"^\| (.+?) \| (works|refused) \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
}


def test_the_page_and_the_cases_name_the_same():
    assert sorted(ROWS) == sorted(CASES)


@pytest.mark.parametrize("name", [name for name, (verdict, _) in ROWS.items() if verdict == "works"])
def test_what_the_page_calls_working_works(name):
    found = CASES[name]()
    assert len(found) > 0
    assert all(map_.status in ("ok", "zero", "flat") for item in found for map_ in item.flow.maps)
    assert any(map_.status == "ok" for item in found for map_ in item.flow.maps)


@pytest.mark.parametrize("name", [name for name, (verdict, _) in ROWS.items() if verdict == "refused"])
def test_what_the_page_calls_refused_is_refused_in_the_words_of_the_page(name):
    with pytest.raises(SightlineError) as refusal:
        CASES[name]()
    for quoted in re.findall(r"`(.+?)`", ROWS[name][1]):
        assert quoted in str(refusal.value)
