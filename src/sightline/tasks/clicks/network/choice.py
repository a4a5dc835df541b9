"""Clicks as choices: the probability of an alternative from utilities, for one impression or a whole slate.

With Gumbel noise on every utility, `P(a) = exp(V_a) / sum_b exp(V_b)` over what is available: the multinomial logit
[mcfadden1974conditional]. Of two alternatives, only the difference of their utilities counts.
"""

from __future__ import annotations

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


def click_loss(utility: Float[Tensor, " b"], clicked: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Log loss of clicks: the binary logit, in which not clicking has the utility 0."""
    return fn.binary_cross_entropy_with_logits(utility, clicked)
