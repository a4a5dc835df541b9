"""Self-attention over regions: normalised queries and a geometry bias, on torch's fused kernel.

NSA touches the queries only, GSA adds to the logits, so that both run on `scaled_dot_product_attention`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.errors import ModelError
from sightline.tasks.captioning.network.bias import GeometryBias
from sightline.tasks.captioning.network.normalise import EPSILON, Normaliser, QueryNorm


@dataclass(frozen=True)
class AttentionKind:
    """Which self-attention.

    Args:
        normaliser: what is done to queries; `instance` is NSA, `none` is plain attention.
        geometry: geometry biases that are added up; empty for none.
        signed: whether the geometry tells left from right.
        scaled: whether logits are divided by the root of the head's width, also where queries are normalised. The
            paper does not say.
        epsilon: what is added to variances.
    """

    normaliser: Normaliser = "instance"
    geometry: tuple[str, ...] = ("query",)
    signed: bool = False
    scaled: bool = True
    epsilon: float = EPSILON


PLAIN = AttentionKind("none", ())


class RegionAttention(nn.Module):
    r"""Multi-head self-attention over a set of regions [guo2020ngsan].

    $$ Z = \mathrm{softmax}\left(\hat{Q} K^T / \sqrt{d} + \phi(Q', K', G)\right) V $$

    The order of the regions does not matter, samples do not influence each other, and neither does padding.

    Args:
        width: channels.
        heads: number of heads.
        kind: which normalisation and which bias.
        dropout: of the attention weights, in training.

    Raises:
        ModelError: the width cannot be split into so many heads.
    """

    def __init__(self, width: int, heads: int, kind: AttentionKind = AttentionKind(), dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ModelError(f"{width} channels cannot be split into {heads} heads; choose a divisor")
        self.heads, self.kind, self.dropout = heads, kind, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm = QueryNorm(kind.normaliser, width, epsilon=kind.epsilon)
        self.bias = GeometryBias(width, heads, kinds=kind.geometry, signed=kind.signed) if kind.geometry else None

    def forward(
        self,
        x: Float[Tensor, "b n c"],
        geometry: Float[Tensor, "b n n f"] | None = None,
        mask: Bool[Tensor, "b n"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "b n c"]:
        """What each region takes from all.

        Args:
            x: features of the regions.
            geometry: what `relative_geometry` makes of their boxes; needed where there is a bias.
            mask: which regions are real; None for all.
            causal: refused: statistics over all elements would show a word the words behind it.

        Raises:
            ModelError: the boxes are missing, or a causal mask is asked for.
        """
        if causal:
            raise ModelError(
                "queries normalised over all elements cannot be causal: a word would see the words behind it; use "
                "plain attention in a decoder"
            )
        q, k, v = self.norm(self.query(x), mask), self.key(x), self.value(x)
        Z = fn.scaled_dot_product_attention(
            split_heads(q, self.heads),
            split_heads(k, self.heads),
            split_heads(v, self.heads),
            attn_mask=self.logit_bias(x, geometry, mask),
            dropout_p=self.dropout if self.training else 0.0,
            scale=None if self.kind.scaled else 1.0,
        )
        return self.out(Z.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def logit_bias(self, x: Tensor, geometry: Tensor | None, mask: Tensor | None) -> Tensor | None:
        """Geometry and mask as one tensor that is added to the logits; None for nothing to add.

        Raises:
            ModelError: the boxes are missing.
        """
        if self.bias is None:
            return None if mask is None else mask[:, None, None, :]
        if geometry is None:
            raise ModelError("this attention has a geometry bias, but no boxes came with the regions; give boxes")
        bias: Tensor = self.bias(x, geometry)
        return bias if mask is None else bias.masked_fill(~mask[:, None, None, :], -torch.inf)


def split_heads(x: Float[Tensor, "b n c"], heads: int) -> Float[Tensor, "b h n d"]:
    """Channels as heads."""
    heads_apart: Tensor = rearrange(x, "b n (h d) -> b h n d", h=heads)
    return heads_apart
