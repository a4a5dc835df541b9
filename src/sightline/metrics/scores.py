"""`Scores`: what a metric gives back for a batch - one value and one status per sample.

A sample that cannot be scored carries the reason instead of a number; nobody averages it in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.errors import InputError
from sightline.results.maps import FLAT


class SampleStatus(StrEnum):
    """Why a sample has, or has not, a value. The first four are the statuses of a map."""

    OK = "ok"
    ZERO = "zero"
    FLAT = "flat"
    NAN = "nan"
    EMPTY_MASK = "empty-mask"
    FULL_MASK = "full-mask"
    OUTSIDE = "outside"
    MODEL_NAN = "model-nan"
    UNDEFINED = "undefined"


REASONS: dict[SampleStatus, str] = {
    SampleStatus.OK: "scored",
    SampleStatus.ZERO: "the map has no value (for this metric: no positive value) to score",
    SampleStatus.FLAT: "every value of the map is the same, so it orders nothing",
    SampleStatus.NAN: "the map holds values that are not finite",
    SampleStatus.EMPTY_MASK: "the mask, the box or the set of visible parts is empty",
    SampleStatus.FULL_MASK: "the mask covers everything, so every map is right",
    SampleStatus.OUTSIDE: "the box lies outside the image",
    SampleStatus.MODEL_NAN: "the model's score of this sample is not finite",
    SampleStatus.UNDEFINED: "the equation divides zero by zero here (a correlation with a constant, say)",
}
ORDER: tuple[SampleStatus, ...] = tuple(SampleStatus)
CODES: dict[SampleStatus, int] = {status: code for code, status in enumerate(ORDER)}


@dataclass(frozen=True, eq=False)
class Scores:
    """Values of a batch with their statuses.

    Args:
        values: one number per sample; NaN where the status is not `ok`.
        status: the position of the sample's status in `SampleStatus`, on the same device.
    """

    values: Float[Tensor, "b"]
    status: Int[Tensor, "b"]

    @property
    def ok(self) -> Bool[Tensor, "b"]:
        """Which samples were scored."""
        return self.status == 0

    def __len__(self) -> int:
        return len(self.values)

    def statuses(self) -> tuple[SampleStatus, ...]:
        """Statuses in words, one per sample."""
        return tuple(ORDER[code] for code in self.status.tolist())


def scored(values: Float[Tensor, "b"], *checks: Int[Tensor, "b"]) -> Scores:
    """Values with the first complaint of `checks` (codes, 0 where content); other non-finite values are undefined.

    Example:
        >>> scored(torch.tensor([1.0, float("nan")])).statuses()
        (<SampleStatus.OK: 'ok'>, <SampleStatus.UNDEFINED: 'undefined'>)
    """
    status = torch.zeros(len(values), dtype=torch.long, device=values.device)
    for check in checks:
        status = torch.where(status == 0, check, status)
    lost = (status == 0) & ~torch.isfinite(values)
    status = torch.where(lost, CODES[SampleStatus.UNDEFINED], status)
    return Scores(torch.where(status == 0, values, torch.nan), status)


def flagged(bad: Bool[Tensor, "b"], status: SampleStatus) -> Int[Tensor, "b"]:
    """Codes that complain of `status` where `bad`."""
    return bad.long() * CODES[status]


def map_check(
    maps: Float[Tensor, "b ..."], *, skips: Sequence[SampleStatus] = (SampleStatus.ZERO, SampleStatus.FLAT)
) -> Int[Tensor, "b"]:
    """Status of every map of a batch, as `sightline.results.status_of` defines it, without a host sync.

    Args:
        maps: raw values.
        skips: which of `zero` and `flat` this metric cannot score; NaN never can be scored.

    Returns:
        Codes, 0 for maps that can be scored.

    Raises:
        InputError: there are no maps or they have no elements.
    """
    if maps.ndim < 2 or not maps.numel():
        raise InputError(
            f"maps are a batch [b, ...] of at least one element; got shape {tuple(maps.shape)}. "
            "Try: maps[None] for one map"
        )
    flat = maps.flatten(1)
    broken = ~torch.isfinite(flat).all(dim=1)
    peak = flat.abs().amax(dim=1)
    level = (flat.amax(dim=1) - flat.amin(dim=1) <= FLAT * peak) & (flat.shape[1] > 1) & (peak > 0)
    status = flagged(broken, SampleStatus.NAN)
    if SampleStatus.ZERO in skips:
        status = torch.where(status == 0, flagged(peak == 0, SampleStatus.ZERO), status)
    if SampleStatus.FLAT in skips:
        status = torch.where(status == 0, flagged(level, SampleStatus.FLAT), status)
    return status


def model_check(scores: Float[Tensor, "b ..."]) -> Int[Tensor, "b"]:
    """Complains where any of the model's scores of a sample is not finite."""
    return flagged(
        ~torch.isfinite(scores.flatten(1) if scores.ndim > 1 else scores[:, None]).all(1), SampleStatus.MODEL_NAN
    )


def same_length(**batches: Tensor) -> int:
    """The batch size that all tensors share.

    Raises:
        InputError: they differ.
    """
    sizes = {name: len(tensor) for name, tensor in batches.items()}
    if len(set(sizes.values())) != 1:
        raise InputError(
            "a metric takes one entry per sample in every argument; found "
            + ", ".join(f"{size} {name}" for name, size in sizes.items())
        )
    return next(iter(sizes.values()))
