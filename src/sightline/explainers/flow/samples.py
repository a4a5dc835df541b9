"""Which rows of a tensor are whose: a network may fold frames or windows into the axis of the samples.

A tensor `[b t, ...]` is `[b, t, ...]` of one sample each where frames lie inside of the samples, `[t b, ...]` where
they lie outside. Which of the two it is was read off the recorded forward; this file knows no method.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sightline.errors import MethodError
from sightline.models.adapter.structure import Structure


@dataclass(frozen=True)
class Samples:
    """The samples of a batch.

    Args:
        count: how many there are.
        lengths: lengths of first axes along which samples lie.
        inside: whether samples lie inside of what is folded, so that a sample's rows are not one behind the other.
    """

    count: int
    lengths: frozenset[int]
    inside: bool = False

    @classmethod
    def of(cls, structure: Structure, count: int) -> Samples:
        """The samples of a batch for a model of this structure.

        Raises:
            MethodError: samples lie between two other things on one axis, or in two orders.
        """
        folded = [layout for layout in structure.folded if layout.dims[0][1]]
        rows = [layout.dims[0][0] for layout in folded]
        inside = any(layout.outer > 1 for layout in folded)
        if inside and count > 1 and any(layout.outer != n for layout, n in zip(folded, rows, strict=True)):
            raise MethodError(
                "this model folds other axes around its samples, so that they cannot be separated; explain one at a "
                "time (batch_size=1)"
            )
        return cls(count, frozenset({count, *(n * count for n in rows)}), inside)

    def apart(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "b ..."]:
        """A tensor with the numbers of each sample in its row."""
        if len(x) == self.count:
            return x
        if self.inside:
            return x.reshape(-1, self.count, *x.shape[1:]).movedim(1, 0)
        return x.reshape(self.count, -1, *x.shape[1:])

    def together(self, x: Float[Tensor, "b ..."], like: Tensor) -> Float[Tensor, "n ..."]:
        """What `apart` made, in the shape that it was."""
        return (x if len(like) == self.count or not self.inside else x.movedim(0, 1)).reshape(like.shape)

    def flat(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "b m"]:
        """All numbers of each sample."""
        return self.apart(x).flatten(1)
