"""`Evidence`: what is known about every attribute of one picture and one decision, and which of them may be named.

Presence is decided here and nowhere else: by one calibrated probability. Knows no sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Group, Vocabulary
from sightline.tasks.attributes.explain.nouns import Words, phrases
from sightline.tasks.attributes.network.skill import SEEN as READ
from sightline.tasks.attributes.network.skill import TYPICAL as OF_CLASS
from sightline.tasks.attributes.network.skill import UNMEASURED

TYPICAL = 0.5
"""A class is said to have an attribute from this share of its pictures on."""
SEEN = 0.5
"""A part counts as visible from this probability on."""
SURELY = 0.8
"""From this probability on something is surely there, and from its complement on surely not."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about every attribute of one picture and one decision.

    Args:
        vocabulary: vocabulary of the attributes.
        present: calibrated probabilities that they are there to be seen.
        thresholds: probabilities from which each is said to be there.
        contributions: contributions to the decision: g(A), or g(A, B) where `against` is named.
        prototypes: per class the share of training pictures that have them; NaN where nobody knows.
        target: class A.
        against: class B of a contrast.
        visible: probabilities that the part in question can be seen; None where nobody knows.
        standing: whether the network was shown to read them, as `Skill` has it; None takes every attribute as read.
    """

    vocabulary: Vocabulary
    present: Float[Tensor, "k"]
    thresholds: Float[Tensor, "k"]
    contributions: Float[Tensor, "k"]
    prototypes: Float[Tensor, "c k"]
    target: int
    against: int | None = None
    visible: Float[Tensor, "k"] | None = None
    standing: Float[Tensor, "k"] | None = None

    def __post_init__(self) -> None:
        """Check shapes before any work."""
        expected, classes = (len(self.vocabulary),), len(self.prototypes)
        tensors = (
            *(self.present, self.thresholds, self.contributions, self.prototypes[0]),
            *(self.visible, self.standing),
        )
        shapes = [tuple(tensor.shape) for tensor in tensors if tensor is not None]
        if any(shape != expected for shape in shapes):
            raise InputError(f"evidence on {expected[0]} attributes was asked for; got tensors of {shapes}")
        for label in (self.target, self.against):
            if label is not None and not 0 <= label < classes:
                raise InputError(f"evidence for class {label} was asked for; got prototypes of {classes} classes")

    @cached_property
    def words(self) -> tuple[Words, ...]:
        """Of every attribute."""
        return phrases(self.vocabulary)

    @cached_property
    def candidates(self) -> tuple[int, ...]:
        """Attributes that may be called seen: sure enough, and the network was shown to read them."""
        return tuple(at for at in self.sure if self.standing is None or float(self.standing[at]) == READ)

    @cached_property
    def usual(self) -> tuple[int, ...]:
        """Attributes that may be called typical of class A: sure enough, but read off the class rather than seen.

        Not where an attribute that was seen answers the same question.
        """
        if self.standing is None:
            return ()
        answered = {other for at in self.candidates for other in self.group(at)}
        shares = torch.nan_to_num(self.prototypes[self.target])
        rows = [at for at in self.sure if at not in answered and float(self.standing[at]) == OF_CLASS]
        return tuple(at for at in rows if float(shares[at]) >= TYPICAL)

    @cached_property
    def unproven(self) -> tuple[int, ...]:
        """Attributes that are sure by a network whose readings nobody measured."""
        if self.standing is None:
            return ()
        return tuple(at for at in self.sure if float(self.standing[at]) == UNMEASURED)

    @cached_property
    def sure(self) -> tuple[int, ...]:
        """Attributes that are there by the network's word: sure enough, on a visible part, one value of a question.

        Several values of a question that is no choice count only where each is surely there; a denial always has to
        be sure.
        """
        likely = [at for at in range(len(self.vocabulary)) if self._is_sure(at) and self.sees(at)]
        return tuple(at for at in likely if self._leads(at) or (not self._chosen(at) and self.surely(at)))

    @cached_property
    def discriminative(self) -> Float[Tensor, "k"]:
        r"""$d_k(A) = T_{Ak} - mean_{y \ne A} T_{yk}$; 0 where nobody knows."""
        others = torch.ones(len(self.prototypes), dtype=torch.bool)
        others[self.target] = False
        return torch.nan_to_num(self.prototypes[self.target] - self.prototypes[others].nanmean(0))

    def sees(self, at: int) -> bool:
        """Whether the part of an attribute can be seen, as far as is known."""
        return self.visible is None or float(self.visible[at]) >= SEEN

    def surely(self, at: int) -> bool:
        """Whether an attribute is surely there."""
        return float(self.present[at]) >= SURELY

    def surely_not(self, at: int) -> bool:
        """Whether an attribute is surely missing."""
        threshold = float(self.thresholds[at])
        return float(self.present[at]) <= 1 - max(SURELY, threshold) and float(self.present[at]) < threshold

    def group(self, at: int) -> tuple[int, ...]:
        """All attributes that answer the question that this one answers."""
        return self._question(at).members

    def _question(self, at: int) -> Group:
        return self.vocabulary.groups[self.vocabulary.group_of[at]]

    def _chosen(self, at: int) -> bool:
        """Whether exactly one value of the question is right."""
        return self._question(at).exclusive

    def _leads(self, at: int) -> bool:
        """Whether it is the likeliest value of its question."""
        return at == max(self.group(at), key=lambda other: (float(self.present[other]), -other))

    def _is_sure(self, at: int) -> bool:
        least = float(self.thresholds[at])
        if self.words[at].text.startswith(("no ", "not ")):
            least = max(least, SURELY)
        return float(self.present[at]) >= least
