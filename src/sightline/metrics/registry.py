"""`METRICS`: every metric under its name, with its direction, range, price and limits.

The command line, the tests' batteries and the documentation's table all read this registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from jaxtyping import Float
from torch import Tensor

from sightline.errors import MethodError
from sightline.metrics.scores import SampleStatus, Scores
from sightline.registry import Registry

Family = Literal[
    "faithfulness", "parts", "localisation", "complexity", "robustness", "randomisation", "counterfactual"
]
Need = Literal[
    "probe",
    "inputs",
    "maps",
    "masks",
    "boxes",
    "points",
    "parts",
    "explain",
    "explain_model",
    "model",
    "other",
    "after",
]
F = TypeVar("F", bound=Callable[..., Scores])


def _none(**_: Any) -> int:
    return 0


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """What a metric is and what it costs.

    Args:
        name: registry name.
        title: in words.
        family: the question that it belongs to.
        higher_is_better: direction.
        low: lower end of its range.
        high: upper end.
        needs: names of its positional arguments, in order.
        cost: model forwards per sample, as a formula.
        forwards: the same as a function of the metric's options.
        signed: what it does with negative values of a map.
        cannot: what a good score does not show.
        cite: keys of `references.bib`.
        chance: what a uniform-random map scores, in words.
        expected: the same as a function of `needs` and options, where it is known from the arguments alone.
        skips: statuses of maps that are counted in place of being scored.
        function: the metric itself.
    """

    name: str
    title: str
    family: Family
    higher_is_better: bool
    low: float = 0.0
    high: float = 1.0
    needs: tuple[Need, ...]
    cost: str = "0"
    forwards: Callable[..., int] = _none
    signed: str
    cannot: str
    cite: tuple[str, ...]
    chance: str
    expected: Callable[..., Float[Tensor, "b"]] | None = None
    skips: tuple[SampleStatus, ...] = (SampleStatus.NAN, SampleStatus.ZERO, SampleStatus.FLAT)
    function: Callable[..., Scores]

    def __call__(self, *arguments: Any, **options: Any) -> Scores:
        """Score a batch: the arguments of `needs`, then the metric's options."""
        return self.function(*arguments, **options)

    def row(self) -> dict[str, str]:
        """One row of the documentation's table."""
        return {
            "metric": f"`{self.name}`",
            "better": "higher" if self.higher_is_better else "lower",
            "range": f"{_number(self.low)} ... {_number(self.high)}",
            "forwards per sample": self.cost,
            "needs": ", ".join(self.needs),
            "random map": self.chance,
            "signed maps": self.signed,
            "skips": ", ".join(self.skips),
            "cannot tell": self.cannot,
            "source": ", ".join(f"[{key}]" for key in self.cite),
        }


FAITHFULNESS: dict[str, Any] = {"family": "faithfulness", "needs": ("probe", "inputs", "maps")}
"""What metrics that delete have in common."""
LOCALISATION: dict[str, Any] = {"family": "localisation", "higher_is_better": True, "needs": ("maps", "masks")}
"""What metrics that compare a map with a mask have in common."""

METRICS: Registry[MetricSpec] = Registry("metric", group="sightline.metrics", error=MethodError)


def metric(name: str, **facts: Any) -> Callable[[F], F]:
    """Decorator that registers a function under `name` with the facts of a `MetricSpec`."""

    def enter(function: F) -> F:
        METRICS.add(name, MetricSpec(name=name, function=function, **facts))
        return function

    return enter


def table(family: Family | None = None) -> str:
    """The registry as a Markdown table; one family of it, or all.

    Example:
        >>> print(table("complexity").splitlines()[0].split("|")[1].strip())
        metric
    """
    rows = [spec.row() for spec in METRICS.values() if family in (None, spec.family)]
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines)


def _number(value: float) -> str:
    return {float("inf"): "∞", float("-inf"): "-∞"}.get(value, f"{value:g}")
