"""The multinomial logit: part-worths by maximum likelihood, with standard errors from the Hessian and robust ones.

`V_na = sum_k beta_k x_nak` and `P(a) = exp(V_na) / sum_b exp(V_nb)` over what is available, the same utility and
choice as the networks of clicks have; here it is linear, so that Newton's method finds the one maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError
from sightline.tasks.clicks.logit.table import ChoiceTable, Floats

STEPS = 50
"""Newton steps at most; six are usual."""


@dataclass(frozen=True)
class Design:
    """What the utilities are made of.

    Args:
        names: of the coefficients.
        x: attributes, `[rows, alternatives, coefficients]`; 0 where an alternative is not available.
        table: the choices.
    """

    names: tuple[str, ...]
    x: Floats
    table: ChoiceTable

    @classmethod
    def of(
        cls,
        table: ChoiceTable,
        *,
        generic: Sequence[str] = (),
        case: Sequence[str] = (),
        specific: Sequence[str] = (),
        constants: bool = True,
        reference: str = "",
    ) -> Design:
        """The usual parts of a utility.

        Args:
            table: choices.
            generic: attributes with one coefficient for all alternatives.
            case: columns of who chooses; a coefficient for each alternative but the reference.
            specific: attributes with a coefficient for each alternative.
            constants: whether every alternative but the reference has a constant.
            reference: the alternative without constant; empty for the first.
        """
        alternatives = table.alternatives
        others = [name for name in alternatives if name != (reference or alternatives[0])]
        columns: dict[str, Floats] = {}
        ones = np.ones(table.available.shape)
        parts = {"constant": ones} if constants else {}
        parts |= {name: table.column(name) for name in case}
        for name in generic:
            columns[name] = table.column(name)
        for name, values in parts.items():
            columns |= {f"{name}:{other}": _only(values, alternatives.index(other)) for other in others}
        for name in specific:
            values = table.column(name)
            columns |= {f"{name}:{own}": _only(values, place) for place, own in enumerate(alternatives)}
        return cls.from_columns(table, columns)

    @classmethod
    def from_columns(cls, table: ChoiceTable, columns: Mapping[str, Floats]) -> Design:
        """Any utility that is linear in its coefficients.

        Args:
            table: choices.
            columns: for each coefficient, `[rows, alternatives]`.

        Raises:
            DataError: a value is missing where an alternative is available.
        """
        for name, values in columns.items():
            if np.isnan(values[table.available]).any():
                raise DataError(f"the attribute {name!r} is missing for an alternative that is available; fill it in")
        x = np.stack([np.where(table.available, values, 0.0) for values in columns.values()], 2)
        return cls(tuple(columns), x, table)


def _only(values: Floats, place: int) -> Floats:
    """The column for one alternative alone."""
    result = np.zeros(values.shape)
    result[:, place] = values[:, place]
    return result


@dataclass(frozen=True)
class Fit:
    """An estimated multinomial logit.

    Args:
        design: what it was estimated on.
        coefficients: the part-worths.
        covariance: inverse of minus the Hessian.
        robust: sandwich `H^-1 (sum of g g') H^-1`, over groups where who chose is known.
        log_likelihood: at the maximum.
        null: log likelihood with all coefficients 0.
    """

    design: Design
    coefficients: Floats
    covariance: Floats
    robust: Floats
    log_likelihood: float
    null: float

    @property
    def errors(self) -> Floats:
        """Standard errors from the Hessian."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def robust_errors(self) -> Floats:
        """Robust standard errors."""
        return np.asarray(np.sqrt(np.diag(self.robust)))

    def coefficient(self, name: str) -> float:
        """A part-worth."""
        return float(self.coefficients[self.design.names.index(name)])

    def rows(self) -> list[tuple[str, float, float, float]]:
        """Name, part-worth, standard error and robust standard error of every coefficient."""
        return list(
            zip(
                self.design.names,
                self.coefficients.tolist(),
                self.errors.tolist(),
                self.robust_errors.tolist(),
                strict=True,
            )
        )

    @property
    def shares(self) -> Floats:
        """Probability of every alternative, `[rows, alternatives]`."""
        return shares(self.coefficients, self.design)

    @property
    def rho_squared(self) -> float:
        """McFadden's `1 - LL / LL(0)`."""
        return 1 - self.log_likelihood / self.null


def shares(coefficients: Floats, design: Design) -> Floats:
    """Probability of every alternative; 0 where it is not available."""
    utility = np.where(design.table.available, design.x @ coefficients, -np.inf)
    weights = np.exp(utility - utility.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def estimate(design: Design) -> Fit:
    """Part-worths by maximum likelihood [mcfadden1974conditional].

    Args:
        design: what the utilities are made of.

    Raises:
        DataError: the data do not determine the coefficients.
    """
    beta = np.zeros(len(design.names))
    null = value = _likelihood(beta, design)
    for _ in range(STEPS):
        gradients, hessian = _derivatives(beta, design)
        step = _solved(hessian, gradients.sum(0), design.names)
        scale = 1.0
        while (new := _likelihood(beta + scale * step, design)) < value - 1e-12 and scale > 1e-8:
            scale /= 2
        beta, gain, value = beta + scale * step, new - value, new
        if gain < 1e-11 * max(1.0, abs(value)):
            break
    gradients, hessian = _derivatives(beta, design)
    covariance = _solved(hessian, np.eye(len(beta)), design.names)
    scores = _summed(gradients, design.table.groups)
    return Fit(design, beta, covariance, covariance @ (scores.T @ scores) @ covariance, value, null)


def _likelihood(beta: Floats, design: Design) -> float:
    own = shares(beta, design)[np.arange(len(design.table)), design.table.chosen]
    return float(np.log(np.maximum(own, 1e-300)).sum())


def _derivatives(beta: Floats, design: Design) -> tuple[Floats, Floats]:
    """Gradient of every row, `x_chosen - sum_a P_a x_a`, and minus the Hessian, `sum_a P_a (x_a - m)(x_a - m)'`."""
    p = shares(beta, design)
    mean = np.einsum("na,nak->nk", p, design.x)
    gradients = design.x[np.arange(len(p)), design.table.chosen] - mean
    centred = design.x - mean[:, None]
    return gradients, np.einsum("na,nak,nal->kl", p, centred, centred, optimize=True)


def _solved(hessian: Floats, right: Floats, names: Sequence[str]) -> Floats:
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    scaled = hessian / scale[:, None] / scale
    values, vectors = np.linalg.eigh(scaled)
    if values[0] < 1e-10:
        involved = [name for name, weight in zip(names, np.abs(vectors[:, 0]), strict=True) if weight > 0.1]
        raise DataError(
            f"the choices do not determine the coefficients of {', '.join(involved)}: one is a sum of the others, or "
            "never differs between alternatives; leave one out"
        )
    return np.asarray(np.linalg.solve(hessian, right))


def _summed(gradients: Floats, groups: NDArray[np.int64]) -> Floats:
    """Sum over the choices of each group."""
    _, places = np.unique(groups, return_inverse=True)
    result = np.zeros((places.max() + 1, gradients.shape[1]))
    np.add.at(result, places, gradients)
    return result
