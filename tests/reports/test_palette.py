import matplotlib
import numpy as np
import pytest
import torch

from sightline.reports.palette import SIGNED, UNSIGNED


@pytest.mark.parametrize(("table", "name"), [(UNSIGNED, "inferno"), (SIGNED, "berlin")])
def test_tables_are_those_of_matplotlib(table, name):
    if name not in matplotlib.colormaps:
        pytest.skip(f"this matplotlib has no {name!r}")
    expected = (matplotlib.colormaps[name](np.arange(256))[:, :3] * 255 + 0.5).astype("u1")
    assert np.array_equal(table.numpy(), expected)


def test_unsigned_table_only_gets_lighter():
    luma = (UNSIGNED.double() * torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)).sum(1)
    assert bool((luma[8:] - luma[:-8] > 0).all())


def test_signed_table_is_darkest_in_its_middle():
    luma = SIGNED.double().mean(1)
    assert 118 <= int(luma.argmin()) <= 138
    assert float(luma[0]) > 150
    assert float(luma[-1]) > 150
