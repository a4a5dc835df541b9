"""Utilities that are not a sum over pairs: stacks of interactions, cross layers, and perceptrons beside them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.tasks.clicks.network.aggregate import perceptron
from sightline.tasks.clicks.network.layer import Cross
from sightline.tasks.clicks.network.similarity import Dot, Fields


class Nothing(nn.Module):
    """No interaction: the linear terms alone, which is logistic regression."""

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """0."""
        return fields.new_zeros(len(fields))


class Stack(nn.Module):
    """Interaction layers, one after the other, then an aggregation.

    Args:
        layers: from `[b, n, d]` to `[b, n, e]`; none for SAM1.
        aggregate: from the last layer to a number.
    """

    def __init__(self, layers: Sequence[nn.Module], aggregate: nn.Module) -> None:
        super().__init__()
        self.layers, self.aggregate = nn.ModuleList(layers), aggregate

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """The utility."""
        for layer in self.layers:
            fields = layer(fields)
        result: Tensor = self.aggregate(fields)
        return result


class Attended(nn.Module):
    """AFM's last step: `p . sum_i x_i` [xiao2017afm].

    Args:
        width: d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.ones(width))

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """A number for every sample."""
        return fields.sum(1) @ self.p


class CrossNet(nn.Module):
    """DCN without its perceptron: cross layers on the joined embeddings [wang2017dcn].

    Args:
        width: n d.
        depth: number of layers.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Cross(width) for _ in range(depth)])
        self.fc = nn.Linear(width, 1)

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """The utility."""
        start = token = fields.flatten(1)
        for layer in self.layers:
            token = layer(start, token)
        result: Tensor = self.fc(token)[:, 0]
        return result


class Deep(nn.Module):
    """A perceptron on the joined embeddings.

    Args:
        width: n d.
        hidden: widths of its layers.
        dropout: share that training drops after each layer.
    """

    def __init__(self, width: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.net = perceptron(width, hidden, dropout)

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """The utility."""
        result: Tensor = self.net(fields.flatten(1))[:, 0]
        return result


class InnerProducts(nn.Module):
    """PNN with inner products: a perceptron on the embeddings and on `f_i . f_j`, i < j [qu2016pnn].

    Args:
        count: n.
        width: d.
        hidden: widths of the perceptron's layers.
        dropout: share that training drops after each layer.
    """

    def __init__(self, count: int, width: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.similarity = Dot()
        self.register_buffer("places", torch.triu_indices(count, count, 1), persistent=False)
        self.net = perceptron(count * width + count * (count - 1) // 2, hidden, dropout)

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """The utility."""
        first, second = self.get_buffer("places")
        products = self.similarity(fields)[:, first, second]
        result: Tensor = self.net(torch.cat([fields.flatten(1), products], 1))[:, 0]
        return result


class BiPooled(nn.Module):
    """NFM: a perceptron on `sum_{i<j} f_i * f_j` [he2017nfm].

    Args:
        width: d.
        hidden: widths of the perceptron's layers.
        dropout: share that training drops after each layer.
    """

    def __init__(self, width: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.net = perceptron(width, hidden, dropout)

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """The utility; `1/2 ((sum f)^2 - sum f^2)` is the sum over pairs."""
        pooled = (fields.sum(1).square() - fields.square().sum(1)) / 2
        result: Tensor = self.net(pooled)[:, 0]
        return result


class Total(nn.Module):
    """Utilities that are added.

    Args:
        parts: each from `[b, n, d]` to a number.
    """

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, fields: Fields) -> Float[Tensor, " b"]:
        """Their sum."""
        return torch.stack([part(fields) for part in self.parts]).sum(0)
