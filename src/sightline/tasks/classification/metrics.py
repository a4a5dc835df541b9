"""What a trained classifier can do: hits on its test pictures, beside the most frequent class."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sightline.common.statistics.intervals import wilson
from sightline.training.standing import Control


@dataclass(frozen=True)
class Classified:
    """What a training left behind.

    Args:
        hits: test pictures whose class the last epoch's weights name.
        total: test pictures.
        frequent: test pictures of the class that is most frequent in training.
        best: highest test accuracy over all epochs: optimistic, because the test pictures chose it.
        best_epoch: when that was, from 1.
        epochs: how many were trained.
        parameters: number of parameters of the network with its gates.
        scheme: which blocks have a gate; empty for the plain network.
        files: weights, card, page.
        notes: what was noticed in the data.
        right: for each test picture, whether its class was named.
        control: the linear probe on the same pictures.
    """

    hits: int
    total: int
    frequent: int
    best: float
    best_epoch: int
    epochs: int
    parameters: int
    scheme: str
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    right: tuple[bool, ...] = field(default=(), repr=False)
    control: Control = Control()

    @property
    def accuracy(self) -> float:
        """Test accuracy of the last epoch."""
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of it: over pictures, for this one training."""
        return wilson(self.hits, self.total)
