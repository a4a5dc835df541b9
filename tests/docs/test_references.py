"""Every source that the library cites is in `docs/references.bib`."""

from __future__ import annotations

import re

import pytest
from bib import entries, plain

from sightline.explainers import METHODS
from sightline.metrics import METRICS
from tests.docs.conftest import ROOT

KEY = r"[a-z]+(?:19|20)\d\d[a-z]+"
KNOWN = {entry.key for entry in entries()}


def cited(text: str) -> set[str]:
    """Keys in brackets `[key]`, `[key; key]`, and keys as string literals."""
    brackets = re.findall(rf"\[({KEY}(?:[;,] *{KEY})*)\](?!\()", text)
    literals = re.findall(rf"[\"']({KEY})[\"']", text)
    return {key for group in brackets for key in re.split(r"[;,] *", group)} | set(literals)


def test_every_key_in_the_source_is_known():
    unknown = {
        f"{path.relative_to(ROOT)}: {key}"
        for path in (ROOT / "src").rglob("*.py")
        for key in cited(path.read_text(encoding="utf-8")) - KNOWN
    }
    assert not unknown


def test_every_key_in_the_pages_is_known():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    unknown = {f"{page.name}: {key}" for page in pages for key in cited(page.read_text(encoding="utf-8")) - KNOWN}
    assert not unknown


def test_every_method_and_metric_names_a_known_source():
    sources = {name: (method.source,) for name, method in METHODS.items()}
    sources |= {name: metric.cite for name, metric in METRICS.items()}
    assert not {name: keys for name, keys in sources.items() if not set(keys) <= KNOWN}


def test_an_unknown_key_is_found():
    assert cited('source="nobody2031nothing" and [a2020b; c1999d]') == {"nobody2031nothing", "a2020b", "c1999d"}


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.key)
def test_an_entry_says_who_what_where_and_when(entry):
    assert {"author", "title", "year"} <= set(entry.fields)
    assert entry.where
    assert entry.fields["year"] in entry.key
    assert not set("{}\\") & set("".join(entry.fields.values()))


def test_accents_become_letters():
    assert plain(r"M\"uller and Fr{\'e}do and \"Oztireli and Gar{\c{c}}a and {\v{C}}") == (
        "Müller and Frédo and Öztireli and Garça and Č"
    )
