"""What every test may ask for: the pack of real weights and photos, a browser, and a single thread."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import axe, browser  # noqa: F401 - fixtures

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process per core already runs (xdist); read when torch loads


LONG = (
    "docs/test_tables.py",
    "docs/test_shell_training.py",
    "docs/test_shell_pages.py",
    "tasks/test_resume_battery.py",
    "tasks/attributes/test_tuned_eat.py",
    "tasks/gate_search/test_supernet_file.py",
    "tasks/attributes/audit/test_noise.py",
    "tasks/attributes/test_eat.py",
    "worlds/aviary/test_layout.py",
    "tasks/clicks/test_rays.py",
    "tasks/gate_search/test_supernet.py",
)
"""The longest files, and long ones of the rooms that come last: they go first, the longest before the others, so that
no process works on one alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; else the order stays."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONG)))


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
