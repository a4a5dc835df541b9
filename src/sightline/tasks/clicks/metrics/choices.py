"""Figures of choices: log loss by case, and how often the likeliest alternative was chosen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.clicks.network.choice import case_totals


@dataclass
class CaseTally:
    """What is known of the cases so far.

    Args:
        cases: how many.
        loss: sum of their log losses.
        equal: the same where all alternatives have equal shares.
        hits: cases whose likeliest alternative was chosen; ties count by their share.
    """

    cases: int = 0
    loss: float = 0.0
    equal: float = 0.0
    hits: float = 0.0

    def add(
        self,
        utilities: Float[Tensor, " r"],
        chosen: Float[Tensor, " r"],
        cases: Int[Tensor, " r"],
        *,
        outside: bool,
    ) -> Float[Tensor, " r"]:
        """Take rows of whole cases into account; gives the share of each row.

        Args:
            utilities: of the alternatives.
            chosen: 1 for what was chosen.
            cases: equal for the rows of one case, which follow one another.
            outside: whether nothing could be chosen too.
        """
        places, totals = case_totals(utilities, cases, outside=outside)
        count = len(totals)

        def summed(values: Tensor) -> Tensor:
            return torch.zeros(count, dtype=utilities.dtype).index_add(0, places, values)

        shares = (utilities - totals[places]).exp()
        self.cases += count
        self.loss += float((totals - summed(utilities * chosen)).sum())
        self.equal += float((summed(torch.ones_like(utilities)) + outside).log().sum())
        nothing = (-totals).exp() if outside else torch.zeros(count, dtype=utilities.dtype)
        most = nothing.scatter_reduce(0, places, shares, "amax")
        first = shares >= most[places]
        ties = summed(first.to(utilities.dtype)) + (outside & (nothing >= most))
        right = summed((first & (chosen > 0)).to(utilities.dtype))
        right += (outside & (nothing >= most) & (summed(chosen) == 0)).to(utilities.dtype)
        self.hits += float((right / ties).sum())
        return shares
