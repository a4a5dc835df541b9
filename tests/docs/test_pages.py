"""Pages that are made are up to date; pages that are written agree with the code."""

from __future__ import annotations

import re
import runpy
import tomllib

import pytest
import yaml

import sightline
from tests.docs.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_generated_pages_are_up_to_date():
    stale = runpy.run_path(str(DOCS / "_gen" / "__main__.py"))["stale"]()
    assert not list(stale), "run: python docs/_gen"


def test_every_package_says_in_one_sentence_what_it_is_for():
    import rooms

    first = {room: rooms.first_line(rooms.SRC / room) for room in rooms.rooms()}
    assert not [room for room, line in first.items() if not line.endswith(".")]
    assert {f"tasks/{name}" for name in PROJECT["project"]["entry-points"]["sightline.tasks"]} <= first.keys()


def test_the_design_page_lists_every_group_of_entry_points():
    text = (DOCS / "design.md").read_text("utf-8")
    registries = PROJECT["project"]["entry-points"]["sightline.registries"]
    assert not [name for name in registries if f"`sightline.{name}`" not in text]


def test_every_page_is_in_the_navigation_and_exists():
    text = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    made = [f"tutorials/{path.stem}.md" for path in (DOCS / "tutorials").glob("*.ipynb")]
    assert sorted(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"]))) == sorted([*PAGES, *made])


def test_the_design_page_shows_the_floors_of_the_import_contract():
    block = re.search(r"top floor first:\n\n```text\n(.*?)```", (DOCS / "design.md").read_text("utf-8"), re.DOTALL)[1]
    shown = [re.split(r" {2,}", line)[0] for line in block.strip().splitlines()]
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    assert shown == [layer.replace("sightline.", "") for layer in layers]


def test_the_reference_names_only_what_exists():
    from importlib import import_module

    for path in re.findall(r"^::: (\S+)", (DOCS / "reference.md").read_text("utf-8"), re.MULTILINE):
        module, _, name = path.rpartition(".")
        home = import_module(module)
        assert hasattr(home, name) or import_module(path), path


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page}" for page in PAGES)])
def test_links_to_files_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if "://" not in link and not _is_there((ROOT / page).parent / link)]
    assert not missing


def _is_there(path):
    """A tutorial's page is made of its notebook, and the example when the pages are built."""
    if path.name == "example.html":
        return (ROOT / "docs" / "_gen" / "example_page.py").is_file()
    return path.exists() or (path.suffix == ".md" and path.with_suffix(".ipynb").exists())


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{page}" for page in PAGES)])
def test_pages_name_no_place_of_one_machine_and_no_registry(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert not re.findall(r"/(?:work|home|root|tmp|Users)/\S+|pypi\.org|files\.pythonhosted|index-url", text)


def test_the_changelog_tells_of_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert versions[:2] == ["Unreleased", sightline.__version__]


def test_every_paper_of_the_house_names_the_same_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["project"]["version"] == sightline.__version__
    assert citation["license"] == PROJECT["project"]["license"]


def test_pictures_are_small():
    pictures = [path for path in (DOCS / "assets").rglob("*") if path.suffix in (".jpg", ".png", ".svg", ".gif")]
    assert not {path.name: path.stat().st_size for path in pictures if path.stat().st_size >= 200_000}


def test_every_old_name_is_on_the_page_of_old_and_new_names():
    from sightline.renamed import NAMES

    rows = [
        re.findall(r"`([^`]+)`", row)
        for row in (DOCS / "renamed.md").read_text("utf-8").splitlines()
        if row[:1] == "|"
    ]
    pairs = {(cells[0].lstrip("-"), cell.lstrip("-")) for cells in rows if cells for cell in cells[1:]}
    assert not [(old, new) for old, options in NAMES.items() for new in options if (old, new) not in pairs]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{page}" for page in PAGES)])
def test_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"(?:tests|benchmarks|src|sightline)/[a-z_/]+\.py", text)
    assert not [file for file in named if not (ROOT / file).exists() and not (ROOT / "src" / file).exists()]
