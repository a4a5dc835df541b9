"""Layers of the captioner: encoder over regions, decoder over words. Post-norm, as in the paper."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.tasks.captioning.network.attention import AttentionKind, RegionAttention, split_heads


class FeedForward(nn.Sequential):
    """Two linear layers with a ReLU between them.

    Args:
        width: channels outside.
        inner: channels inside.
        dropout: in training.
    """

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, width))


class EncoderLayer(nn.Module):
    """Attention over regions and a feed-forward network, each added to its input and normed.

    Args:
        width: channels.
        heads: number of heads.
        inner: channels inside the feed-forward network.
        kind: which attention.
        dropout: in training.
    """

    def __init__(self, width: int, heads: int, inner: int, kind: AttentionKind, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = RegionAttention(width, heads, kind, dropout)
        self.feed_forward = FeedForward(width, inner, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "b n c"],
        geometry: Float[Tensor, "b n n f"] | None = None,
        mask: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n c"]:
        """The regions, each knowing of the others."""
        x = self.norm1(x + self.dropout(self.attention(x, geometry, mask)))
        return self.norm2(x + self.dropout(self.feed_forward(x)))  # type: ignore[no-any-return]


class WordAttention(nn.Module):
    """Multi-head attention of words, to the words before them or to regions.

    Args:
        width: channels.
        heads: number of heads.
        dropout: of the attention weights, in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(
        self, x: Float[Tensor, "b t c"], memory: Float[Tensor, "b n c"], mask: Bool[Tensor, "b #t n"] | None
    ) -> Float[Tensor, "b t c"]:
        """What each word takes from a memory.

        Args:
            x: words.
            memory: regions, or the words themselves.
            mask: what each word may read; None for everything.
        """
        q, k, v = self.query(x), self.key(memory), self.value(memory)
        Z = fn.scaled_dot_product_attention(
            split_heads(q, self.heads),
            split_heads(k, self.heads),
            split_heads(v, self.heads),
            attn_mask=None if mask is None else mask[:, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(Z.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class DecoderLayer(nn.Module):
    """Attention to the words before, attention to the regions, a feed-forward network.

    Args:
        width: channels.
        heads: number of heads.
        inner: channels inside the feed-forward network.
        dropout: in training.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.words, self.regions = (WordAttention(width, heads, dropout) for _ in range(2))
        self.feed_forward = FeedForward(width, inner, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        memory: Float[Tensor, "b n c"],
        mask: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b t c"]:
        """The words, each knowing of those before it and of the regions."""
        t = x.shape[1]
        before = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()[None]
        x = self.norm1(x + self.dropout(self.words(x, x, before)))
        x = self.norm2(x + self.dropout(self.regions(x, memory, None if mask is None else mask[:, None])))
        return self.norm3(x + self.dropout(self.feed_forward(x)))  # type: ignore[no-any-return]


def positions(length: int, width: int) -> Float[Tensor, "t c"]:
    """Sines and cosines of the position of a word [vaswani2017attention].

    Example:
        >>> positions(2, 4)[0].tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, -1)[:, :width]
