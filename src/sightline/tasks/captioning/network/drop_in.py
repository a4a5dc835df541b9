"""Normalised queries and geometry bias inside networks of others: torch's encoder layers and timm's transformers.

`plug` puts `PluggedAttention` around attention modules that are there, with their weights; `on_boxes` says where the
tokens lie. With `PLAIN`, or a bias whose weights are zero, the network computes what it computed before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.errors import ModelError
from sightline.tasks.captioning.network.attention import AttentionKind, split_heads
from sightline.tasks.captioning.network.bias import GeometryBias
from sightline.tasks.captioning.network.geometry import grid_boxes, relative_geometry
from sightline.tasks.captioning.network.normalise import QueryNorm


class PluggedAttention(nn.Module):
    """Somebody's self-attention with normalised queries and a geometry bias.

    The bias begins at zero, so that a trained network goes on from what it was.

    Args:
        width: channels.
        heads: number of heads.
        kind: which normalisation and which bias.
    """

    def __init__(self, width: int, heads: int, kind: AttentionKind) -> None:
        super().__init__()
        self.width, self.heads, self.kind = width, heads, kind
        self.query_norm = QueryNorm(kind.normaliser, width, epsilon=kind.epsilon)
        self.bias: GeometryBias | None = None
        if kind.geometry:
            self.bias = GeometryBias(width, heads, kinds=kind.geometry, signed=kind.signed)
            for part in (self.bias.content, self.bias.query, self.bias.key):
                if part is not None:
                    nn.init.zeros_(part.weight)
                    _ = None if part.bias is None else nn.init.zeros_(part.bias)
        self.boxes: Tensor | None = None
        self.grid: tuple[int, int] | None = None

    def attend(
        self,
        x: Float[Tensor, "b n c"],
        qkv: tuple[Tensor, Tensor, Tensor],
        mask: Bool[Tensor, "b n"] | None = None,
        *,
        dropout: float = 0.0,
    ) -> Float[Tensor, "b n c"]:
        """What each token takes from all, before the output projection.

        Args:
            x: the tokens.
            qkv: queries, keys and values `[b, n, c]`.
            mask: which tokens are real; None for all.
            dropout: of the weights.

        Raises:
            ModelError: there are more boxes than tokens, none where a bias needs them, or a grid of another size.
        """
        q, k, v = qkv
        Z = fn.scaled_dot_product_attention(
            split_heads(self.query_norm(q, mask), self.heads),
            split_heads(k, self.heads),
            split_heads(v, self.heads),
            attn_mask=self._logit_bias(x, mask),
            dropout_p=dropout,
            scale=None if self.kind.scaled else 1.0,
        )
        return Z.transpose(1, 2).flatten(2)

    def _logit_bias(self, x: Tensor, mask: Tensor | None) -> Tensor | None:
        if self.bias is None:
            return None if mask is None else mask[:, None, None, :]
        if self.boxes is None:
            raise ModelError("this attention needs to know where its tokens lie; say so: with on_boxes(net, boxes)")
        extra = x.shape[1] - self.boxes.shape[1]
        if self.grid is not None and not 0 <= extra < self.boxes.shape[1]:
            rows, columns = self.grid
            raise ModelError(
                f"the grid has {rows} x {columns} cells, and an attention sees {x.shape[1]} tokens; plug with the "
                "grid of the tokens. Networks whose attentions have grids of several sizes (MobileViT, PiT) have "
                "no common boxes: plug each stage with its own grid"
            )
        if extra < 0:
            raise ModelError(f"{self.boxes.shape[1]} boxes came for {x.shape[1]} tokens; give a box for each place")
        boxes = self.boxes.to(x).expand(len(x), -1, -1)
        phi = self.bias(x[:, extra:], relative_geometry(boxes, signed=self.bias.signed))
        phi = fn.pad(phi, (extra, 0, extra, 0))  # class and register tokens in front have no place: no bias
        return phi if mask is None else phi.masked_fill(~mask[:, None, None, :], -torch.inf)


class PluggedMultihead(PluggedAttention):
    """In the place of `nn.MultiheadAttention` as self-attention, with its weights.

    Args:
        inner: what was there; batch first.
        kind: which normalisation and which bias.

    Raises:
        ModelError: it is not the attention of a set to itself.
    """

    _qkv_same_embed_dim = False  # keeps torch's encoder layers off their fused path, which would pass this by

    def __init__(self, inner: nn.MultiheadAttention, kind: AttentionKind) -> None:
        if not inner.batch_first or inner.in_proj_weight is None:
            raise ModelError("only attention of tokens to themselves with batch_first=True can be normalised")
        super().__init__(inner.embed_dim, inner.num_heads, kind)
        self.inner, self.batch_first, self.num_heads = inner, True, inner.num_heads

    @property
    def in_proj_weight(self) -> Tensor:
        """Weights of queries, keys and values, one below the other."""
        return self.inner.in_proj_weight

    @property
    def in_proj_bias(self) -> Tensor | None:
        """Their biases."""
        return self.inner.in_proj_bias

    @property
    def out_proj(self) -> nn.Module:
        """The projection of the result."""
        return self.inner.out_proj

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """See `nn.MultiheadAttention`; weights are not returned. Attention to other tokens stays as it was.

        Raises:
            ModelError: a mask between tokens is asked for, such as a causal one.
        """
        if query is not key or key is not value:  # cross-attention, or a query that pools
            options = (key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)
            return cast("tuple[Tensor, None]", self.inner(query, key, value, *options))
        if is_causal or attn_mask is not None:
            raise ModelError(
                "queries normalised over all elements cannot be causal or masked by pairs: a token would see those "
                "that are hidden from it"
            )
        mask = None if key_padding_mask is None else _real(key_padding_mask)
        qkv = fn.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        dropout = self.inner.dropout if self.training else 0.0
        return self.inner.out_proj(self.attend(query, cast(Any, qkv), mask, dropout=dropout)), None


class PluggedGrid(PluggedAttention):
    """In the place of the attention of one of timm's vision transformers, with its weights.

    Args:
        inner: what was there: a module with `qkv`, `proj` and `num_heads`.
        kind: which normalisation and which bias.
    """

    def __init__(self, inner: Any, kind: AttentionKind) -> None:
        super().__init__(inner.proj.in_features, inner.num_heads, kind)
        self.inner = inner

    def forward(self, x: Float[Tensor, "b n c"], **nothing: Any) -> Float[Tensor, "b n c"]:
        """See timm's `Attention`.

        Raises:
            ModelError: a mask is asked for.
        """
        if any(value is not None and value is not False for value in nothing.values()):
            raise ModelError(f"normalised attention takes no {', '.join(sorted(nothing))}")
        inner = self.inner
        q, k, v = inner.qkv(x).chunk(3, dim=-1)
        q, k = (_normed(part, norm, self.heads) for part, norm in ((q, inner.q_norm), (k, inner.k_norm)))
        dropout = inner.attn_drop.p if self.training else 0.0
        Z = inner.norm(self.attend(x, (q, k, v), dropout=dropout))
        return inner.proj_drop(inner.proj(Z))  # type: ignore[no-any-return]


class PluggedHub(PluggedAttention):
    """In the place of the attention of one of Hugging Face's vision transformers, with its weights.

    Args:
        inner: what was there: a module with `q_proj`, `k_proj`, `v_proj` and a projection of the result.
        kind: which normalisation and which bias.
    """

    def __init__(self, inner: Any, kind: AttentionKind) -> None:
        super().__init__(inner.q_proj.out_features, _heads(inner), kind)
        self.inner = inner

    def forward(
        self, hidden_states: Float[Tensor, "b n c"], attention_mask: Tensor | None = None, **nothing: Any
    ) -> tuple[Float[Tensor, "b n c"], None]:
        """See the attention of `transformers.ViTModel`; weights are not returned.

        Raises:
            ModelError: a mask or rotated positions are asked for.
        """
        asked = {"attention_mask": attention_mask, **nothing}
        if names := [name for name in ("attention_mask", "position_embeddings") if asked.get(name) is not None]:
            raise ModelError(f"normalised attention takes no {', '.join(names)}")
        inner = self.inner
        qkv = (inner.q_proj(hidden_states), inner.k_proj(hidden_states), inner.v_proj(hidden_states))
        share = getattr(inner, "attention_dropout", getattr(inner, "dropout", 0.0))
        Z = self.attend(hidden_states, qkv, dropout=share if self.training else 0.0)
        return getattr(inner, "o_proj" if hasattr(inner, "o_proj") else "out_proj")(Z), None


def plug(net: nn.Module, kind: AttentionKind = AttentionKind(), *, grid: tuple[int, int] | None = None) -> int:
    """Put normalised queries and a geometry bias into every self-attention of a network, in place.

    Args:
        net: a stack of `nn.TransformerEncoderLayer`, a vision transformer of timm, torchvision or Hugging Face, or a
            module that holds these.
        kind: which normalisation and which bias.
        grid: rows and columns of tokens, whose cells are the boxes; None for boxes by `on_boxes`.

    Returns:
        How many attentions were changed. One whose queries are not its keys, such as a pooling query, is counted too
        and computes what it computed before.

    Raises:
        ModelError: the network has none.

    Example:
        >>> stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2)
        >>> plug(stack)
        2
    """
    places = [(owner, name) for owner in net.modules() for name, child in owner.named_children() if _fits(child)]
    if not places:
        raise ModelError(
            f"{type(net).__name__} has no self-attention that can be normalised: nn.MultiheadAttention, timm's with "
            "qkv and proj, or Hugging Face's with q_proj, k_proj and v_proj, each over all tokens"
        )
    for module in net.modules():
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False  # nested tensors have no mask, so that statistics would not know of it
    for owner, name in places:
        inner: Any = getattr(owner, name)
        new = next(plugged for plugged, fits in FITTING.items() if fits(inner))(inner, kind)
        new.boxes, new.grid = None if grid is None else grid_boxes(*grid)[None], grid
        setattr(owner, name, new.to(next(inner.parameters()).device).train(inner.training))
    return len(places)


@contextmanager
def on_boxes(net: nn.Module, boxes: Float[Tensor, "#b n 4"]) -> Iterator[None]:
    """Say where the tokens of a plugged network lie while the block runs.

    Args:
        net: what `plug` changed.
        boxes: left, top, right, bottom of each place; tokens in front of them have none.
    """
    plugged = [module for module in net.modules() if isinstance(module, PluggedAttention)]
    before = [(module.boxes, module.grid) for module in plugged]
    try:
        for module in plugged:
            module.boxes, module.grid = boxes, None
        yield
    finally:
        for module, own in zip(plugged, before, strict=True):
            module.boxes, module.grid = own


def _fits(module: nn.Module) -> bool:
    return any(fits(module) for fits in FITTING.values())


def _is_grid(module: nn.Module) -> bool:
    parts = ("qkv", "proj", "num_heads", "q_norm", "k_norm", "attn_drop", "norm", "proj_drop")
    return not isinstance(module, PluggedAttention) and all(hasattr(module, part) for part in parts)


def _is_hub(module: Any) -> bool:
    """Whether it is attention over all tokens, with as many keys as queries."""
    own = [getattr(module, part, None) for part in ("q_proj", "k_proj", "v_proj")]
    if not all(isinstance(part, nn.Linear) for part in own) or getattr(module, "is_causal", True):
        return False
    result = hasattr(module, "o_proj") or hasattr(module, "out_proj")
    return result and _heads(module) > 0 and len({cast(nn.Linear, part).out_features for part in own}) == 1


def _heads(inner: Any) -> int:
    """Number of heads of Hugging Face's attention, which has two names; 0 where it has none."""
    return int(getattr(inner, "num_attention_heads", getattr(inner, "num_heads", 0)))


FITTING: dict[Callable[[Any, AttentionKind], PluggedAttention], Callable[[Any], bool]] = {
    PluggedMultihead: lambda module: isinstance(module, nn.MultiheadAttention),
    PluggedGrid: _is_grid,
    PluggedHub: _is_hub,
}
"""What takes the place of which attention."""


def _real(padding: Tensor) -> Tensor:
    """Which elements are real, of a padding mask as torch takes it: true, or minus infinity, where they are not."""
    return ~padding if padding.dtype == torch.bool else padding == 0


def _normed(x: Tensor, norm: nn.Module, heads: int) -> Tensor:
    """A norm of timm's over the channels of each head."""
    return cast(Tensor, norm(split_heads(x, heads))).transpose(1, 2).flatten(2)
