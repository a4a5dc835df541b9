"""What the differential tests share: how far two maps are apart."""

from __future__ import annotations

import pytest
from torch import Tensor


def assert_same(found: Tensor, expected: Tensor, *, within: float = 1e-5) -> None:
    """Largest difference beside the largest magnitude; two maps of zeros agree."""
    assert found.shape == expected.shape
    scale = expected.abs().max().item()
    assert scale > 0, "the other tool's map is zero throughout: nothing is compared"
    assert (found - expected).abs().max().item() <= within * scale


def needs(package: str) -> None:
    """Skip where a package is not installed."""
    pytest.importorskip(package, reason=f"{package} is not installed; it comes with the extra 'peers'")
