"""One row of a log, explained: the words, the map, and what would have to change."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.explain.attribution import Attribution, attribution, average_of
from sightline.tasks.clicks.explain.gradients import integrated_gradients
from sightline.tasks.clicks.explain.overall import named_pairs, pair_map
from sightline.tasks.clicks.network.network import ClickNet

OFTEN = 20
"""How often the rows of comparison must show a category before it is offered as a change."""


@dataclass(frozen=True)
class Place:
    """The choice that a row is an alternative of.

    Args:
        alternatives: how many there are.
        others: `log sum_b exp(V_b)` of the other ones, and of no choice where there may be none.
        none: whether there may be none.
    """

    alternatives: int
    others: float
    none: bool = False


def chance(utility: float, place: Place | None) -> float:
    """Probability of a click, against a utility of 0, or of a choice, against the other alternatives."""
    difference = utility - (0.0 if place is None else place.others)
    return 1 / (1 + math.exp(-difference)) if difference > -700 else 0.0


@dataclass(frozen=True)
class Change:
    """Another value of one field.

    Args:
        field: its name.
        value: the other value.
        probability: of a click with it.
    """

    field: str
    value: str
    probability: float


@dataclass(frozen=True)
class Story:
    """Why a row has its probability.

    Args:
        row: its number in the log.
        names: of the fields.
        cells: what the row holds, by field.
        parts: main effects and pairs, which sum to the logit.
        overall: root mean square of each pair over the log.
        average: probability of the average impression.
        changes: single changes that raise or lower the probability most.
        clicked: the label; None where the log has none.
        compared: rows that the average and the changes are from.
        gradients: integrated gradients of the fields, where the parts are sampled; None where they are exact.
        place: the choice that the row is an alternative of; None where rows are apart.
    """

    row: int
    names: tuple[str, ...]
    cells: tuple[str, ...]
    parts: Attribution
    overall: Float[Tensor, "n n"]
    average: float
    changes: tuple[Change, ...]
    clicked: bool | None
    compared: int
    gradients: Float[Tensor, " n"] | None = None
    place: Place | None = None

    @property
    def probability(self) -> float:
        """Of a click, or of being chosen."""
        return chance(self.parts.logit, self.place)

    def part_rows(self, most: int = 12) -> list[tuple[str, str, float]]:
        """The strongest parts: name, cells and what they add to the logit."""
        rows = [(name, cell, float(v)) for name, cell, v in zip(self.names, self.cells, self.parts.main, strict=True)]
        cells = dict(zip(self.names, self.cells, strict=True))
        pairs = named_pairs(self.parts.pairs, self.names, most)
        rows += [(f"{a} x {b}", f"{cells[a]} x {cells[b]}", value) for a, b, value in pairs if value]
        return sorted(rows, key=lambda row: -abs(row[2]))[:most]

    @property
    def sentence(self) -> str:
        """What the prediction was mostly because of."""
        difference = self.parts.logit - self.parts.base
        side = "more" if difference > 0 else "less"
        name, cells, value = next((row for row in self.part_rows() if row[2] * difference > 0), ("", "", 0.0))
        if self.place is None:
            average = f"for the average impression it is {self.average:.1%}"
            head = f"A click has a probability of {self.probability:.1%}; {average}."
        else:
            average = f"an average alternative in its place would be chosen with {self.average:.1%}"
            several = f"Of {self.place.alternatives} alternatives{' or none' * self.place.none}"
            head = f"{several} this one is chosen with a probability of {self.probability:.1%}; {average}."
        if not name or abs(difference) < 0.05:
            return f"{head} No field or pair of fields moves it far from the average."
        share = value / difference
        much = (
            f"{share:.0%} of the difference" if share <= 1 else "more than the difference, which other parts reduce"
        )
        return f"{head} It is {side}, mostly because of {name} ({cells}): {value:+.2f} of the logit, {much}."

    @property
    def change_sentences(self) -> tuple[str, ...]:
        """What would have to change."""
        return tuple(
            f"With {change.field} = {change.value} instead of {self.cells[self.names.index(change.field)]}, the "
            f"probability would be {change.probability:.1%}."
            for change in self.changes
        )


def story_of(
    net: ClickNet,
    encoder: Encoder,
    one: tuple[Int[Tensor, "1 n"], Float[Tensor, "1 m"]],
    rows: tuple[Int[Tensor, "b n"], Float[Tensor, "b m"]],
    *,
    row: int,
    cells: tuple[str, ...],
    clicked: bool | None,
    place: Place | None = None,
) -> Story:
    """Explain one row.

    Args:
        net: in eval mode.
        encoder: how the log became numbers.
        one: ids and values of the row.
        rows: ids and values of rows of comparison.
        row: its number in the log.
        cells: what it holds, by field.
        clicked: its label.
        place: the choice that it is an alternative of; None where rows are apart.
    """
    average = average_of(net, *rows)
    parts = attribution(net, *one, average, seed=row)
    return Story(
        row=row,
        names=tuple(own.name for own in encoder.fields),
        cells=cells,
        parts=parts,
        overall=pair_map(net, *rows, most=100 if parts.exact else 8),
        average=chance(parts.base, place),
        changes=changes_of(net, encoder, one, rows, place),
        clicked=clicked,
        compared=len(rows[0]),
        gradients=None if parts.exact else integrated_gradients(net, *one, average),
        place=place,
    )


@torch.no_grad()
def changes_of(
    net: ClickNet,
    encoder: Encoder,
    one: tuple[Int[Tensor, "1 n"], Float[Tensor, "1 m"]],
    rows: tuple[Int[Tensor, "b n"], Float[Tensor, "b m"]],
    place: Place | None = None,
) -> tuple[Change, ...]:
    """The change of one category that raises the probability most, and the one that lowers it most.

    Only categories that the rows of comparison show often are offered: the embedding of a rare one is mostly chance.
    """
    before = float(net(*one))
    options: list[tuple[float, int, int]] = []
    for at, own in enumerate(encoder.fields):
        if own.kind != "category":
            continue
        counts = torch.bincount(rows[0][:, at])
        known = [value for value in (counts >= OFTEN).nonzero()[:, 0].tolist() if value > 1]
        known = [value for value in known if value != int(one[0][0, at])]
        if not known:
            continue
        ids = one[0].repeat(len(known), 1)
        ids[:, at] = torch.tensor(known)
        logits = net(ids, one[1].expand(len(known), -1)).tolist()
        options += [(logit, at, value) for logit, value in zip(logits, known, strict=True)]
    best, worst = (max(options), min(options)) if options else (None, None)
    picks = [pick for pick, better in ((best, True), (worst, False)) if pick and (pick[0] > before) == better]
    return tuple(
        Change(encoder.fields[at].name, encoder.name(at, value), chance(logit, place)) for logit, at, value in picks
    )
