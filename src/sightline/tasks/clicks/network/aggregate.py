"""Aggregations: from a vector for every field to one number."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

POOLINGS = ("concat", "weighted", "mean", "sum")
"""How the fields' vectors are joined before the last layer."""


class Aggregate(nn.Module):
    """Joined, then one linear layer.

    Args:
        count: n.
        width: width of a field's vector.
        pooling: one of `POOLINGS`.
    """

    def __init__(self, count: int, width: int, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        self.shares = nn.Parameter(torch.full((count,), 1 / count)) if pooling == "weighted" else None
        self.fc = nn.Linear(count * width if pooling == "concat" else width, 1)

    def forward(self, fields: Float[Tensor, "b n e"]) -> Float[Tensor, " b"]:
        """A number for every sample."""
        if self.pooling == "concat":
            joined = fields.flatten(1)
        elif self.shares is not None:
            joined = self.shares @ fields
        else:
            joined = fields.mean(1) if self.pooling == "mean" else fields.sum(1)
        result: Tensor = self.fc(joined)[:, 0]
        return result


def perceptron(width: int, hidden: tuple[int, ...], dropout: float) -> nn.Sequential:
    """A multilayer perceptron to one number.

    Args:
        width: of its input.
        hidden: widths of its layers.
        dropout: share that training drops after each layer.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, 1))
