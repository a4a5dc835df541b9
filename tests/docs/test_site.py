"""The documentation as a site: no warnings, nothing loaded from elsewhere, fits a phone, can be searched."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("material", reason="mkdocs-material is not installed (extra 'docs')")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "SIGHTLINE_NOTEBOOKS": "off"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def pages(site: Path) -> list[Path]:
    return [page for page in sorted(site.rglob("*.html")) if "assets" not in page.parts and page.name != "404.html"]


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe)[^>]* src=\"?(?:https?:)?//[^>]*>|<link[^>]* rel=\"?stylesheet[^>]*//[^>]*>"
    )
    found = {page.name: loads.findall(page.read_text(encoding="utf-8")) for page in pages(site)}
    assert not {name: tags for name, tags in found.items() if tags}


def test_the_example_of_the_home_page_is_one_small_file(site: Path) -> None:
    example = site / "assets" / "example.html"
    assert 'src="assets/example.html"' in (site / "index.html").read_text("utf-8")
    assert 50_000 < example.stat().st_size < 600_000


def test_no_page_is_wider_than_a_phone(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    wide = {}
    for file in pages(site):
        page.goto(file.as_uri())
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wide[file.relative_to(site).as_posix()] = width
    page.close()
    assert not wide


def test_the_search_works_from_a_disk(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((site / "howto" / "target.html").as_uri())
    box = page.locator("input.md-search__input")
    box.click()
    box.press_sequentially("contrast", delay=30)
    page.wait_for_selector(".md-search-result__item", timeout=20_000)
    assert page.locator(".md-search-result__item").count() >= 5
    page.close()


def test_without_the_photo_network_the_example_is_the_drawn_bird() -> None:
    wish = runpy.run_path(str(ROOT / "docs" / "_gen" / "example_page.py"))["wish"]
    assert "imagenet" in wish(True)
    assert wish(False) == ()
