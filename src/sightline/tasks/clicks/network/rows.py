"""Work over pairs of fields, one row of the pairs at a time, so that no tensor holds b x n x n x d.

What a row computes is thrown away after the forward pass and computed again for the gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Row = Callable[[Tensor, int, int], Tensor]
"""From the embeddings and the first and last field of a block of rows to the block's `[b, rows, n]` of pairs."""
BLOCK = 2
"""Rows at a time: the memory of `b x 2 x n x d`, and half the Python of single rows."""


def by_rows(row: Row, fields: Float[Tensor, "b n d"]) -> Float[Tensor, "b n n"]:
    """A figure for every pair of fields.

    Args:
        row: computes a block of rows.
        fields: embeddings.
    """
    count = fields.shape[1]
    blocks = [(first, min(first + BLOCK, count)) for first in range(0, count, BLOCK)]
    if not torch.is_grad_enabled():
        return torch.cat([row(fields, *block) for block in blocks], 1)
    return torch.cat([_kept_small(row, fields, block) for block in blocks], 1)


def _kept_small(row: Row, fields: Tensor, block: tuple[int, int]) -> Tensor:
    result: Tensor = checkpoint(row, fields, *block, use_reentrant=False, preserve_rng_state=False)
    return result
