"""Correlations of two batches of maps, row by row.

Tensors in, tensors out: maps are compared where they lie, thousands of rows at once on a GPU, and scipy has no rank
correlation by rows. Tests hold each row to `scipy.stats`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def pearson(one: Float[Tensor, "b m"], other: Float[Tensor, "b m"]) -> Float[Tensor, "b"]:
    """Correlation of each row; NaN where a row is constant."""
    one, other = one.double(), other.double()
    one, other = one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True)
    scale = one.norm(dim=1) * other.norm(dim=1)
    return torch.where(scale > 0, (one * other).sum(1) / scale, torch.nan)


def spearman(one: Float[Tensor, "b m"], other: Float[Tensor, "b m"]) -> Float[Tensor, "b"]:
    """Rank correlation of each row; NaN where a row is constant."""
    return pearson(_tied_ranks(one), _tied_ranks(other))


def _tied_ranks(values: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """Ranks from the smallest value up; tied values share the mean of their places."""
    ordered = values.sort(dim=1).values
    left = torch.searchsorted(ordered, values.contiguous(), side="left")
    right = torch.searchsorted(ordered, values.contiguous(), side="right")
    return (left + right + 1).to(torch.float64) / 2
