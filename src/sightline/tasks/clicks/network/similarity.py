"""Similarities: the scalar s(f_i, f_j) of the interaction, one small module each.

`attend` is `S X`. Where S is a plain product of embeddings it is computed from the right, `F (K (F' X))`, which costs
b x d x d and never builds S.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.tasks.clicks.network.rows import by_rows

Fields = Float[Tensor, "b n d"]
Pairs = Float[Tensor, "b n n"]


class Similarity(nn.Module):
    """A number for every ordered pair of fields."""

    def forward(self, fields: Fields) -> Pairs:
        """S, with `S[b, i, j] = s(f_i, f_j)`."""
        raise NotImplementedError

    def attend(self, fields: Fields, values: Float[Tensor, "b n e"], *, others: bool) -> Float[Tensor, "b n e"]:
        """`sum_j s(f_i, f_j) x_j`.

        Args:
            fields: embeddings.
            values: x.
            others: whether a field leaves itself out.
        """
        return masked(self(fields), others=others) @ values


def masked(pairs: Pairs, *, others: bool) -> Pairs:
    """The pairs with 0 for a field and itself, where `others` says so."""
    if not others:
        return pairs
    return pairs * (1 - torch.eye(pairs.shape[1], dtype=pairs.dtype, device=pairs.device))


class Dot(Similarity):
    """`f_i . f_j`."""

    def key(self, fields: Fields) -> Fields:
        """What stands on the right of the product."""
        return fields

    def forward(self, fields: Fields) -> Pairs:
        """`F (F K')'`."""
        return fields @ self.key(fields).mT

    def attend(self, fields: Fields, values: Float[Tensor, "b n e"], *, others: bool) -> Float[Tensor, "b n e"]:
        """`F (G' X)`, minus the diagonal where a field leaves itself out."""
        keys = self.key(fields)
        whole = fields @ (keys.mT @ values)
        return whole - (fields * keys).sum(2, keepdim=True) * values if others else whole


class Bilinear(Dot):
    """`f_i . K f_j`, with one K for all pairs.

    Args:
        width: d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.K = nn.Parameter(nn.init.orthogonal_(torch.empty(width, width)))

    def key(self, fields: Fields) -> Fields:
        """`K f_j`."""
        return fields @ self.K.mT


class PairBilinear(Similarity):
    """`f_i . M_ij f_j`, with a matrix for every pair: field-matrixed factorization [sun2021fmfm].

    Args:
        count: n.
        width: d.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.M = nn.Parameter(torch.eye(width) + 0.1 * torch.randn(count, count, width, width))

    def forward(self, fields: Fields) -> Pairs:
        """Row by row: b x n x d at a time."""
        return by_rows(self._rows, fields)

    def _rows(self, fields: Tensor, first: int, last: int) -> Tensor:
        left = torch.einsum("bid,ijde->bije", fields[:, first:last], self.M[first:last])
        return (left * fields[:, None]).sum(3)


class FieldAware(Similarity):
    """`v_{i,j} . v_{j,i}`: every field has an embedding for each other field [juan2016ffm].

    Args:
        count: n; the embeddings are n blocks of equal width.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, fields: Fields) -> Pairs:
        """The blocks of the one times those of the other."""
        blocks = rearrange(fields, "b i (j k) -> b i j k", j=self.count)
        return torch.einsum("bijk,bjik->bij", blocks, blocks)


class Softmax(Similarity):
    """`softmax_j( (Q f_i) . (K f_j) )`, as AutoInt's heads have it, without a scale [song2019autoint].

    Args:
        width: d.
        head: width of queries and keys.
    """

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.query, self.keys = nn.Linear(width, head, bias=False), nn.Linear(width, head, bias=False)

    def forward(self, fields: Fields) -> Pairs:
        """Rows that sum to 1."""
        return fn.softmax(self.query(fields) @ self.keys(fields).mT, dim=2)


class PairSoftmax(Similarity):
    """`softmax over all pairs i < j of h . relu(W (f_i * f_j) + b)` [xiao2017afm]; 0 for the other pairs.

    Args:
        width: d.
        attention: width of W.
    """

    def __init__(self, width: int, attention: int) -> None:
        super().__init__()
        self.W, self.h = nn.Linear(width, attention), nn.Linear(attention, 1, bias=False)

    def forward(self, fields: Fields) -> Pairs:
        """All weights of one sample sum to 1."""
        scores = by_rows(self._rows, fields)
        later = torch.ones(scores.shape[1:], dtype=torch.bool, device=scores.device).triu(1)
        return fn.softmax(scores.masked_fill(~later, -torch.inf).flatten(1), 1).view_as(scores)

    def _rows(self, fields: Tensor, first: int, last: int) -> Tensor:
        # only the pairs i < j are read, so a block begins at its own first field
        products = fields[:, first:last, None] * fields[:, None, first:]
        scores = self.h(fn.relu(self.W(products)))[..., 0]
        return fn.pad(scores, (first, 0))
