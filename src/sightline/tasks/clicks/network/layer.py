"""The interaction layer: `out_i = sum_j s(f_i, f_j) u(f_i, f_j) + Q f_i`, with every part pluggable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.tasks.clicks.network.similarity import Fields, Similarity, Softmax
from sightline.tasks.clicks.network.value import Projection, Value


class Interaction(nn.Module):
    """One layer. There is no softmax, scale or activation unless a part brings it [cheng2021sam].

    Args:
        similarity: s.
        value: u.
        others: whether a field leaves itself out of the sum: the mask.
        residual: Q; None for none.
        activation: what the sum goes through; None for nothing.
        dropout: share of the sum's coordinates that training drops.
    """

    def __init__(
        self,
        similarity: Similarity,
        value: Value,
        *,
        others: bool = False,
        residual: nn.Module | None = None,
        activation: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.similarity, self.value, self.residual = similarity, value, residual
        self.others, self.activation, self.dropout = others, activation, nn.Dropout(dropout)

    def forward(self, fields: Fields) -> Float[Tensor, "b n e"]:
        """Every field's sum over the fields."""
        received = self.dropout(self.value(self.similarity, fields, others=self.others))
        total = received if self.residual is None else received + self.residual(fields)
        return total if self.activation is None else cast(Tensor, self.activation(total))


class Heads(nn.Module):
    """Several interactions side by side, joined; one residual and one activation for all of them.

    Args:
        heads: interactions of equal width.
        residual: from the embeddings to the joined width; None for none.
        activation: what the sum goes through.
    """

    def __init__(self, heads: Sequence[Interaction], residual: nn.Module | None, activation: nn.Module) -> None:
        super().__init__()
        self.heads, self.residual, self.activation = nn.ModuleList(heads), residual, activation

    def forward(self, fields: Fields) -> Float[Tensor, "b n e"]:
        """The heads' sums, joined."""
        own = [cast(Interaction, head) for head in self.heads]
        plain = all(_is_plain_attention(head) for head in own)
        joined = _attentions(own, fields) if plain else torch.cat([head(fields) for head in own], 2)
        result: Tensor = self.activation(joined if self.residual is None else joined + self.residual(fields))
        return result


def _is_plain_attention(head: Interaction) -> bool:
    """Whether a head is `softmax(Q K') V` and nothing else, so that all heads are one call of torch's attention."""
    bare = head.residual is None and head.activation is None and not head.others and not head.dropout.p
    return bare and type(head.similarity) is Softmax and type(head.value) is Projection


def _attentions(heads: Sequence[Interaction], fields: Fields) -> Float[Tensor, "b n e"]:
    """Every head's `softmax(Q K') V` at once, joined: no tensor of pairs of fields is built [song2019autoint]."""
    similarities = [cast(Softmax, head.similarity) for head in heads]
    parts = (
        [own.query.weight for own in similarities],
        [own.keys.weight for own in similarities],
        [cast(Projection, head.value).V.weight for head in heads],
    )
    queries, keys, values = (
        rearrange(fields @ torch.cat(weights).mT, "b n (h e) -> b h n e", h=len(heads)) for weights in parts
    )
    received = fn.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    return cast(Tensor, rearrange(received, "b h n e -> b n (h e)"))


class Cross(nn.Module):
    """DCN's layer: `x' = x0 (x . w) + b + x` [wang2017dcn].

    It is the interaction of one token: s = x . w, u = x0, the residual is the token itself.

    Args:
        width: length of the token, n d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(width) / width**0.5)
        self.b = nn.Parameter(torch.zeros(width))

    def forward(self, start: Float[Tensor, "b w"], token: Float[Tensor, "b w"]) -> Float[Tensor, "b w"]:
        """The next token."""
        return start * (token @ self.w)[:, None] + self.b + token
