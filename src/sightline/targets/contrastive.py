"""The contrastive objective itself as a target: a positive key against the others of a queue or a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.base import Readout, Rows, Target, rows_in
from sightline.targets.classes import ClassPerSample
from sightline.targets.embedding import vectors_of
from sightline.targets.logsoftmax import LogSoftmax
from sightline.targets.prototypes import Metric, Prototypes


@dataclass(frozen=True, eq=False)
class InfoNCE(Target):
    """Log-share of the positive key, `s = log( exp(z_+/T) / sum_j exp(z_j/T) )`: minus the loss [oord2018cpc].

    With `z_j = e . k_j` (metric `dot`) the weights are `ds/de = 1/T (k_+ - sum_j pi_j k_j)`; with the cosine
    (default) the keys are over their norms and the whole is over `|e|`, which is held constant [he2020moco].

    Args:
        keys: `[n, d]`, positive and negative ones: a batch's other views, or a queue.
        positive: `[b]` which key is each sample's positive one; one number serves all.
        temperature: T.
        metric: `cosine` or `dot`.
        freeze_norm: hold `|e|` constant where the metric is the cosine.

    Example:
        >>> import torch
        >>> keys = torch.eye(3)
        >>> InfoNCE(keys, torch.tensor([2])).read(keys[2:], None).labels
        (('log-share of key 2 of 3',),)
    """

    keys: Float[Tensor, "n d"]
    positive: Int[Tensor, " b"]
    temperature: float = 0.07
    metric: Metric = "cosine"
    freeze_norm: bool = True
    tolerant: bool = False

    wants_embedding = True

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        low, high = (int(end) for end in (self.positive.min(), self.positive.max()))
        if low < 0 or high >= len(self.keys):
            raise TargetError(
                f"the positive key is number {high if low >= 0 else low}, but there are {len(self.keys)} keys"
            )
        self._classes.check(classes, labels)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        return replace(self, tolerant=True)

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.positive)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        return self if self.positive.numel() == 1 else replace(self, positive=self.positive[part])

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        self.check(None, None)
        readout = self._classes.read(vectors_of(output), None)
        which = [] if readout.indices is None else readout.indices[:, 0].tolist()
        names = tuple((f"log-share of key {i} of {len(self.keys)}",) for i in which)
        return Readout(readout.scores, names, None, readout.probabilities)

    @property
    def _classes(self) -> Prototypes:
        """The same as a choice among the keys."""
        return Prototypes(
            self.keys,
            LogSoftmax(ClassPerSample(self.positive.reshape(-1, 1))),
            metric=self.metric,
            temperature=self.temperature,
            freeze_norm=self.freeze_norm,
            tolerant=self.tolerant,
        )
