"""What each block's gate adds by itself, over all schemes that were evaluated: the reasons behind a scheme.

It knows numbers only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import GateError


@dataclass(frozen=True)
class Effect:
    """What one gate is worth.

    Args:
        stage: stage of the block, from 1.
        block: within the stage, from 1.
        mean: change of the score when the bit is set; NaN where the evaluated schemes cannot tell.
        low: lower end of the interval.
        high: upper end.
        on: how many of the evaluated schemes set it.
        off: how many do not.
    """

    stage: int
    block: int
    mean: float
    low: float
    high: float
    on: int
    off: int

    @property
    def verdict(self) -> str:
        """`helps` or `harms` where the interval excludes zero, `unknown` where there is none, else `unclear`."""
        if not math.isfinite(self.low):
            return "unknown"
        return "helps" if self.low > 0 else "harms" if self.high < 0 else "unclear"

    @property
    def words(self) -> str:
        """The verdict in words; where there is none, why."""
        if math.isfinite(self.low):
            return {"unclear": "unclear: the interval contains 0"}.get(self.verdict, self.verdict)
        if math.isfinite(self.mean):
            return "no interval: too few schemes"
        if self.on + self.off == 1:
            return "not measured: only one scheme"
        if not self.on or not self.off:
            return f"not measured: {'every' if self.on else 'no'} scheme has this gate"
        return "not measured: these schemes do not tell it from other gates"


def main_effects(
    bits: Float[Tensor, "n l"],
    scores: Float[Tensor, "n"],
    *,
    draws: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Float[Tensor, "l"], Float[Tensor, "l"], Float[Tensor, "l"]]:
    r"""Main effects $\beta$ of $s = \beta_0 + \sum_l \beta_l b_l$ by least squares, with percentile intervals.

    Over all schemes, $\beta_l$ is the mean score with the bit less that without it, and half a Banzhaf index of it; a
    searcher's schemes are not balanced, so that there the plain difference would mix one bit with another. The
    intervals come from resampling schemes: how far the effect hangs on which were tried. A bit that the schemes do
    not part from the others has NaN, and where resampling often leaves it so, its interval has.

    Args:
        bits: rows of 0 and 1.
        scores: score of each scheme.
        draws: resamples.
        confidence: confidence level of the intervals.
        seed: seed of the resampling.

    Returns:
        Means, lower and upper ends.

    Raises:
        GateError: the two are not of one length, or there is none.
    """
    if len(bits) != len(scores) or not len(bits):
        raise GateError(
            f"main effects need a score for every scheme; got {len(bits)} schemes and {len(scores)} scores"
        )
    X = torch.cat([torch.ones(len(bits), 1, dtype=torch.float64), bits.double()], 1)
    y = scores.double()
    mean = _solved(X, y, torch.ones(1, len(y), dtype=torch.float64))[0]
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(y), (draws, len(y)), generator=generator)
    weights = torch.zeros(draws, len(y), dtype=torch.float64).scatter_add_(1, rows, torch.ones(rows.shape).double())
    effects = _solved(X, y, weights)
    level = (1 - confidence) / 2
    ends = torch.nanquantile(effects, torch.tensor([level, 1 - level], dtype=torch.float64), dim=0)
    ends[:, (effects.isnan().double().mean(0) > 0.1) | mean.isnan()] = math.nan
    return mean[1:], ends[0, 1:], ends[1, 1:]


def _solved(X: Float[Tensor, "n p"], y: Float[Tensor, "n"], weights: Float[Tensor, "d n"]) -> Float[Tensor, "d p"]:
    """Weighted least squares for each row of weights; NaN for what the rows cannot tell apart."""
    inner = torch.einsum("dn,ni,nj->dij", weights, X, X)
    inverse = torch.linalg.pinv(inner, hermitian=True, rtol=1e-9)
    effects = torch.einsum("dij,dn,nj,n->di", inverse, weights, X, y)
    # The diagonal of pinv(A) A is 1 where a coefficient is determined by the rows, and less where it is not.
    resolution = torch.einsum("dij,dji->di", inverse, inner)
    return torch.where(resolution > 1 - 1e-6, effects, math.nan)
