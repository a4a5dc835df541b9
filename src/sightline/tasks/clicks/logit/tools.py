"""What follows from an estimated logit: willingness to pay, elasticities, and whether its ratios hold (IIA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError
from sightline.tasks.clicks.logit.model import Design, Fit, estimate
from sightline.tasks.clicks.logit.table import Floats


@dataclass(frozen=True)
class Worth:
    """Willingness to pay.

    Args:
        value: the ratio of the coefficients: units of cost for a unit of the attribute.
        error: standard error by the delta method, from the Hessian.
        robust: the same with robust errors.
    """

    value: float
    error: float
    robust: float


def willingness_to_pay(fit: Fit, attribute: str, cost: str) -> Worth:
    """`beta_attribute / beta_cost` with its standard errors.

    Args:
        fit: an estimated logit.
        attribute: name of a coefficient.
        cost: name of the cost's coefficient.
    """
    names = fit.design.names
    a, c = names.index(attribute), names.index(cost)
    value = float(fit.coefficients[a] / fit.coefficients[c])
    gradient = np.zeros(len(names))
    gradient[a], gradient[c] = 1 / fit.coefficients[c], -value / fit.coefficients[c]
    errors = [float(np.sqrt(gradient @ covariance @ gradient)) for covariance in (fit.covariance, fit.robust)]
    return Worth(value, errors[0], errors[1])


def elasticities(fit: Fit, attribute: str) -> Floats:
    """Change in percent of each alternative's share (row) for 1 % more of the attribute of another (column).

    `d ln P_a / d ln x_b = beta x_b (1[a = b] - P_b)`, averaged over choices with weights `P_a`.

    Args:
        fit: an estimated logit.
        attribute: name of a coefficient, or of an attribute whose coefficients differ between alternatives.
    """
    names = fit.design.names
    own = [place for place, name in enumerate(names) if name == attribute or name.startswith(f"{attribute}:")]
    p, effect = fit.shares, fit.design.x[:, :, own] @ fit.coefficients[own]
    point = effect[:, None, :] * (np.eye(p.shape[1]) - p[:, None, :])
    return np.asarray((p[:, :, None] * point).sum(0) / p.sum(0)[:, None])


@dataclass(frozen=True)
class IiaTest:
    """Hausman and McFadden's test [hausman1984specification].

    Args:
        without: the alternative that was taken out.
        statistic: `(b_r - b)' (C_r - C)^-1 (b_r - b)`.
        freedom: degrees of freedom.
        p_value: probability of a statistic at least as large where ratios hold; None where the statistic is negative,
            which means no evidence against them.
    """

    without: str
    statistic: float
    freedom: int
    p_value: float | None


def iia_test(fit: Fit, alternative: str) -> IiaTest:
    """Whether the ratios of the other alternatives stay when one is taken out: estimate again without it.

    Args:
        fit: an estimated logit.
        alternative: the one that is taken out.

    Raises:
        DataError: there is no such alternative, or the rest does not determine any coefficient.
    """
    from scipy.stats import chi2

    table = fit.design.table
    rest = table.without(alternative)
    rows = table.chosen != table.place(alternative)
    x = np.where(rest.available[:, :, None], fit.design.x[rows], 0.0)
    some = rest.available.sum(1) > 1
    x, rest = x[some], rest.where(some)
    varies = [place for place in range(x.shape[2]) if _varies(x[:, :, place], rest.available)]
    if not varies:
        raise DataError(f"without {alternative!r} no attribute differs between alternatives; take out another")
    names = tuple(fit.design.names[place] for place in varies)
    spare, moved = _rebased(names, x[:, :, varies], rest.available)
    kept = [place for place, name in zip(varies, names, strict=True) if name not in spare]
    again = estimate(Design(tuple(fit.design.names[place] for place in kept), x[:, :, kept], rest))
    same = [at for at, place in enumerate(kept) if fit.design.names[place] not in moved]
    if not same:
        raise DataError(f"without {alternative!r} nothing but constants is left to compare; take out another")
    places = [kept[at] for at in same]
    difference = again.coefficients[same] - fit.coefficients[places]
    spread = again.covariance[np.ix_(same, same)] - fit.covariance[np.ix_(places, places)]
    statistic = float(difference @ np.linalg.pinv(spread) @ difference)
    value = float(chi2.sf(statistic, len(same))) if statistic >= 0 else None
    return IiaTest(alternative, statistic, len(same), value)


def _rebased(names: Sequence[str], x: Floats, available: NDArray[np.bool_]) -> tuple[set[str], set[str]]:
    """Coefficients that are one too many without the reference, and those that then have another meaning.

    Constants count from the reference; once it is gone, those of all that is left sum to a column that never differs.
    """
    spare, moved = set(), set()
    for base in dict.fromkeys(name.partition(":")[0] for name in names if ":" in name):
        own = [place for place, name in enumerate(names) if name.partition(":")[0] == base]
        if not _varies(x[:, :, own].sum(2), available):
            spare.add(names[own[0]])
            moved |= {names[place] for place in own}
    return spare, moved


def _varies(column: Floats, available: NDArray[np.bool_]) -> bool:
    """Whether a column differs between the alternatives of some row."""
    high = np.where(available, column, -np.inf).max(1)
    low = np.where(available, column, np.inf).min(1)
    return bool((high - low > 1e-12).any())
