r"""Attention over all triples of frame, place and sound segment: one distribution, read in two ways.

$e_{ns} = q_n \cdot k_s / \sqrt{C} + b_{t(n)-s}$ for the picture's tokens $n = (t, p)$ and the segments $s$;
$w = \mathrm{softmax}_{ns}\, e$. WHERE is $\sum_s w_{ns}$, WHEN is $\sum_n w_{ns}$: both sum to one, and both are
readings of the same weights. Pure functions of tensors; in the spirit of [chen2021where], whose equations are not
public.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Form = Literal["joint", "factorised"]


def scores_of(
    queries: Float[Tensor, "*b n c"],
    keys: Float[Tensor, "*b s c"],
    bias: Float[Tensor, "n s"] | None = None,
) -> Float[Tensor, "*b n s"]:
    r"""$e_{ns} = q_n \cdot k_s / \sqrt{C} + b_{ns}$."""
    # einsum, because a product of matrices copies what is broadcast, here the tokens for every class
    scores = torch.einsum("...nc,...sc->...ns", queries, keys / math.sqrt(queries.shape[-1]))
    return scores if bias is None else scores + bias


def weights_of(
    scores: Float[Tensor, "*b n s"],
    *,
    tokens: Bool[Tensor, "*b n"] | None = None,
    segments: Bool[Tensor, "*b s"] | None = None,
    form: Form = "joint",
) -> Float[Tensor, "*b n s"]:
    r"""Weights of all triples: they are not negative and sum to one, also where much is missing.

    `joint` is $\mathrm{softmax}_{ns}\, e_{ns}$. `factorised` is $\beta_s\, \alpha_{n|s}$ with
    $\alpha_{n|s} = \mathrm{softmax}_n\, e_{ns}$ and $\beta = \mathrm{softmax}_s\, \mathrm{mean}_n\, e_{ns}$; the two
    are equal where $\alpha$ does not depend on $s$.

    Args:
        scores: $e$.
        tokens: which tokens of the picture are there; the others get exactly 0. Where none is, all count.
        segments: which segments of the sound are there, likewise.
        form: how the weights are made.
    """
    if form == "joint" and tokens is None and segments is None:
        return scores.flatten(-2).softmax(-1).reshape(scores.shape)
    kept = _kept(scores, tokens, segments)
    hidden = scores.masked_fill(~kept, -torch.inf)
    if form == "joint":
        return hidden.flatten(-2).softmax(-1).reshape(scores.shape)
    inside = kept.any(-2, keepdim=True)
    places = torch.where(inside, hidden, 0.0).softmax(-2)
    sums = torch.where(kept, scores, 0.0).sum(-2, keepdim=True) / kept.sum(-2, keepdim=True).clamp(min=1)
    times = sums.masked_fill(~inside, -torch.inf).softmax(-1)
    return times * places


def _kept(
    scores: Float[Tensor, "*b n s"], tokens: Bool[Tensor, "*b n"] | None, segments: Bool[Tensor, "*b s"] | None
) -> Bool[Tensor, "*b n s"]:
    """Pairs of which both are there; a modality of which nothing is there is taken whole."""
    kept = torch.ones_like(scores, dtype=torch.bool)
    for mask, axis in ((tokens, -1), (segments, -2)):
        if mask is not None:
            whole = mask | ~mask.any(-1, keepdim=True)
            kept = kept & whole.unsqueeze(axis)
    return kept


def where(weights: Float[Tensor, "*b n s"], grid: tuple[int, int, int]) -> Float[Tensor, "*b t h w"]:
    """The share of every place of every frame."""
    return weights.sum(-1).reshape(*weights.shape[:-2], *grid)


def when(weights: Float[Tensor, "*b n s"]) -> Float[Tensor, "*b s"]:
    """The share of every segment."""
    return weights.sum(-2)


def pooled(
    weights: Float[Tensor, "*b n s"], values: Float[Tensor, "*b n c"], sounds: Float[Tensor, "*b s c"]
) -> Float[Tensor, "*b c"]:
    r"""$z = \sum_{ns} w_{ns}\, (v_n \odot a_s)$."""
    return (torch.einsum("...ns,...nc->...sc", weights, values) * sounds).sum(-2)


def evidence(
    weights: Float[Tensor, "*b n s"],
    values: Float[Tensor, "*b n c"],
    sounds: Float[Tensor, "*b s c"],
    row: Float[Tensor, "c"],
) -> Float[Tensor, "*b n s"]:
    r"""What each triple adds to a class's logit, $w_{ns} \sum_c h_c v_{nc} a_{sc}$; they sum to it, less its bias."""
    return weights * ((values * row) @ sounds.transpose(-1, -2))


def offsets(frames: int, cells: int, segments: int, reach: int) -> Int[Tensor, "n s"]:
    """Place in a table of `2 reach + 1` biases of every pair: how many segments a frame lies behind a segment.

    Example:
        >>> offsets(2, 1, 2, 3).tolist()
        [[3, 2], [4, 3]]
    """
    moments = torch.div((2 * torch.arange(frames) + 1) * segments, 2 * frames, rounding_mode="floor")
    gaps = moments[:, None] - torch.arange(segments)
    return (gaps.clamp(-reach, reach) + reach).repeat_interleave(cells, 0)
