"""What the differential tests share: how far two maps are apart, and whether another tool is there."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest
from torch import Tensor


def assert_same(found: Tensor, expected: Tensor, *, within: float = 1e-5) -> None:
    """Largest difference beside the largest magnitude; two maps of zeros agree."""
    assert found.shape == expected.shape
    scale = expected.abs().max().item()
    assert scale > 0, "the other tool's map is zero throughout: nothing is compared"
    assert (found - expected).abs().max().item() <= within * scale


def needs(package: str) -> ModuleType:
    """A package to compare with; skip where it is not installed, fail where all peers were promised."""
    if os.environ.get("SIGHTLINE_PEERS") == "all":
        return importlib.import_module(package)
    reason = (
        f"{package} is not installed; `python -m benchmarks.peers --make ENV` makes an environment with the peers"
    )
    return pytest.importorskip(package, reason=reason)
