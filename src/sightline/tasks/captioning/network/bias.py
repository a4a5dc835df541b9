"""What boxes add to the logits of attention: GSA's half of the paper.

It knows features, and the numbers of `geometry`; it does not know how attention uses its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.errors import ModelError, near
from sightline.tasks.captioning.network.geometry import geometry_size, relative_geometry

Kind = Literal["content", "query", "key"]
KINDS: tuple[Kind, ...] = ("content", "query", "key")


class GeometryBias(nn.Module):
    r"""Relative geometry as an additive bias of attention [guo2020ngsan].

    With $G_{ij} = \mathrm{ReLU}(W f_{ij} + b)$, the sum of those that are asked for:

    - `content`: $\phi_{ij} = \mathrm{ReLU}(w \cdot G_{ij})$, the same whatever the regions show;
    - `query`: $\phi_{ij} = Q'_i \cdot G_{ij}$, the paper's choice;
    - `key`: $\phi_{ij} = K'_j \cdot G_{ij}$.

    $Q'$ and $K'$ are projections of their own. The paper does not print the width of $G$; here it is the width of a
    head, and one $G$ serves all heads.

    Args:
        width: channels of the features.
        heads: number of heads.
        kinds: which biases are added up.
        signed: whether the geometry tells left from right; see `relative_geometry`.

    Raises:
        ModelError: a kind is unknown, or none is named.
    """

    def __init__(self, width: int, heads: int, *, kinds: Sequence[str] = ("query",), signed: bool = False) -> None:
        super().__init__()
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ModelError(f"there is no geometry bias {unknown[0]!r}; {near(unknown[0], KINDS)}")
        if not kinds:
            raise ModelError(f"a geometry bias needs at least one kind of {', '.join(KINDS)}")
        self.heads, self.inside, self.signed = heads, width // heads, signed
        self.embed = nn.Linear(geometry_size(signed=signed), self.inside)
        self.content = nn.Linear(self.inside, heads, bias=False) if "content" in kinds else None
        self.query = nn.Linear(width, heads * self.inside) if "query" in kinds else None
        self.key = nn.Linear(width, heads * self.inside) if "key" in kinds else None

    def forward(self, x: Float[Tensor, "b n c"], geometry: Float[Tensor, "b n n f"]) -> Float[Tensor, "b h n n"]:
        """The bias for each head.

        Args:
            x: features of the regions.
            geometry: what `relative_geometry` makes of their boxes.
        """
        if self.query is not None and self._spares(x):
            q = self._split(self.query(x))
            return _Sparing.apply(q, geometry, self.embed.weight, self.embed.bias)  # type: ignore[no-any-return]
        G = self.embed(geometry).relu_()  # in place: no second tensor of n x n x d is kept for the backward
        parts = []
        if self.content is not None:
            parts.append(self.content(G).relu().permute(0, 3, 1, 2))
        if self.query is not None:
            parts.append((self._split(self.query(x)) @ G.mT).transpose(1, 2))  # [b n h d] @ [b n d n]
        if self.key is not None:
            parts.append((self._split(self.key(x)) @ G.transpose(1, 2).mT).permute(0, 2, 3, 1))
        bias: Tensor = parts[0]
        for part in parts[1:]:
            bias = bias + part
        return bias

    def of_boxes(self, x: Float[Tensor, "b n c"], boxes: Float[Tensor, "b n 4"]) -> Float[Tensor, "b h n n"]:
        """The bias for boxes rather than for their geometry."""
        bias: Tensor = self(x, relative_geometry(boxes, signed=self.signed))
        return bias

    def _spares(self, x: Tensor) -> bool:
        """Whether samples are taken few at a time: in training, where that is quicker (CPU) and saves memory."""
        alone = self.content is None and self.key is None
        plain = x.device.type in ("cpu", "cuda") and not torch.is_autocast_enabled(x.device.type)
        return alone and plain and self.training and torch.is_grad_enabled()

    def _split(self, x: Float[Tensor, "b n e"]) -> Float[Tensor, "b n h d"]:
        heads_apart: Tensor = rearrange(x, "b n (h d) -> b n h d", h=self.heads)
        return heads_apart

    @torch.no_grad()
    def response(self, offsets: Float[Tensor, "p 4"], query: Float[Tensor, " c"]) -> Float[Tensor, "p h"]:
        """The bias that one region with these features gives to boxes around the unit box, for a picture of it.

        Args:
            offsets: boxes; the region that looks is the box from (-0.5, -0.5) to (0.5, 0.5).
            query: features of the region that looks; also taken for the boxes where the bias depends on keys.
        """
        own = offsets.new_tensor([[-0.5, -0.5, 0.5, 0.5]])
        pairs = torch.stack([own.expand(len(offsets), -1), offsets], dim=1)
        x = query.expand(len(offsets), 2, -1)
        return self.of_boxes(x, pairs)[:, :, 0, 1]


def _few(tensor: Tensor) -> int:
    """Samples that are taken at once: one on the CPU; a fifth on a GPU, where every call costs time to launch."""
    return 1 if tensor.device.type == "cpu" else max(1, len(tensor) // 5)


def _parts(tensor: Tensor) -> list[slice]:
    """Samples in turns."""
    few = _few(tensor)
    return [slice(start, start + few) for start in range(0, len(tensor), few)]


class _Sparing(torch.autograd.Function):
    """The query's bias in training, few samples at a time: no tensor of n x n x d lives longer than they.

    The backward makes their geometry again, which costs less than to read it from memory.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, geometry: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """`[b, h, n, n]`."""
        ctx.save_for_backward(q, geometry, weight, bias)
        phi = q.new_empty(len(q), q.shape[2], q.shape[1], q.shape[1])
        for part in _parts(q):
            G = fn.linear(geometry[part], weight, bias).relu_()
            phi[part] = (q[part] @ G.mT).transpose(1, 2)
        return phi

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """Gradients of queries, geometry, weight and bias."""
        q, geometry, weight, bias = ctx.saved_tensors
        dq, dW, db = torch.empty_like(q), torch.zeros_like(weight), torch.zeros_like(bias)
        df = torch.empty_like(geometry) if ctx.needs_input_grad[1] else None
        for part in _parts(q):
            own, f = q[part], geometry[part]
            G = fn.linear(f, weight, bias).relu_()
            R = grad_output[part].transpose(1, 2)  # [b n h n]
            dq[part] = R @ G
            dG = (R.mT @ own).mul_(G > 0).flatten(0, 2)
            dW.addmm_(dG.T, f.flatten(0, 2))
            db += dG.sum(0)
            if df is not None:
                df[part] = (dG @ weight).view_as(f)
        return dq, df, dW, db
