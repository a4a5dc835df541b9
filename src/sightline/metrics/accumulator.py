"""`Metric`: a metric with memory, in the shape of torchmetrics - update, compute, reset, states to reduce.

It keeps values and statuses on the device and asks for nothing else; torchmetrics is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.registry import METRICS, MetricSpec
from sightline.metrics.result import MetricResult, summarise
from sightline.metrics.scores import Scores

Gather = Callable[[Tensor], Sequence[Tensor]]
"""From this rank's tensor to those of all ranks, in rank order; lengths may differ."""


class Metric:
    """A registered metric with memory.

    Args:
        name: registry name.
        options: keyword arguments of the metric's function.

    Raises:
        MethodError: the name is unknown.

    Example:
        >>> metric = Metric("sparseness")
        >>> metric.update(torch.eye(4)[None])
        >>> round(metric.compute().mean, 4)
        0.75
    """

    states: dict[str, Literal["cat"]] = {"values": "cat", "status": "cat", "expected": "cat"}  # noqa: RUF012
    """What is remembered, and how ranks put it together: all of it is concatenated in rank order."""

    def __init__(self, name: str, **options: Any) -> None:
        self.spec: MetricSpec = METRICS[name]
        self.options = options
        self.reset()

    @property
    def higher_is_better(self) -> bool:
        """Direction, under the name that torchmetrics uses."""
        return self.spec.higher_is_better

    def reset(self) -> None:
        """Forget everything."""
        self._state: dict[str, list[Tensor]] = {name: [] for name in self.states}

    def update(self, *arguments: Any) -> None:
        """Score a batch and remember it; the arguments are those of `spec.needs`, in that order."""
        self.forward(*arguments)

    def forward(self, *arguments: Any) -> Scores:
        """Score a batch, remember it, and return its scores."""
        if len(arguments) != len(self.spec.needs):
            raise InputError(f"{self.spec.name} takes {', '.join(self.spec.needs)}; got {len(arguments)} arguments")
        scores = self.spec(*arguments, **self.options)
        expected = self._expected(arguments, scores)
        for name, value in zip(self.states, (scores.values, scores.status, expected), strict=True):
            self._state[name].append(value.detach())
        return scores

    __call__ = forward

    def compute(self, *, confidence: float = 0.95, seed: int = 0) -> MetricResult:
        """Mean, bootstrap interval and counts over everything since the last reset.

        Raises:
            InputError: there was no update.
        """
        if not self._state["values"]:
            raise InputError(f"{self.spec.name} was asked to compute before any update")
        values, status, expected = (torch.cat(self._state[name]) for name in self.states)
        scores = Scores(values, status)
        finite = expected[scores.ok & torch.isfinite(expected)]
        return summarise(
            self.spec.name,
            scores,
            higher_is_better=self.spec.higher_is_better,
            expected=float(finite.mean()) if len(finite) else None,
            confidence=confidence,
            seed=seed,
        )

    def sync(self, gather: Gather | None = None) -> None:
        """Replace what this rank remembers by what all ranks remember, in rank order.

        Args:
            gather: how tensors of differing lengths are collected; by default through `torch.distributed`.
        """
        collect = gather or _all_gather
        for name, parts in self._state.items():
            own = torch.cat(parts) if parts else torch.empty(0)
            self._state[name] = [part for part in collect(own) if len(part)]

    def merge(self, other: Metric) -> None:
        """Append what another shell of the same metric remembers.

        Raises:
            InputError: it is of another metric or has other options.
        """
        if (other.spec.name, other.options) != (self.spec.name, self.options):
            raise InputError(f"{self.spec.name} cannot take over what {other.spec.name} with other options remembers")
        for name, parts in other._state.items():
            self._state[name] += parts

    def to(self, device: torch.device | str) -> Metric:
        """Move what is remembered to another device."""
        self._state = {name: [part.to(device) for part in parts] for name, parts in self._state.items()}
        return self

    def _expected(self, arguments: tuple[Any, ...], scores: Scores) -> Tensor:
        if self.spec.expected is None:
            return torch.full_like(scores.values, torch.nan)
        return self.spec.expected(*arguments, **self.options).to(scores.values)

    def __repr__(self) -> str:
        count = sum(len(part) for part in self._state["values"])
        return (
            f"Metric({self.spec.name}, {count} samples, {'higher' if self.higher_is_better else 'lower'} is better)"
        )


def _all_gather(own: Tensor) -> Sequence[Tensor]:
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return [own]
    tensors: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(tensors, own.cpu())
    return [part.to(own.device) for part in tensors]
