"""Tokens that are no places of the decision: registers, and places that the network uses as registers.

Large transformers put what they remember of the whole picture into a few tokens of dull places, whose norm grows far
beyond that of the others and which draw much attention [darcet2024registers]. A place is called a sink where the norm
of its token, behind the block before any norm, is more than three times the median over all places of the picture.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.errors import MethodError
from sightline.explainers.flow.affine import Step
from sightline.explainers.flow.tape import Call, Node, Tape
from sightline.explainers.method import Request

LIMIT = 3.0
"""How many times the median norm of the places a sink's norm exceeds."""

OPTION = "drop ignores register and sink tokens and sets their places to zero; keep"
"""What the option `sinks` means."""


BLANK = "drop sets the places of sink tokens to zero; keep"
"""What it means where nothing is multiplied through."""


def drops_sinks(request: Request) -> bool:
    """Whether register and sink tokens are to be left out.

    Raises:
        MethodError: the option is neither `keep` nor `drop`.
    """
    choice = request.option("sinks", "keep")
    if choice not in ("keep", "drop"):
        raise MethodError(f"the option sinks is 'keep' or 'drop', not {choice!r}")
    return bool(choice == "drop")


def sinks_of(norms: Float[Tensor, "b *places"]) -> Bool[Tensor, "b *places"]:
    """Places whose norm stands out.

    Example:
        >>> sinks_of(torch.tensor([[1.0, 1.1, 0.9, 7.0]]))
        tensor([[False, False, False,  True]])
    """
    flat = norms.flatten(1)
    return (flat > LIMIT * flat.median(1, keepdim=True).values).reshape(norms.shape)


def unnormed(tape: Tape, steps: list[Step], node: Node) -> Node:
    """The node in front of a norm, where a node is the result of one: norms make all tokens alike."""
    maker = next((s for s in steps if isinstance(s, Call) and node in s.outputs), None)
    normed = maker is not None and maker.name in ("native_layer_norm", "_fused_rms_norm")
    return maker.inputs[0] if maker is not None and normed else node


def share(x: Float[Tensor, "b ..."], mask: Bool[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """Share of magnitude under a mask."""
    x = x.float().abs()
    return (x * mask).flatten(1).sum(1) / x.flatten(1).sum(1).clamp_min(torch.finfo(x.dtype).tiny)
