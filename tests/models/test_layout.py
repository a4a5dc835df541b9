"""Layouts are found from shapes, and a tensor becomes a grid without a copy."""

from __future__ import annotations

import pytest
import torch

from sightline.models import Layout, find_layout


@pytest.mark.parametrize(
    ("shape", "picture", "prefix", "kind", "size", "before"),
    [
        ((2, 64, 56, 56), (224, 224), 0, "grid", (56, 56), 0),
        ((2, 56, 56, 64), (224, 224), 0, "windows", (56, 56), 0),
        ((2, 7, 7, 768), (224, 224), 0, "windows", (7, 7), 0),
        ((2, 768, 7, 7), (224, 224), 0, "grid", (7, 7), 0),
        ((2, 197, 384), (224, 224), 1, "tokens", (14, 14), 1),
        ((2, 198, 384), (224, 224), 2, "tokens", (14, 14), 2),
        ((2, 196, 384), (224, 224), 1, "tokens", (14, 14), 0),
        ((2, 14 * 28 + 5, 64), (224, 448), 5, "tokens", (14, 28), 5),
        ((2, 3, 4, 256), (96, 128), 0, "windows", (3, 4), 0),
        ((1, 8, 2, 16), (32, 256), 0, "grid", (2, 16), 0),
    ],
)  # fmt: skip
def test_layouts_are_recognised(
    shape: tuple[int, ...], picture: tuple[int, int], prefix: int, kind: str, size: tuple[int, int], before: int
) -> None:
    assert find_layout(shape, picture, prefix=prefix) == Layout(kind, *size, before)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(2, 10), (2,), (2, 3, 4, 5, 6)])
def test_tensors_without_a_grid_have_no_layout(shape: tuple[int, ...]) -> None:
    assert find_layout(shape, (224, 224)) is None


def test_what_the_model_says_decides_only_where_both_orders_fit() -> None:
    assert find_layout((1, 8, 8, 8), (64, 64), windows=True) == Layout("windows", 8, 8)
    assert find_layout((1, 8, 8, 8), (64, 64), windows=False) == Layout("grid", 8, 8)
    assert find_layout((1, 96, 8, 8), (64, 64), windows=True) == Layout("grid", 8, 8)


@pytest.mark.parametrize(
    ("layout", "index"),
    [
        (Layout("grid", 2, 3), lambda x, c, i, j: x[:, c, i, j]),
        (Layout("windows", 2, 3), lambda x, c, i, j: x[:, i, j, c]),
        (Layout("tokens", 2, 3, 1), lambda x, c, i, j: x[:, 1 + 3 * i + j, c]),
    ],
)
def test_the_grid_holds_each_value_at_its_place(layout: Layout, index: object) -> None:
    shape = {"grid": (2, 4, 2, 3), "windows": (2, 2, 3, 4), "tokens": (2, 7, 4)}[layout.kind]
    x = torch.randn(shape)
    grid = layout.to_grid(x)
    assert grid.shape == (2, 4, 2, 3)
    assert layout.channels(shape) == 4
    for c in range(4):
        for i in range(2):
            for j in range(3):
                assert torch.equal(grid[:, c, i, j], index(x, c, i, j))  # type: ignore[operator]
    grid.mul_(0)
    assert not x[:, 1:].any() if layout.kind == "tokens" else not x.any()
