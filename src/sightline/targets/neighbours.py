"""Classification by the nearest neighbours in a memory bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.base import Readout, Rows, Target, class_name
from sightline.targets.classes import ClassId
from sightline.targets.embedding import bank_of, directions_of, vectors_of
from sightline.targets.names import class_index


@dataclass(frozen=True, eq=False)
class NearestNeighbours(Target):
    """Likeness to the neighbours that voted for a class: `s = e/|e| . m`, `m` the mean of their directions.

    The k rows of the bank with the highest cosine vote with `exp(cos / T)` [wu2018unsupervised]; those that carry the
    winning (or the named) class make `m`. Weights `ds/de = m / |e|`, the norm held constant, so `sum_d e_d w_d = s`.

    `recipe="elementwise"` takes the weights that the released code of DAAM uses for self-supervised models instead
    [liao2025daam]: `e/|e| * m`, over the magnitude of its sum; `minmax` then brings them to 0..1, as that code does.
    Min-max takes sign and completeness away, so it is off unless asked for. The score is `s` in each case.

    Args:
        bank: `[n, d]` embeddings.
        classes: `[n]` the class of each.
        of: the class that is explained, by index or label; None is the one that wins the vote.
        k: neighbours.
        temperature: T of the vote.
        recipe: `gradient` or `elementwise`.
        minmax: bring the elementwise weights to 0..1.
        fixed: `[b, d]` directions and `[b]` classes of the voters, where they are known already.
    """

    bank: Float[Tensor, "n d"]
    classes: Int[Tensor, " n"]
    of: ClassId | None = None
    k: int = 20
    temperature: float = 0.07
    recipe: str = "gradient"
    minmax: bool = False
    fixed: tuple[Float[Tensor, "b d"], Int[Tensor, " b"]] | None = None

    wants_embedding = True

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        if not len(self.bank):
            raise TargetError(
                "the memory bank is empty; fill it with embeddings of labelled pictures (sightline.embed)"
            )
        if len(self.classes) != len(self.bank):
            raise TargetError(f"the memory bank has {len(self.bank)} embeddings and {len(self.classes)} classes")
        if not 1 <= self.k <= len(self.bank):
            raise TargetError(
                f"{self.k} neighbours were asked for, but the memory bank has {len(self.bank)} embeddings"
            )
        if self.recipe not in ("gradient", "elementwise"):
            raise TargetError(f"there is no recipe {self.recipe!r}; known names: 'elementwise', 'gradient'")
        if self.minmax and self.recipe != "elementwise":
            raise TargetError("min-max belongs to the elementwise recipe; add recipe='elementwise', or leave it out")
        if self.of is not None:
            self._named(labels)

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`; the neighbours are fixed with the class."""
        e = vectors_of(output)
        return replace(self, fixed=self.voters(e, labels))

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        return self if self.fixed is None else replace(self, fixed=(self.fixed[0][part], self.fixed[1][part]))

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        self.check(None, labels)
        e = vectors_of(output)
        mean, winner = self.fixed or self.voters(e, labels)
        direction = directions_of(e, freeze_norm=True, tolerant=self.fixed is not None)
        scores = (direction * mean).sum(1)
        if self.recipe == "elementwise":
            weights = elementwise_weights(direction.detach(), mean, minmax=self.minmax)
            scores = scores.detach() + (weights * (e - e.detach())).sum(1)
        names = tuple((f"likeness to neighbours of {class_name(i, labels)}",) for i in winner.tolist())
        return Readout(scores[:, None], names, winner[:, None])

    def voters(
        self, e: Float[Tensor, "b d"], labels: Sequence[str] | None
    ) -> tuple[Float[Tensor, "b d"], Int[Tensor, " b"]]:
        """Mean direction of the neighbours that carry the class, and the class, for each sample.

        Raises:
            TargetError: none of the neighbours of a sample carries the class that was named.
        """
        bank = directions_of(bank_of(self.bank, e, what="bank"), freeze_norm=True, what="bank")
        likeness = directions_of(e.detach(), freeze_norm=True) @ bank.T
        near, place = likeness.topk(self.k, dim=1)
        classes = self.classes.to(e.device)
        votes = e.new_zeros(len(e), int(classes.max()) + 1)
        votes.scatter_add_(1, classes[place], (near / self.temperature - near[:, :1] / self.temperature).exp())
        winner = votes.argmax(1) if self.of is None else torch.full_like(place[:, 0], self._named(labels))
        member = (classes[place] == winner[:, None]).to(e)
        if alone := (member.sum(1) == 0).nonzero()[:, 0].tolist():
            name = class_name(int(winner[alone[0]]), labels)
            raise TargetError(
                f"none of the {self.k} nearest neighbours of sample {alone[0]} is of {name!r}; ask for more"
            )
        return torch.einsum("bk,bkd->bd", member, bank[place]) / member.sum(1, keepdim=True), winner

    def _named(self, labels: Sequence[str] | None) -> int:
        """Index of the class that was named.

        Raises:
            TargetError: the bank has none of it.
        """
        index = class_index(self.of if self.of is not None else 0, labels, None)
        if not bool((self.classes == index).any()):
            raise TargetError(f"the memory bank holds no example of {class_name(index, labels)!r}")
        return index


def elementwise_weights(
    direction: Float[Tensor, "b d"], mean: Float[Tensor, "b d"], *, minmax: bool
) -> Float[Tensor, "b d"]:
    """`e/|e| * m` over the magnitude of its sum, brought to 0..1 by min-max if asked for."""
    product = direction * mean
    weights = product / product.sum(1, keepdim=True).abs().clamp_min(1e-12)
    if not minmax:
        return weights
    low, high = weights.amin(1, keepdim=True), weights.amax(1, keepdim=True)
    return (weights - low) / (high - low).clamp_min(1e-12)
