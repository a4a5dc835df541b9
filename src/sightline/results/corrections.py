"""`Corrections`: what a decision would be with other attributes, where classes or labels depend on attributes alone.

Plain numbers, so that a page can work the decision out without the network. It knows no network.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sightline.common.records import restored

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Question:
    """A choice of values, or one attribute that is there or not.

    Args:
        name: what is asked, such as "bill color".
        exclusive: whether exactly one of the values is true; else each stands alone.
        values: the answers.
        shares: how far the network read each of them, 0 to 1.
        weights: for each value, what it adds to the score of each class.
    """

    name: str
    exclusive: bool
    values: tuple[str, ...]
    shares: Numbers
    weights: tuple[Numbers, ...]


@dataclass(frozen=True)
class Corrections:
    """Everything that decides a class: s' = s + V (a' - a) with attributes a' in place of those that were read.

    Args:
        labels: classes, of which one is decided for, or labels, of which each is found or not.
        scores: their scores s with the attributes as they were read.
        questions: what can be answered in another way, with V and a.
        thresholds: for each label the probability sigmoid(s) from which it is found; None for classes.

    Raises:
        ValueError: the numbers do not fit each other.
    """

    labels: tuple[str, ...]
    scores: Numbers
    questions: tuple[Question, ...]
    thresholds: Numbers | None

    def __post_init__(self) -> None:
        """Check that every value has a share and a weight for each class, and every label a threshold."""
        for one in self.questions:
            fits = len(one.values) == len(one.shares) == len(one.weights)
            if not fits or any(len(row) != len(self.labels) for row in one.weights):
                raise ValueError(f"the corrections of {one.name!r} do not fit its values and the classes")
        if len(self.scores) != len(self.labels):
            raise ValueError("the corrections have another number of scores than of classes")
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise ValueError("the corrections have another number of thresholds than of labels")

    def record(self) -> dict[str, Any]:
        """The corrections as the manifest of a saved result has them."""
        return asdict(self)

    @classmethod
    def restore(cls, record: dict[str, Any] | None) -> Corrections | None:
        """The corrections of a record; None where there are none.

        Raises:
            ValueError: it is damaged.
        """
        return None if record is None else restored(cls, record)
