"""Attention computed in the open: fused kernels hide the weights that a method reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

POSITIONS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
"""Arguments of scaled-dot-product attention that may come without a name."""


class OpenAttention(TorchFunctionMode):
    """Fused attention is computed by its equation, and torch's multi-head attention with its weights."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Open the calls that are attention; pass on all others."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return _attended({**dict(zip(POSITIONS, args, strict=False)), **kwargs})
        if func is F.multi_head_attention_forward:
            need_weights = kwargs.get("need_weights", True)
            output, weights = func(*args, **{**kwargs, "need_weights": True, "average_attn_weights": False})
            return output, weights.mean(1) if need_weights and weights is not None else None
        return func(*args, **kwargs)


def _attended(call: Mapping[str, Any]) -> Tensor:
    """`softmax(q k^T scale + mask) v`."""
    query, key, value = call["query"], call["key"], call["value"]
    if call.get("enable_gqa", False):
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scale, attn_mask = call.get("scale"), call.get("attn_mask")
    scores = (query @ key.mT) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if call.get("is_causal", False):
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    attended: Tensor = scores.softmax(-1) @ value
    return attended
