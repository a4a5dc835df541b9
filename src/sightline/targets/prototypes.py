"""Few-shot classification by prototypes: one mean embedding per class, a soft-max over closeness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import TargetError, near
from sightline.targets.base import Readout, Rows, Target
from sightline.targets.classes import ClassId, ClassScore, TopClasses
from sightline.targets.embedding import bank_of, directions_of, vectors_of
from sightline.targets.logsoftmax import LogSoftmax

Metric = Literal["euclidean", "cosine", "dot"]


@dataclass(frozen=True, eq=False)
class Prototypes(Target):
    """Log-probability of a prototype: `s = log softmax_j(z)[k]`, the default of few-shot models.

    Closeness `z_j` and the weights `ds/de` that follow, with `pi` the soft-max and T the temperature:

    - euclidean: `z_j = -|e - p_j|^2 / T`, weights `2/T (p_k - sum_j pi_j p_j)`;
    - cosine: `z_j = e . p_j / (|e| |p_j|) / T`, weights `1/T sum_j (1[j=k] - pi_j) p_j/|p_j| / |e|`, the norm of e
      held constant;
    - dot: `z_j = e . p_j / T`, weights `1/T (p_k - sum_j pi_j p_j)`.

    The Euclidean one is the prototypical network's [snell2017prototypical]; being a contrast of prototypes, it does
    not vanish at a match as a plain distance does.

    Where distances are large beside T the soft-max saturates: the log-probability is 0 and so is every weight, which
    is true and shows nothing. Raise T, or ask `of=ContrastOthers(k)`: its weights
    `2/T (p_k - sum_{j != k} w_j p_j)` do not vanish.

    Args:
        prototypes: `[n, d]`, one row per class.
        of: the prototype whose log-probability is explained, by index or name, None for the nearest one of each
            sample; or any target on the n closenesses.
        names: what the prototypes are called.
        metric: closeness.
        temperature: T.
        freeze_norm: hold `|e|` constant where the metric is the cosine.
        tolerant: a zero embedding has cosine 0 instead of being refused.

    Example:
        >>> two = Prototypes(torch.eye(2), names=("ant", "bee"))
        >>> two.read(torch.tensor([[0.0, 1.0]]), None).labels
        (('log p of bee',),)
    """

    prototypes: Float[Tensor, "n d"]
    of: Target | ClassId | None = None
    names: tuple[str, ...] | None = None
    metric: Metric = "euclidean"
    temperature: float = 1.0
    freeze_norm: bool = True
    tolerant: bool = False

    wants_embedding = True

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`; the model's own classes are not used."""
        if self.metric not in get_args(Metric):
            raise TargetError(f"there is no metric {self.metric!r}; {near(self.metric, get_args(Metric))}")
        if self.temperature <= 0:
            raise TargetError(f"a temperature must be above 0, not {self.temperature}")
        if self.names is not None and len(self.names) != len(self.prototypes):
            raise TargetError(f"{len(self.names)} names were given for {len(self.prototypes)} prototypes")
        if len(self.prototypes) < 2:
            raise TargetError(f"at least 2 prototypes are needed, but {len(self.prototypes)} were given")
        self._of.check(len(self.prototypes), self.names)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        logits = self.logits(vectors_of(output))
        return replace(self, of=self._of.frozen(logits, self.names), tolerant=True)

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return self.of.row_count() if isinstance(self.of, Target) else None

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        return replace(self, of=self.of.rows(part)) if isinstance(self.of, Target) else self

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        self.check(None, None)
        return self._of.read(self.logits(vectors_of(output)), self.names)

    @property
    def _of(self) -> Target:
        if isinstance(self.of, Target):
            return self.of
        return LogSoftmax(TopClasses(1) if self.of is None else ClassScore((self.of,)))

    def logits(self, e: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Closeness of each embedding to each prototype, over the temperature."""
        p = bank_of(self.prototypes, e, what="prototypes", least=2)
        return closeness(e, p, self.metric, freeze_norm=self.freeze_norm, tolerant=self.tolerant) / self.temperature


def closeness(
    e: Float[Tensor, "b d"], bank: Float[Tensor, "n d"], metric: Metric, *, freeze_norm: bool, tolerant: bool = False
) -> Float[Tensor, "b n"]:
    """`-|e - p|^2`, the cosine or the dot product of each embedding with each row of a bank."""
    if metric == "euclidean":
        return -(e[:, None] - bank).square().sum(2)
    if metric == "cosine":
        bank = directions_of(bank, freeze_norm=True, what="prototypes")
        e = directions_of(e, freeze_norm=freeze_norm, tolerant=tolerant)
    return e @ bank.T


def prototypes_of(embeddings: Float[Tensor, "m d"], labels: Int[Tensor, " m"]) -> Float[Tensor, "n d"]:
    """Mean embedding of each class, `p_j = mean of e_i with label j`, for labels 0 to n - 1.

    Raises:
        TargetError: labels and embeddings differ in number, or a class has no example.

    Example:
        >>> prototypes_of(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 1]))
        tensor([[1.],
                [5.]])
    """
    if len(embeddings) != len(labels) or not len(labels):
        raise TargetError(f"{len(embeddings)} embeddings came with {len(labels)} labels; give one for each, and some")
    count = int(labels.max()) + 1
    sizes = torch.bincount(labels, minlength=count)
    if int(sizes.min()) == 0:
        raise TargetError(f"class {int((sizes == 0).nonzero()[0])} has no example, so it has no prototype")
    sums = embeddings.new_zeros(count, embeddings.shape[1]).index_add_(0, labels.to(embeddings.device), embeddings)
    return sums / sizes.to(embeddings)[:, None]
