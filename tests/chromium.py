"""A real Chromium, where there is one; one for all tests of a process, since two cannot be driven in one thread."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium():
    named = os.environ.get("SIGHTLINE_CHROMIUM")
    return named if named else next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser():
    program = chromium()
    if program is None:
        pytest.skip(f"no browser: SIGHTLINE_CHROMIUM is not set, and none of {', '.join(NAMES)} is on the PATH")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'test')")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    """The program of axe-core, which judges how accessible a page is."""
    spec = find_spec("axe_playwright_python")
    if spec is None:
        pytest.skip("axe-playwright-python is not installed (extra 'test')")
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
