"""Clicks as choices: the probability of an alternative from utilities, for one impression or a whole slate.

With Gumbel noise on every utility, `P(a) = exp(V_a) / sum_b exp(V_b)` over what is available: the multinomial logit
[mcfadden1974conditional]. Of two alternatives, only the difference of their utilities counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as fn

from sightline.errors import DataError


def choice_log_shares(
    utilities: Float[Tensor, "b a"], available: Bool[Tensor, "b a"] | None = None
) -> Float[Tensor, "b a"]:
    """Logarithm of every alternative's probability; minus infinity for what is not available.

    Args:
        utilities: V.
        available: what could be chosen; None for everything.

    Raises:
        DataError: a row has no alternative.
    """
    if available is None:
        return fn.log_softmax(utilities, 1)
    if bool((~available).all(1).any()):
        row = int((~available).all(1).nonzero()[0])
        raise DataError(f"row {row} has no alternative that is available; leave it out")
    return fn.log_softmax(utilities.masked_fill(~available, -torch.inf), 1)


def choice_loss(
    utilities: Float[Tensor, "b a"], chosen: Int[Tensor, " b"], available: Bool[Tensor, "b a"] | None = None
) -> Float[Tensor, ""]:
    """Mean negative log likelihood of the choices.

    Args:
        utilities: V.
        chosen: position of what was chosen.
        available: what could be chosen; None for everything.

    Raises:
        DataError: something was chosen that was not available.
    """
    if available is not None and not bool(available.gather(1, chosen[:, None]).all()):
        row = int((~available.gather(1, chosen[:, None])[:, 0]).nonzero()[0])
        raise DataError(f"row {row} chose alternative {int(chosen[row])}, which was not available; correct that row")
    return fn.nll_loss(choice_log_shares(utilities, available), chosen)


def case_totals(
    utilities: Float[Tensor, " r"], cases: Int[Tensor, " r"], *, outside: bool
) -> tuple[Int[Tensor, " r"], Float[Tensor, " s"]]:
    """For rows that lie case by case: the place of each row's case, and `log sum_b exp(V_b)` of each case.

    Args:
        utilities: V of every alternative, a row each.
        cases: equal for the rows of one case, which follow one another.
        outside: whether nothing could be chosen too, with the utility 0.
    """
    first = torch.cat([cases.new_ones(1, dtype=torch.bool), cases[1:] != cases[:-1]])
    places = first.cumsum(0) - 1
    count = int(places[-1]) + 1
    most = utilities.new_full((count,), 0.0 if outside else -torch.inf)
    most = most.scatter_reduce(0, places, utilities.detach(), "amax")
    total = torch.zeros_like(most).index_add(0, places, (utilities - most[places]).exp())
    return places, most + (total + (-most).exp() if outside else total).log()


def case_losses(
    utilities: Float[Tensor, " r"],
    chosen: Float[Tensor, " r"],
    cases: Int[Tensor, " r"],
    *,
    outside: bool,
) -> Float[Tensor, " s"]:
    """Negative log likelihood of each case's choice; of no choice where nothing was chosen.

    Args:
        utilities: V of every alternative, a row each.
        chosen: 1 for what was chosen.
        cases: equal for the rows of one case, which follow one another.
        outside: whether nothing could be chosen too, with the utility 0.
    """
    places, totals = case_totals(utilities, cases, outside=outside)
    return totals - torch.zeros_like(totals).index_add(0, places, utilities * chosen)


def batch_loss(utilities: Float[Tensor, " r"], batch: Sequence[Tensor], *, outside: bool) -> Float[Tensor, ""]:
    """Mean loss of a batch: of choices where its rows have cases, else of clicks.

    Args:
        utilities: of the rows.
        batch: ids, values, labels, and where rows have them cases.
        outside: whether a case may end without a choice.
    """
    if len(batch) < 4:
        return click_loss(utilities, batch[2])
    return case_losses(utilities, batch[2], batch[3], outside=outside).mean()


def click_loss(utility: Float[Tensor, " b"], clicked: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Log loss of clicks: the binary logit, in which not clicking has the utility 0."""
    return fn.binary_cross_entropy_with_logits(utility, clicked)
