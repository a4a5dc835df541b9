"""Logits that are sums over pairs of fields, `sum_ij s(f_i, f_j) c_ij`: FM, FwFM, FmFM, FFM, SAM2A and SAM2E.

Their `terms` are what each pair adds to the logit, so that an explanation by pairs is exact.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.tasks.clicks.network.rows import by_rows
from sightline.tasks.clicks.network.similarity import Dot, Fields, Pairs, Similarity


class PairLogit(nn.Module):
    """A logit that is a sum over ordered pairs of fields."""

    def terms(self, fields: Fields) -> Pairs:
        """What every ordered pair adds to the logit; the diagonal is what a field adds with itself."""
        raise NotImplementedError

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """The logit."""
        return self.terms(fields).sum((1, 2))


class Half(nn.Module):
    """`c_ij = 1/2` for two fields, 0 for one and itself: the pair term of FM.

    Args:
        count: n.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("share", (1 - torch.eye(count)) / 2, persistent=False)

    def forward(self) -> Float[Tensor, "n n"]:
        """C."""
        return self.get_buffer("share")


class Symmetric(nn.Module):
    """`c_ij = r_ij / 2`, symmetric with a diagonal of 0: the pair term of FwFM [pan2018fwfm].

    Args:
        count: n.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.r = nn.Parameter(torch.ones(count * (count - 1) // 2))
        self.register_buffer("places", torch.triu_indices(count, count, 1), persistent=False)
        self.count = count

    def forward(self) -> Float[Tensor, "n n"]:
        """C."""
        upper = self.r.new_zeros(self.count, self.count).index_put(tuple(self.get_buffer("places")), self.r / 2)
        return upper + upper.T


class Contracted(nn.Module):
    """`c_ij = <w_ij, fc_ij>`: SAM2A's pair weights and its head, which only ever act as their product.

    Args:
        count: n.
        width: d.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(count, count, width))
        bound = (count * count * width) ** -0.5
        self.fc = nn.Parameter(torch.empty(count, count, width).uniform_(-bound, bound))

    def forward(self) -> Float[Tensor, "n n"]:
        """C."""
        return (self.w * self.fc).sum(2)


class PairSum(PairLogit):
    """`sum_ij s(f_i, f_j) c_ij`.

    Args:
        similarity: s.
        weights: c, a module that gives `[n, n]`.
    """

    def __init__(self, similarity: Similarity, weights: nn.Module) -> None:
        super().__init__()
        self.similarity, self.weights = similarity, weights

    def terms(self, fields: Fields) -> Pairs:
        """`S * c`."""
        result: Tensor = self.similarity(fields) * self.weights()
        return result

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """The logit; of plain products it is `<F, C F>`, which builds no pair at all."""
        if type(self.similarity) is not Dot:
            return super().forward(fields)
        if isinstance(self.weights, Half):  # 1/2 (|sum f|^2 - sum |f|^2), of order n d [rendle2010fm]
            total, joined = fields.sum(1), fields.flatten(1)
            squares: Tensor = torch.linalg.vecdot(total, total) - torch.linalg.vecdot(joined, joined)
            return squares / 2
        mixed: Tensor = self.weights() @ fields
        return (fields * mixed).sum((1, 2))


class ProductPairs(PairLogit):
    """SAM2E: `sum_ij (f_i . f_j) <f_i * f_j, fc_ij>` [cheng2021sam].

    Args:
        count: n.
        width: d.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        bound = (count * count * width) ** -0.5
        self.fc = nn.Parameter(torch.empty(count, count, width).uniform_(-bound, bound))

    def terms(self, fields: Fields) -> Pairs:
        """Row by row: b x n x d at a time."""
        return by_rows(self._rows, fields)

    def _rows(self, fields: Tensor, first: int, last: int) -> Tensor:
        products = fields[:, first:last, None] * fields[:, None]
        return products.sum(3) * (products * self.fc[first:last]).sum(3)
