"""How concentrated a map is: one number per layer that the page draws behind its slider."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

TOP, HALF = 0.1, 0.5


def concentration(values: Float[Tensor, "..."], *, top: float = TOP) -> float:
    r"""Share of the total magnitude that lies in the strongest cells: $\sum_{top} |v| / \sum |v|$.

    Exactly `top` of the cells count, the last of them in part, so that an even map has the value `top` on a grid of
    any size. Cells that are not finite do not count.

    Args:
        values: raw values of any shape.
        top: share of the cells, 0..1.

    Returns:
        A share in `top`..1; NaN if nothing is finite or everything is zero.

    Example:
        >>> round(concentration(torch.ones(7, 7)), 6)
        0.1
    """
    sizes = values[torch.isfinite(values)].double().abs().sort(descending=True).values
    total = float(sizes.sum())
    if not total > 0.0:
        return math.nan
    places = top * sizes.numel()
    whole = min(int(places), sizes.numel() - 1)
    return (float(sizes[:whole].sum()) + (places - whole) * float(sizes[whole])) / total


def half_share(values: Float[Tensor, "..."], *, part: float = HALF) -> float:
    """Smallest share of the cells that holds half of the evidence for the decision.

    Evidence is the positive part; a map without any is measured by its magnitude. The last cell counts in part, so
    that an even map has the value one half on a grid of any size. Cells that are not finite hold nothing.

    Args:
        values: raw values of any shape.
        part: share of the evidence that the cells have to hold, 0..1.

    Returns:
        A share above 0; NaN if nothing is finite or everything is zero.

    Example:
        >>> half_share(torch.ones(4, 4))
        0.5
    """
    finite = values.double().where(torch.isfinite(values), 0.0)
    sizes = finite.clamp(min=0.0) if bool((finite > 0.0).any()) else finite.abs()
    sums = sizes.flatten().sort(descending=True).values.cumsum(0)
    total = float(sums[-1]) if len(sums) else 0.0
    if not total > 0.0:
        return math.nan
    whole = int((sums < part * total).sum())
    before = float(sums[whole - 1]) if whole else 0.0
    return (whole + (part * total - before) / (float(sums[whole]) - before)) / values.numel()
