"""How concentrated a map is: one number per layer that the page draws behind its slider."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

TOP = 0.1


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
