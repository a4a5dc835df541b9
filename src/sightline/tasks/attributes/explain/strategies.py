"""What each attribute contributes to a decision: one strategy for every way in which attributes meet the class.

A decision is a mixture of class scores: 1 for A, and -1 for B where it is weighed against one. Linear and integrated
contributions are causal; along weights, gradients or patterns they are associated only, since no path leads from
attributes to the class. Knows no vocabulary and no sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol

from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.modes import leave_as_found
from sightline.tasks.attributes.explain.association import Logits, field_contributions, pattern_contributions
from sightline.tasks.attributes.explain.contributions import (
    Integral,
    integrated_contributions,
    sensitivity_contributions,
)

GAP = 0.01
"""Integrated contributions that miss more than this share of what they should add up to are called approximate."""


class Strategy(Protocol):
    """How attributes contribute to the class scores of one picture."""

    causal: ClassVar[bool]
    """Whether the class is decided from attributes."""

    def contributions(self, mixture: Float[Tensor, "y"], positions: Sequence[int]) -> Float[Tensor, "k"]:
        """What every attribute contributes to a mixture of class scores.

        Args:
            mixture: weight of every class score.
            positions: attributes that may be named; where each costs a pass of its own the others get 0.
        """

    def complete(self, mixture: Float[Tensor, "y"]) -> bool:
        """Whether the contributions add up to what they should."""


@dataclass(frozen=True, eq=False)
class Linear:
    r"""Through a linear head, exact: $g_k = (m V)_k (a_k - \bar a_k)$ for a mixture m.

    Args:
        weights: V, where the scores are V a + rest.
        rest: what does not depend on attributes.
        activations: a of the picture.
        means: means of a over the training pictures.
    """

    causal: ClassVar[bool] = True
    weights: Float[Tensor, "y k"]
    rest: Float[Tensor, "y"]
    activations: Float[Tensor, "k"]
    means: Float[Tensor, "k"]

    def contributions(self, mixture: Float[Tensor, "y"], positions: Sequence[int]) -> Float[Tensor, "k"]:
        """See `Strategy`."""
        return (mixture @ self.weights) * (self.activations - self.means)

    def complete(self, mixture: Float[Tensor, "y"]) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, eq=False)
class Integrated:
    """Through a head of any kind, by integrated gradients.

    Args:
        decide: class scores of other attributes, all else of the picture as it is.
        activations: a of the picture.
        means: means of a over the training pictures.
    """

    causal: ClassVar[bool] = True
    decide: Callable[[Float[Tensor, "b k"]], Float[Tensor, "b y"]]
    activations: Float[Tensor, "k"]
    means: Float[Tensor, "k"]

    def contributions(self, mixture: Float[Tensor, "y"], positions: Sequence[int]) -> Float[Tensor, "k"]:
        """See `Strategy`."""
        return self._integral(mixture).contributions[0]

    def complete(self, mixture: Float[Tensor, "y"]) -> bool:
        """Up to `GAP`."""
        return self._integral(mixture).complete(GAP)

    def _integral(self, mixture: Tensor) -> Integral:
        return integrated_contributions(partial(self._score, mixture), self.activations[None], self.means)

    def _score(self, mixture: Tensor, attributes: Tensor) -> Tensor:
        return self.decide(attributes) @ mixture


class _Associated:
    """Goes with the decision, is not shown to cause it; nothing has to add up."""

    causal: ClassVar[bool] = False

    def complete(self, mixture: Float[Tensor, "y"]) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, eq=False)
class AlongWeights(_Associated):
    """Along the attribute's own weights, where both heads read the same pooled features.

    Args:
        slopes: U, of the class scores by the features.
        weights: weights of the attribute head, centred.
        logits: attribute logits of the picture, centred.
        means: means of the logits over the training pictures, centred.
    """

    slopes: Float[Tensor, "y c"]
    weights: Float[Tensor, "k c"]
    logits: Float[Tensor, "k"]
    means: Float[Tensor, "k"]

    def contributions(self, mixture: Float[Tensor, "y"], positions: Sequence[int]) -> Float[Tensor, "k"]:
        """See `sensitivity_contributions`."""
        gradient = (mixture @ self.slopes)[None]
        return sensitivity_contributions(gradient, self.weights, self.logits[None], self.means)[0]


@dataclass(frozen=True, eq=False)
class AlongGradient(_Associated):
    """Along the attribute's gradient by the last feature map.

    Args:
        net: left as it was found.
        logits: attribute logits of another last feature map.
        features: the picture's.
        slopes: U, of the class scores by the pooled features.
        means: means of the logits over the training pictures.
        centring: takes the mean of every choice off its logits.
    """

    net: nn.Module
    logits: Logits
    features: Float[Tensor, "c h w"]
    slopes: Float[Tensor, "y c"]
    means: Float[Tensor, "k"]
    centring: Float[Tensor, "k k"]

    def contributions(self, mixture: Float[Tensor, "y"], positions: Sequence[int]) -> Float[Tensor, "k"]:
        """See `field_contributions`."""
        with leave_as_found(self.net):
            slopes = self.slopes.detach()
            slope, means, centring = mixture.to(slopes) @ slopes, self.means.to(slopes), self.centring.to(slopes)
            return plain(field_contributions(self.logits, self.features, slope, means, centring, positions))


@dataclass(frozen=True, eq=False)
class AlongPatterns(_Associated):
    """By what the features do on the average as the attribute goes up.

    Args:
        patterns: how pooled features move with each attribute.
        slopes: U, of the class scores by the pooled features.
        logits: attribute logits of the picture.
        means: means of the logits over the training pictures.
        centring: takes the mean of every choice off its logits.
    """

    patterns: Float[Tensor, "c k"]
    slopes: Float[Tensor, "y c"]
    logits: Float[Tensor, "k"]
    means: Float[Tensor, "k"]
    centring: Float[Tensor, "k k"]

    def contributions(self, mixture: Float[Tensor, "y"], positions: Sequence[int]) -> Float[Tensor, "k"]:
        """See `pattern_contributions`."""
        slope = mixture @ plain(self.slopes)
        return pattern_contributions(self.patterns, slope, self.logits, self.means, self.centring)


def plain(tensor: Tensor) -> Tensor:
    """As float32 on the CPU, detached."""
    return tensor.detach().float().cpu()
