"""Deletion of parts, one by one and from both sides, as FunnyBirds does it.

A part is a mask (wing, bill, ...). What the map says of a part is the sum of its values in the part's widened mask.
Parts are removed by a baseline, or - better - by a world that renders the scene without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from sightline.common.statistics.correlation import spearman
from sightline.errors import InputError
from sightline.metrics.elements import on_grid
from sightline.metrics.probe import Probe
from sightline.metrics.registry import metric
from sightline.metrics.scores import CODES, SampleStatus, Scores, flagged, map_check, model_check, scored

Renderer = Callable[[Tensor, Tensor], Tensor]
"""From samples `[r]` and kept parts `[r, p]` to the pictures `[r, c, h, w]` in which only those parts are left."""
_PARTS = {
    "family": "parts",
    "higher_is_better": True,
    "needs": ("probe", "inputs", "maps", "parts"),
    "signed": "sum of signed values",
    "cite": ("hesse2023funnybirds",),
}
_SINGLE = {**_PARTS, "cost": "p + 1", "forwards": lambda *, parts, **_: parts + 1}
_TWO_SIDED = {
    **_PARTS,
    "cost": "2p + 3",
    "forwards": lambda *, parts, **_: 2 * parts + 3,
    "chance": "none known: it depends on how many parts the class needs",
}


POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
"""By the number of axes."""


def importances(
    maps: Float[Tensor, "b ..."], parts: Bool[Tensor, "b p ..."], *, widen: int = 2
) -> Float[Tensor, "b p"]:
    r"""$I_p = \sum_{\Omega_p} M$, each mask widened by a square of `widen` pixels [hesse2023funnybirds].

    Args:
        maps: one per sample, signed; enlarged to the masks' grid.
        parts: masks of the parts.
        widen: 2 is the 5x5 max-pooling of the paper.

    Raises:
        InputError: shapes do not fit.
    """
    axes = maps.ndim - 1
    if axes not in POOLS or parts.ndim != axes + 2 or len(maps) != len(parts):
        raise InputError(
            f"parts are [b, p, h, w] beside maps [b, h, w]; got {tuple(parts.shape)}, {tuple(maps.shape)}"
        )
    wide = POOLS[axes](parts.to(maps.device).float(), 2 * widen + 1, stride=1, padding=widen)
    return torch.einsum("bhw,bphw->bp", *_two_axes(on_grid(maps, tuple(parts.shape[2:])).float(), wide))


def _two_axes(maps: Tensor, parts: Tensor) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b p h w"]]:
    """Maps and parts of any rank with two place axes, the last as it is."""
    last = maps.shape[-1]
    return maps.reshape(len(maps), -1, last), parts.reshape(*parts.shape[:2], -1, last)


def painter(
    inputs: Float[Tensor, "b c ..."], parts: Bool[Tensor, "b p ..."], *, value: float | None = None
) -> Renderer:
    """A renderer that paints over removed parts: with `value`, or with each picture's mean colour outside its parts.

    A painted part leaves its outline; where the scene can be rendered again, do that.
    """
    parts = parts.to(inputs.device).bool()
    free = ~parts.any(1, keepdim=True)
    places = tuple(range(2, inputs.ndim))
    mean = (inputs * free).sum(places, keepdim=True) / free.sum(places, keepdim=True).clamp(min=1)
    colour = mean if value is None else torch.full_like(mean, value)

    def render(samples: Tensor, visible: Tensor) -> Tensor:
        shown = visible.reshape(*visible.shape, *[1] * len(places))
        gone = (parts[samples] & ~shown).any(1, keepdim=True)
        return torch.where(gone, colour[samples], inputs[samples])

    return render


def _rows(count: int, sets: Bool[Tensor, "b s p"]) -> tuple[Int[Tensor, "r"], Bool[Tensor, "r p"]]:
    return torch.arange(count, device=sets.device).repeat_interleave(sets.shape[1]), sets.flatten(0, 1)


def single_drops(
    probe: Probe, inputs: Float[Tensor, "b c h w"], parts: Bool[Tensor, "b p h w"], *, render: Renderer | None = None
) -> Float[Tensor, "b p"]:
    """Drop of the score when each part alone is removed; p + 1 forwards.

    Args:
        probe: the decision.
        inputs: pictures.
        parts: masks of the parts; an empty mask is a part that is not there.
        render: renders without the part; by default it is painted over.
    """
    return _single(probe, inputs, parts, render)[1]


def _single(
    probe: Probe, inputs: Tensor, parts: Tensor, render: Renderer | None
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b p"]]:
    """The whole's score, and the drops from it."""
    draw = render or painter(inputs, parts)
    fixed, whole = probe.scores(inputs)
    others = ~torch.eye(parts.shape[1], dtype=torch.bool, device=inputs.device).expand(len(inputs), -1, -1)
    samples, sets = _rows(len(inputs), others)
    after = fixed.rows(samples, lambda rows: draw(samples[rows], sets[rows]))
    return whole, whole[:, None] - after.reshape(len(inputs), -1)


def _part_check(parts: Bool[Tensor, "b p h w"], *, least: int) -> Int[Tensor, "b"]:
    count = parts.flatten(2).any(2).sum(1)
    return flagged(count < least, SampleStatus.EMPTY_MASK)


@metric(
    "single-deletion",
    title="Single deletion: does the order of the parts' importances equal that of their effects",
    cannot="what parts do together: a class that two parts decide jointly shows no single effect",
    chance="1/2 for parts of one size: no order is likelier than its reverse",
    expected=lambda probe, inputs, maps, parts, **_: torch.full((len(inputs),), 0.5, device=inputs.device),
    **_SINGLE,
)
def single_deletion(
    probe: Probe,
    inputs: Float[Tensor, "b c h w"],
    maps: Float[Tensor, "b h w"],
    parts: Bool[Tensor, "b p h w"],
    *,
    render: Renderer | None = None,
    widen: int = 2,
) -> Scores:
    r"""$(\rho + 1)/2$, $\rho$ Spearman's correlation of importances and single drops [hesse2023funnybirds].

    Parts that are not in the picture count with importance and drop of zero; fewer than two visible ones are skipped.

    Args:
        probe: the decision; the paper reads logits.
        inputs: pictures.
        maps: one per sample.
        parts: masks of the parts.
        render: see `single_drops`.
        widen: see `importances`.

    Raises:
        InputError: shapes do not fit.
    """
    drops = single_drops(probe, inputs, parts, render=render)
    present = parts.to(maps.device).flatten(2).any(2)
    agreement = (spearman(importances(maps, parts, widen=widen), drops * present) + 1) / 2
    return scored(agreement.float(), map_check(maps), _part_check(parts.to(maps.device), least=2), model_check(drops))


@dataclass(frozen=True, eq=False)
class TwoSided:
    """What the model prefers when the k most important parts alone are kept, or are removed, for every k.

    Args:
        order: place of each part by importance, the most important 0.
        share: cumulated share of the importance after the k most important parts, `[b, p]`.
        kept: whether the preferred class stays when only the first k parts are kept, `[b, p + 1]`.
        removed: whether it stays when the first k parts are removed, `[b, p + 1]`.
    """

    values: Float[Tensor, "b p"]
    order: Int[Tensor, "b p"]
    kept: Bool[Tensor, "b q"]
    removed: Bool[Tensor, "b q"]

    def important(self, threshold: float) -> Int[Tensor, "b"]:
        """How many parts are more important than `threshold` times the sum of all."""
        return (self.values > threshold * self.values.sum(1, keepdim=True)).sum(1)


def two_sided(
    probe: Probe,
    inputs: Float[Tensor, "b c h w"],
    maps: Float[Tensor, "b h w"],
    parts: Bool[Tensor, "b p h w"],
    *,
    render: Renderer | None = None,
    widen: int = 2,
) -> TwoSided:
    """Keep and remove the most important parts, for every number of them; 2p + 3 forwards serve every threshold.

    The parts above a threshold are always the first k by importance, so that nested sets are enough.
    Arguments and errors as for `single_deletion`.
    """
    draw = render or painter(inputs, parts)
    values = importances(maps, parts, widen=widen)
    order = values.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    count = parts.shape[1]
    first = order[:, None, :] < torch.arange(count + 1, device=order.device)[None, :, None]
    samples, sets = _rows(len(inputs), torch.cat([first, ~first], dim=1))
    everything = torch.arange(len(inputs), device=inputs.device)
    before = probe.choices(everything, lambda rows: inputs[rows])
    chosen = probe.choices(samples, lambda rows: draw(samples[rows], sets[rows])).reshape(len(inputs), -1)
    same = chosen == before[:, None]
    return TwoSided(values, order, same[:, : count + 1], same[:, count + 1 :])


def _at(table: Bool[Tensor, "b q"], count: Int[Tensor, "b"]) -> Float[Tensor, "b"]:
    return table.gather(1, count[:, None])[:, 0].float()


@metric(
    "preservation-check",
    title="Preservation: does the decision stay when only the important parts are kept",
    cannot="whether the kept parts were needed: keeping everything passes. Read it with the deletion check",
    **_TWO_SIDED,
)
def preservation_check(
    probe: Probe,
    inputs: Float[Tensor, "b c h w"],
    maps: Float[Tensor, "b h w"],
    parts: Bool[Tensor, "b p h w"],
    *,
    threshold: float = 0.1,
    render: Renderer | None = None,
    widen: int = 2,
) -> Scores:
    r"""$1[\text{class}(x_{\text{keep } P}) = \text{class}(x)]$, $P = \{p: I_p > t \sum I\}$ [hesse2023funnybirds].

    Args:
        probe: the decision; classes are read off the logits.
        inputs: pictures.
        maps: one per sample.
        parts: masks of the parts.
        threshold: t; for several at once use `two_sided`, whose forwards serve them all.
        render: see `single_drops`.
        widen: see `importances`.

    Raises:
        InputError: shapes do not fit.
    """
    sides = two_sided(probe, inputs, maps, parts, render=render, widen=widen)
    return scored(_at(sides.kept, sides.important(threshold)), *_checks(maps, parts, sides))


@metric(
    "deletion-check",
    title="Deletion check: does the decision change when the important parts are removed",
    cannot="whether all removed parts mattered: removing everything passes. Read it with the preservation check",
    **_TWO_SIDED,
)
def deletion_check(
    probe: Probe,
    inputs: Float[Tensor, "b c h w"],
    maps: Float[Tensor, "b h w"],
    parts: Bool[Tensor, "b p h w"],
    *,
    threshold: float = 0.1,
    render: Renderer | None = None,
    widen: int = 2,
) -> Scores:
    r"""$1[\text{class}(x_{\text{without } P}) \ne \text{class}(x)]$ [hesse2023funnybirds].

    Arguments and errors as for `preservation_check`.
    """
    sides = two_sided(probe, inputs, maps, parts, render=render, widen=widen)
    return scored(1 - _at(sides.removed, sides.important(threshold)), *_checks(maps, parts, sides))


def _checks(maps: Tensor, parts: Tensor, sides: TwoSided) -> tuple[Tensor, ...]:
    nothing = sides.values.sum(1) <= 0
    return (
        map_check(maps),
        _part_check(parts.to(maps.device), least=1),
        nothing.long() * CODES[SampleStatus.ZERO],
    )


@metric(
    "distractibility",
    title="Distractibility: share of the irrelevant parts that the map leaves alone",
    cannot="whether relevant parts are found: a map of nothing is not distracted. Read it with the two checks",
    chance="none known: it depends on the parts' sizes",
    **_SINGLE,
)
def distractibility(
    probe: Probe,
    inputs: Float[Tensor, "b c h w"],
    maps: Float[Tensor, "b h w"],
    parts: Bool[Tensor, "b p h w"],
    *,
    threshold: float = 0.1,
    tolerance: float = 0.05,
    render: Renderer | None = None,
) -> Scores:
    r"""$1 - |\{p \in N: I_p > t \sum I\}| / |N|$, $N$ the parts whose removal lowers the score by less than 5 %.

    As in FunnyBirds [hesse2023funnybirds], where background objects are parts like others. Samples without an
    irrelevant part are skipped (`undefined`).

    Args:
        probe: the decision; the paper reads logits.
        inputs: pictures.
        maps: one per sample.
        parts: masks of the parts.
        threshold: t.
        tolerance: share of the score below which a drop is none.
        render: see `single_drops`.

    Raises:
        InputError: shapes do not fit.
    """
    whole, drops = _single(probe, inputs, parts, render)
    present = parts.to(maps.device).flatten(2).any(2)
    idle = present & (drops < tolerance * whole.abs()[:, None])
    values = importances(maps, parts)
    named = values > threshold * values.sum(1, keepdim=True)
    share = 1 - (idle & named).sum(1) / idle.sum(1)
    return scored(share, map_check(maps), _part_check(parts.to(maps.device), least=1), model_check(drops))


def completeness(
    sides: TwoSided, *, thresholds: Sequence[float]
) -> tuple[Float[Tensor, "t b"], Float[Tensor, "t b"]]:
    """Preservation and deletion checks at several thresholds from one `two_sided` run.

    FunnyBirds takes 80 thresholds from 0.01 to 0.50 and reports the best; choose it on pictures you do not report.
    """
    counts = [sides.important(threshold) for threshold in thresholds]
    preserved = torch.stack([_at(sides.kept, count) for count in counts])
    return preserved, torch.stack([1 - _at(sides.removed, count) for count in counts])
