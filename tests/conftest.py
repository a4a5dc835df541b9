"""What every test may ask for: the pack of real weights and photos, a browser, and a single thread."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import axe, browser  # noqa: F401 - fixtures

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process per core already runs (xdist); read when torch loads


LONG = ("test_resume_battery.py", "test_tables.py", "test_shell_training.py", "test_shell_pages.py")
"""Files of a minute: they go first, so that no process works on one alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; else the order stays."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(autouse=True, scope="module")
def _scenes_drawn_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one training drew the next one takes, but where drawing is what is tested."""
    if "worlds" in request.path.parts:
        yield
        return
    from tests.scenes import drawn_once

    with drawn_once():
        yield


@pytest.fixture(scope="session")
def pack() -> Path:
    """Folder of real weights, photos and labels; skips where it is not there."""
    named = os.environ.get("SIGHTLINE_PACK")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "pack"
    if not (folder / "models").is_dir():
        pytest.skip(f"the test pack is not at {folder}; set SIGHTLINE_PACK to where it is")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch computes on one thread during a test, and as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
