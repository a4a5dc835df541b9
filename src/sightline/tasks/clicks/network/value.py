"""Values: what a field receives, `sum_j s(f_i, f_j) u(f_i, f_j)`, without a vector in memory for every pair."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.tasks.clicks.network.similarity import Fields, Similarity, masked


class Value(nn.Module):
    """The vector u of a pair, and the sum over pairs."""

    def forward(self, similarity: Similarity, fields: Fields, *, others: bool) -> Float[Tensor, "b n e"]:
        """What every field receives.

        Args:
            similarity: s.
            fields: embeddings.
            others: whether a field leaves itself out.
        """
        raise NotImplementedError


class PairWeights(Value):
    """`u_ij = w_ij`: a vector of its own for every pair of fields; the A of SAM2A and SAM3A [cheng2021sam].

    Args:
        count: n.
        width: d.
        std: of the normal distribution that the weights begin with; 0 for ones, as published, which leaves all
            coordinates equal at the start.
    """

    def __init__(self, count: int, width: int, std: float = 0.0) -> None:
        super().__init__()
        start = torch.randn(count, count, width) * std if std else torch.ones(count, count, width)
        self.w = nn.Parameter(start)

    def forward(self, similarity: Similarity, fields: Fields, *, others: bool) -> Float[Tensor, "b n e"]:
        """`sum_j S_ij w_ij`."""
        pairs = masked(similarity(fields), others=others)
        return torch.einsum("bij,ijd->bid", pairs, self.w)


class Product(Value):
    """`u_ij = f_i * f_j`, the E of SAM2E and SAM3E: `sum_j S_ij (f_i * f_j) = f_i * (S F)_i`."""

    def forward(self, similarity: Similarity, fields: Fields, *, others: bool) -> Float[Tensor, "b n e"]:
        """`F * (S F)`."""
        return fields * similarity.attend(fields, fields, others=others)


class Projection(Value):
    """`u_ij = V f_j`, the value of an attention.

    Args:
        width: d.
        head: width of what is received.
    """

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.V = nn.Linear(width, head, bias=False)

    def forward(self, similarity: Similarity, fields: Fields, *, others: bool) -> Float[Tensor, "b n e"]:
        """`S (F V')`."""
        return similarity.attend(fields, self.V(fields), others=others)
