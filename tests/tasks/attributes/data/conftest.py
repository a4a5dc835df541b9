"""A small folder in CUB's layout."""

from pathlib import Path

import pytest

from tests.tasks.attributes.data.folders import write_cub


@pytest.fixture
def birds(tmp_path) -> Path:
    """Two classes, three images: the last is for tests."""
    root = tmp_path / "CUB_200_2011"
    return write_cub(root, [(1, 1), (2, 1), (1, 0)], {2: {3: (0, 1), 4: (0, 1)}, 3: {1: (0, 4), 2: (1, 4)}})
