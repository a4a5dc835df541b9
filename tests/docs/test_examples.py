"""README code and every Python block of the pages run, each in a fresh namespace and an empty folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sightline.explainers import METHODS
from sightline.tasks.attributes.data import LAYOUTS
from tests.docs.conftest import ROOT

CONTINUED = {"aviary.md", "metrics.md", "signals-volumes-video.md"}
"""Pages whose examples go on from block to block: the ones before are run first."""

ELSEWHERE = {"docs/reports.md": "tests/reports/test_docs.py", "docs/gallery.md": "tests/docs/test_pictures.py"}
"""Pages whose examples another test runs."""

PACKAGES = re.compile(r"^\s*(?:import|from) (lightning|captum|duckdb|pyarrow|torchcam)\b", re.MULTILINE)


def blocks() -> Iterator[tuple[str, str]]:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if page.relative_to(ROOT).as_posix() in ELSEWHERE:
            continue
        found = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for number, block in enumerate(found):
            before = "\n".join(found[:number]) if page.name in CONTINUED else ""
            yield f"{page.relative_to(ROOT)}:{number + 1}", f"{before}\n{block}"


BLOCKS = dict(blocks())


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working folder; what an example registers is forgotten: other tests of this process never see it."""
    for registry in (METHODS, LAYOUTS):
        list(registry)
        monkeypatch.setattr(registry, "_items", dict(registry._items))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("name", BLOCKS)
def test_the_example_runs(name: str):
    for package in PACKAGES.findall(BLOCKS[name]):
        pytest.importorskip(package)
    exec(compile(BLOCKS[name], name, "exec"), {"__name__": "__main__"})


def test_the_readme_has_an_example():
    assert any(name.startswith("README.md") for name in BLOCKS)


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_page_that_is_left_out_here_is_run_elsewhere(page: str):
    assert Path(page).name in (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")
