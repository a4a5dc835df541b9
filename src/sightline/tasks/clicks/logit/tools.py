"""What follows from an estimated logit: willingness to pay, elasticities, and whether its ratios hold (IIA)."""

from __future__ import annotations

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
        attribute: name of a coefficient.
    """
    place = fit.design.names.index(attribute)
    p, x = fit.shares, fit.design.x[:, :, place]
    count = p.shape[1]
    point = fit.coefficients[place] * x[:, None, :] * (np.eye(count) - p[:, None, :])
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
    if alternative not in table.alternatives:
        raise DataError(f"there is no alternative {alternative!r}; there are {', '.join(table.alternatives)}")
    rest = table.without(alternative)
    rows = table.chosen != table.alternatives.index(alternative)
    x = np.where(rest.available[:, :, None], fit.design.x[rows], 0.0)
    some = rest.available.sum(1) > 1
    x, rest = x[some], rest.where(some)
    varies = [place for place in range(x.shape[2]) if _varies(x[:, :, place], rest.available)]
    if not varies:
        raise DataError(f"without {alternative!r} no attribute differs between alternatives; take out another")
    again = estimate(Design(tuple(fit.design.names[place] for place in varies), x[:, :, varies], rest))
    difference = again.coefficients - fit.coefficients[varies]
    spread = again.covariance - fit.covariance[np.ix_(varies, varies)]
    statistic = float(difference @ np.linalg.pinv(spread) @ difference)
    value = float(chi2.sf(statistic, len(varies))) if statistic >= 0 else None
    return IiaTest(alternative, statistic, len(varies), value)


def _varies(column: Floats, available: NDArray[np.bool_]) -> bool:
    """Whether a column differs between the alternatives of some row."""
    high = np.where(available, column, -np.inf).max(1)
    low = np.where(available, column, np.inf).min(1)
    return bool((high - low > 1e-12).any())
