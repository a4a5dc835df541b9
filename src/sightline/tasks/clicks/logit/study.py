"""`ChoiceStudy`: an estimated logit with what follows from it, as figures, rows of tables and a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.errors import DataError
from sightline.tasks.clicks.logit.model import Design, Fit, estimate
from sightline.tasks.clicks.logit.table import Floats
from sightline.tasks.clicks.logit.tools import IiaTest, Worth, elasticities, iia_test, willingness_to_pay

Z = 1.959964
"""Half the width of a 95 % interval, in standard errors."""
REJECTED = 0.05
"""p-value below which the ratios are said not to hold."""


@dataclass(frozen=True)
class ChoiceStudy:
    """What is known of a table of choices.

    Args:
        fit: the estimated logit.
        constant: log likelihood of the market shares: constants alone, nothing of the attributes.
        attributes: names of the attributes, for elasticities.
        worths: willingness to pay by coefficient; empty without a cost.
        cost: the coefficient of the cost; empty for none.
        tests: Hausman and McFadden's test for each alternative that can be taken out.
        skipped: alternatives that could not be taken out, and why.
    """

    fit: Fit
    constant: float
    attributes: tuple[str, ...]
    worths: dict[str, Worth]
    cost: str
    tests: tuple[IiaTest, ...]
    skipped: dict[str, str]

    @property
    def verdict(self) -> str:
        """How much the attributes explain, beside the controls."""
        fit = self.fit
        text = (
            f"{len(fit.design.table)} choices among {len(fit.design.table.alternatives)} alternatives. "
            f"Log likelihood {fit.log_likelihood:.3f}; the shares alone have {self.constant:.3f}, equal shares "
            f"{fit.null:.3f}."
        )
        rho = f"{self.gain:.4f} over the shares alone, {fit.rho_squared:.4f} over equal shares"
        return f"{text} McFadden's rho squared is {rho}."

    @property
    def gain(self) -> float:
        """McFadden's rho squared over the shares alone; 0 where there is nothing to gain."""
        return 1 - self.fit.log_likelihood / self.constant if self.constant else 0.0

    @property
    def alarm(self) -> str:
        """A sentence where the attributes explain nothing, or where the ratios do not hold; empty otherwise."""
        from scipy.stats import chi2

        fit = self.fit
        gain = 2 * (fit.log_likelihood - self.constant)
        freedom = len(fit.design.names) - sum(name.startswith("constant:") for name in fit.design.names)
        if freedom and chi2.sf(gain, freedom) > REJECTED:
            return "The attributes explain the choices no better than the shares alone do."
        limit = REJECTED / max(1, len(self.tests))  # several tests: one of them may be small by chance
        against = [own.without for own in self.tests if own.p_value is not None and own.p_value < limit]
        if against:
            return (
                f"Without {' or '.join(against)} the other part-worths change more than chance explains: the ratio "
                "of two shares depends on what else there is, and a multinomial logit cannot express that."
            )
        return ""

    def part_worths(self) -> list[tuple[str, ...]]:
        """Name, part-worth, errors and z of every coefficient."""
        return [
            (name, f"{value:.6g}", f"{error:.4g}", f"{robust:.4g}", f"{value / robust:+.2f}" if robust else "-")
            for name, value, error, robust in self.fit.rows()
        ]

    def pay_rows(self) -> list[tuple[str, ...]]:
        """Willingness to pay with its interval from robust errors."""
        return [
            (
                name,
                f"{own.value:.4g}",
                f"{own.error:.3g}",
                f"{own.value - Z * own.robust:.4g} to {own.value + Z * own.robust:.4g}",
            )
            for name, own in self.worths.items()
        ]

    def share_rows(self) -> list[tuple[str, ...]]:
        """Observed and predicted share of every alternative, and how often it could be chosen."""
        table = self.fit.design.table
        observed = np.bincount(table.chosen, minlength=len(table.alternatives)) / len(table)
        predicted, could = self.fit.shares.mean(0), table.available.mean(0)
        rows = zip(table.alternatives, observed, predicted, could, strict=True)
        return [(name, *(f"{value:.4f}" for value in own)) for name, *own in rows]

    def elasticity(self, attribute: str) -> Floats:
        """Elasticities of an attribute."""
        return elasticities(self.fit, attribute)

    def test_rows(self) -> list[tuple[str, ...]]:
        """The tests of IIA."""
        rows: list[tuple[str, ...]] = [
            (
                own.without,
                f"{own.statistic:.3f}",
                str(own.freedom),
                "negative: no evidence against" if own.p_value is None else f"{own.p_value:.4g}",
            )
            for own in self.tests
        ]
        return rows + [(name, "-", "-", reason) for name, reason in self.skipped.items()]

    def record(self) -> dict[str, Any]:
        """All figures as JSON's kinds."""
        fit, names = self.fit, self.fit.design.table.alternatives
        return {
            "choices": len(fit.design.table),
            "alternatives": list(names),
            "log_likelihood": fit.log_likelihood,
            "log_likelihood_shares": self.constant,
            "log_likelihood_equal": fit.null,
            "rho_squared": fit.rho_squared,
            "rho_squared_shares": self.gain,
            "part_worths": {
                name: {"value": value, "error": error, "robust_error": robust}
                for name, value, error, robust in fit.rows()
            },
            "willingness_to_pay": {
                name: {"value": own.value, "error": own.error, "robust_error": own.robust}
                for name, own in self.worths.items()
            },
            "elasticities": {
                name: {
                    own: dict(zip(names, row, strict=True)) for own, row in zip(names, table.tolist(), strict=True)
                }
                for name, table in ((name, self.elasticity(name)) for name in self.attributes)
            },
            "iia": [
                {"without": t.without, "statistic": t.statistic, "freedom": t.freedom, "p_value": t.p_value}
                for t in self.tests
            ],
            "shares": {
                row[0]: dict(zip(("observed", "predicted", "available"), map(float, row[1:]), strict=True))
                for row in self.share_rows()
            },
            "alarm": self.alarm,
        }


def study_of(design: Design, attributes: tuple[str, ...], cost: str = "") -> ChoiceStudy:
    """Estimate a logit, and what follows from it.

    Args:
        design: what the utilities are made of.
        attributes: names of the attributes, for elasticities.
        cost: the attribute that is money; empty for none.

    Raises:
        DataError: the data do not determine the coefficients, or the cost is no coefficient.
    """
    fit = estimate(design)
    if cost and cost not in design.names:
        raise DataError(
            f"--cost {cost!r} is not a coefficient; the coefficients are {', '.join(design.names)}: willingness to "
            "pay needs one coefficient of cost for all alternatives"
        )
    own = {name for name in design.names if name.partition(":")[0] in attributes and name != cost}
    worths = {name: willingness_to_pay(fit, name, cost) for name in design.names if cost and name in own}
    tests, skipped = [], {}
    for name in design.table.alternatives if len(design.table.alternatives) > 2 else ():
        try:
            tests.append(iia_test(fit, name))
        except DataError as problem:
            skipped[name] = str(problem)
    return ChoiceStudy(fit, _shares_alone(design), attributes, worths, cost, tuple(tests), skipped)


def _shares_alone(design: Design) -> float:
    """Log likelihood of a logit with nothing but constants, of the alternatives that were ever chosen."""
    table = design.table
    chosen = np.unique(table.chosen)
    available = table.available.copy()
    available[:, np.setdiff1d(np.arange(available.shape[1]), chosen)] = False
    columns = {}
    for place in chosen[1:]:
        one = np.zeros(available.shape)
        one[:, place] = 1
        columns[table.alternatives[place]] = one
    if not columns:
        return 0.0
    rest = type(table)(table.alternatives, table.columns, available, table.chosen, table.groups)
    return estimate(Design.from_columns(rest, columns)).log_likelihood
