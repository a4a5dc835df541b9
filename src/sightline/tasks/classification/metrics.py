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
        hits: test pictures whose class the kept weights name.
        total: test pictures.
        frequent: test pictures of the class that is most frequent in training.
        best: highest accuracy over all epochs: of the pictures that were put aside, else of the test pictures, which
            is optimistic, because they chose it.
        best_epoch: when that was, from 1.
        epochs: how many were trained.
        parameters: number of parameters of the network with its gates.
        scheme: which blocks have a gate; empty for the plain network.
        files: weights, card, page.
        notes: what was noticed in the data.
        right: for each test picture, whether its class was named.
        control: the linear probe on the same pictures.
        kept: the epoch whose weights are kept, 0 for the start; None for the last.
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
    kept: int | None = None

    @property
    def when(self) -> str:
        """Of which epoch the weights are."""
        if self.kept is None:
            return "last epoch"
        return f"epoch {self.kept}, of the lowest validation loss" if self.kept else "the start, which no epoch beats"

    @property
    def accuracy(self) -> float:
        """Test accuracy of the kept weights."""
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of it: over pictures, for this one training."""
        return wilson(self.hits, self.total)
