"""`AttentionMap`: raw values over a domain, with a status that says whether they can be drawn.

Nothing here normalises, resizes or colours: that is the business of `reports`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.records import as_kind
from sightline.errors import ResultError
from sightline.results.display import Pictured
from sightline.results.domains import IMAGE, Domain, DomainKind

FLAT = 1e-6
"""A map whose range is below this share of its largest magnitude is called flat."""


class Status(StrEnum):
    """Whether a map says anything."""

    OK = "ok"
    ZERO = "zero"
    FLAT = "flat"
    NAN = "nan"


MEANING: dict[Status, str] = {
    Status.OK: "the map can be drawn",
    Status.ZERO: "every value is exactly zero: nothing at this layer spoke for the decision",
    Status.FLAT: "every value is the same: the method prefers no place at this layer",
    Status.NAN: "some values are not finite: the network's numbers overflowed or were undefined",
}


def status_of(values: Float[Tensor, "..."]) -> Status:
    """Status of raw values of any shape.

    Example:
        >>> status_of(torch.zeros(3, 3))
        <Status.ZERO: 'zero'>
    """
    if not bool(torch.isfinite(values).all()):
        return Status.NAN
    peak = float(values.abs().max()) if values.numel() else 0.0
    if peak == 0.0:
        return Status.ZERO
    if float(values.max() - values.min()) <= FLAT * peak and values.numel() > 1:
        return Status.FLAT
    return Status.OK


@dataclass(frozen=True, eq=False)
class AttentionMap(Pictured):
    """Raw attention values of one layer, for one decision on one sample.

    Args:
        values: float tensor whose axes are those of `domain` (`[h, w]` for an image); units are those of the
            method, not normalised.
        layer: name of the layer; `"input"` when the map lies over the network's input.
        domain: what the values lie over.
        signed: whether negative values mean evidence against the decision.
        notes: what the method wants the reader to know about this map (the error of a grouping, say).

    Raises:
        ResultError: the tensor does not have the axes of the domain.
    """

    values: Float[Tensor, "..."]
    layer: str
    domain: Domain = IMAGE
    signed: bool = False
    notes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != len(self.domain.axes):
            raise ResultError(
                f"a map over {self.domain.kind!r} has axes {' '.join(self.domain.axes)}, but the values of layer "
                f"{self.layer!r} have shape {tuple(self.values.shape)}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes along the domain's axes."""
        return tuple(self.values.shape)

    @cached_property
    def status(self) -> Status:
        """`ok`, `zero`, `flat` or `nan`."""
        return status_of(self.values)

    def statistics(self) -> dict[str, float]:
        """Smallest, largest and mean value, and their sum, over the finite values."""
        finite = self.values[torch.isfinite(self.values)].double()
        if not finite.numel():
            return {"min": float("nan"), "max": float("nan"), "mean": float("nan"), "sum": float("nan")}
        return {
            "min": float(finite.min()),
            "max": float(finite.max()),
            "mean": float(finite.mean()),
            "sum": float(finite.sum()),
        }

    def to(self, device: torch.device | str) -> AttentionMap:
        """The same map on another device."""
        return replace(self, values=self.values.to(device))

    def __repr__(self) -> str:
        numbers = self.statistics()
        size = "x".join(map(str, self.shape))
        return f"AttentionMap({self.layer}, {size}, {self.status}, {numbers['min']:.3g}..{numbers['max']:.3g})"

    def record(self, key: str, arrays: dict[str, Tensor]) -> dict[str, Any]:
        """The map as the manifest of a saved result has it; its values go into `arrays` under `key`."""
        arrays[key] = own_copy(self.values)
        return {
            "key": key,
            "stage": self.layer,
            "domain": self.domain.kind,
            "labels": list(self.domain.labels),
            "signed": self.signed,
            "status": str(self.status),
            "statistics": {name: value if value == value else None for name, value in self.statistics().items()},
            "notes": self.notes,
        }

    @classmethod
    def restore(cls, record: dict[str, Any], arrays: Mapping[str, Tensor]) -> AttentionMap:
        """The map of a record.

        Raises:
            ValueError, KeyError, ResultError: the record or its array is damaged.
        """
        labels = as_kind(tuple[str, ...], record["labels"], "labels")
        map_ = cls(
            values=map_numbers(arrays[record["key"]], record["key"]),
            layer=as_kind(str, record["stage"], "stage"),
            domain=Domain(as_kind(DomainKind, record["domain"], "domain"), labels),
            signed=as_kind(bool, record["signed"], "signed"),
            notes=as_kind(dict[str, float], record["notes"], "notes"),
        )
        if labels and len(labels) != map_.shape[0]:
            raise ValueError(f"the map of {map_.layer!r} has {map_.shape[0]} elements and {len(labels)} labels")
        return map_


def map_numbers(values: Tensor, key: str) -> Tensor:
    """The values, if their type is one that a map can have (floating point)."""
    if values.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise ValueError(f"the array {key!r} holds {str(values.dtype).removeprefix('torch.')}, not numbers of a map")
    return values


def own_copy(tensor: Tensor) -> Tensor:
    """A contiguous CPU copy that shares no storage (safetensors wants each tensor to own its bytes)."""
    return tensor.detach().to("cpu", copy=True).contiguous()
