"""Similarity of an embedding to a reference: dot product, cosine, Euclidean.

Each is a scalar target, so what a method propagates is one vector-Jacobian product with the weights `ds/de` that the
docstrings give; the Jacobian itself is never formed. None of them asks how the reference was made.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from sightline.errors import TargetError, near
from sightline.targets.base import Readout, Rows, Target, chosen_rows, rows_in
from sightline.targets.embedding import directions_of, rows_for, vectors_of


@dataclass(frozen=True, eq=False)
class Similarity(Target):
    """Base of the similarities to a reference.

    Args:
        reference: `[d]` for all samples, or `[b, d]` one for each; nothing flows back into it.
        name: what the reference is, in words; or one name per sample.
    """

    reference: Float[Tensor, "..."]
    name: str | tuple[str, ...] = "the reference"

    wants_embedding = True
    kind = "similarity"

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return rows_in(self.reference, single=1)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        many = self.reference.ndim > 1 and len(self.reference) > 1
        name = self.name if isinstance(self.name, str) or len(self.name) == 1 else chosen_rows(self.name, part)
        return replace(self, reference=self.reference[part] if many else self.reference, name=name)

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        e = vectors_of(output)
        scores = self.compare(e, rows_for(self.reference, e))
        return Readout(scores[:, None], tuple((f"{self.kind} to {name}",) for name in self._names(len(e))))

    @abstractmethod
    def compare(self, e: Float[Tensor, "b d"], r: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """The similarity of each pair of rows."""

    def _names(self, count: int) -> tuple[str, ...]:
        names = (self.name,) if isinstance(self.name, str) else self.name
        if len(names) not in (1, count):
            raise TargetError(f"{len(names)} names of references were given for a batch of {count} samples")
        return names * count if len(names) == 1 else names


@dataclass(frozen=True, eq=False)
class DotProduct(Similarity):
    """Dot product, `s = e . r`; weights `ds/de = r`, so that `sum_d e_d w_d = s` [stylianou2019visualizing].

    Example:
        >>> import torch
        >>> DotProduct(torch.tensor([2.0, 0.0])).read(torch.tensor([[1.5, 7.0]]), None).scores
        tensor([[3.]])
    """

    kind = "dot product"

    def compare(self, e: Float[Tensor, "b d"], r: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """See `Similarity.compare`."""
        return (e * r).sum(1)


@dataclass(frozen=True, eq=False)
class CosineSimilarity(Similarity):
    """Cosine, `s = e . r / (|e| |r|)`.

    By default `|e|` is a constant of the gradient: weights `r/|r| / |e|`, and `sum_d e_d w_d = s`. The true gradient
    `(r/|r| - s e/|e|) / |e|` is orthogonal to e, so `sum_d e_d w_d = 0` always: gradient x activation then sums to
    zero for any similarity [stylianou2019visualizing; zhu2021visual]. The score is the cosine in both cases.
    Methods that follow the score along a path (integrated gradients) are complete with the true gradient only.

    Args:
        freeze_norm: hold `|e|` constant; False takes the true gradient.
        tolerant: a zero embedding has cosine 0 instead of being refused.
    """

    freeze_norm: bool = True
    tolerant: bool = False

    kind = "cosine similarity"

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`; what a changed input leaves of the embedding may be zero."""
        return replace(self, tolerant=True)

    def compare(self, e: Float[Tensor, "b d"], r: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """See `Similarity.compare`."""
        reference = directions_of(r, freeze_norm=True, what="reference")
        return (directions_of(e, freeze_norm=self.freeze_norm, tolerant=self.tolerant) * reference).sum(1)


@dataclass(frozen=True, eq=False)
class EuclideanSimilarity(Similarity):
    """Minus the squared Euclidean distance, `s = -|e - r|^2`; weights `-2 (e - r)`.

    They vanish at a perfect match: the closer the pair, the less there is to show. Prefer `Prototypes` or
    the cosine.
    """

    kind = "closeness (minus squared distance)"

    def compare(self, e: Float[Tensor, "b d"], r: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """See `Similarity.compare`."""
        return -(e - r).square().sum(1)


SIMILARITIES: dict[str, type[Similarity]] = {
    "cosine": CosineSimilarity,
    "dot": DotProduct,
    "euclidean": EuclideanSimilarity,
}
"""Similarities by the name under which they are asked for."""


def similarity_of(kind: str) -> type[Similarity]:
    """The similarity that a name means.

    Raises:
        TargetError: there is none of this name.
    """
    if kind not in SIMILARITIES:
        raise TargetError(f"there is no similarity {kind!r}; {near(kind, SIMILARITIES)}")
    return SIMILARITIES[kind]
