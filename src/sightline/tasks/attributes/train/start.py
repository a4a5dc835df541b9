"""Where the heads of an attribute network start: at the linear probes of its features, before anything else learns.

A head that starts at random needs a large learning rate, with which a class head forgets its own start; so all heads
start at their solution and learn slowly. Pure functions of features and attributes but for the two that fill heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.network.regression import STEPS, fitted, with_one
from sightline.tasks.attributes.recipe import MOST_FITTED
from sightline.tasks.attributes.train.losses import attribute_loss
from sightline.training.probe import STRENGTHS, LinearHead

CHOOSING = 20
"""Steps of the search for weights while a penalty is chosen, each from where the stronger one ended."""
DIRECTIONS, FOLDS = 256, 5
"""Most directions of features that attributes are fitted to; one of so many pictures chooses the penalty."""


@dataclass(frozen=True, eq=False)
class Taught:
    """Attributes of some pictures.

    Args:
        targets: t, 0..1.
        weights: how sure they are; 0 for unknown.
        words: vocabulary.
    """

    targets: Float[Tensor, "n k"]
    weights: Float[Tensor, "n k"]
    words: Vocabulary

    def take(self, rows: Int[Tensor, " m"]) -> Taught:
        """Those of some of the pictures."""
        return Taught(self.targets[rows], self.weights[rows], self.words)

    def loss(self, logits: Float[Tensor, "n k"]) -> Tensor:
        """The attribute loss, without weights for what is rare."""
        return attribute_loss(logits, self.targets, self.weights, self.words)


@torch.no_grad()
def start_class_head(net: AttributeNet, head: LinearHead) -> bool:
    """Let the class scores start from the linear probe on features: attributes have no say in them yet.

    Args:
        net: the network; its class head is changed in place.
        head: the probe.

    Returns:
        Whether it does; a bottleneck reads attributes only, so nothing of it can be the probe.
    """
    own = net.class_head
    if not head.fill(own.of_features):
        return False
    if own.of_attributes is not None:
        own.of_attributes.weight.zero_()
    return True


def start_attribute_head(net: AttributeNet, features: Float[Tensor, "n c"], examples: Examples) -> bool:
    """Let the attribute head start from a linear probe on the same features.

    Args:
        net: the network; its attribute head is changed in place.
        features: pooled features of the pictures, before anything learns.
        examples: the same pictures.

    Returns:
        Whether it does; not where it reads finer features, or single places.
    """
    own = net.attribute_head
    if net.meeting is not None or own.pool == "max":
        return False
    taught = Taught(examples.targets, examples.weights, net.spec.vocabulary)
    return attribute_probe(features, taught).head.fill(own.what)


class AttributeProbe(NamedTuple):
    """Logistic regression of all attributes.

    Args:
        head: its weights.
        strength: strength of its penalty.
    """

    head: LinearHead
    strength: float


def attribute_probe(features: Float[Tensor, "n c"], taught: Taught, strength: float | None = None) -> AttributeProbe:
    """Logistic regression of all attributes together, with one penalty.

    Args:
        features: as they are; they are brought to unit spread here.
        taught: their attributes.
        strength: strength of the penalty; None lets a fifth of the pictures choose it.
    """
    rows = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MOST_FITTED]
    x, own = features[rows].double(), taught.take(rows)
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-6)
    x = (x - mean) / scale
    directions = torch.linalg.svd(x, full_matrices=False).Vh[:DIRECTIONS]  # a ridge finds the same weights in them
    x = x @ directions.T
    strength = _strength(x, own) if strength is None else strength
    fit = _fitted(x, own, strength)
    return AttributeProbe(LinearHead.of(fit[:-1].T @ directions, fit[-1], mean, scale), strength)


def _strength(x: Float[Tensor, "n d"], taught: Taught) -> float:
    """The penalty of the lowest loss on the pictures that were left out."""
    edge = len(x) // FOLDS
    aside, kept = torch.arange(edge), torch.arange(edge, len(x))
    if not edge:
        return STRENGTHS[0]
    losses, start = {}, None
    for strength in STRENGTHS:
        start = _fitted(x[kept], taught.take(kept), strength, steps=CHOOSING, start=start)
        losses[strength] = float(taught.take(aside).loss(with_one(x[aside]) @ start))
    return min(losses, key=losses.__getitem__)


def _fitted(
    x: Float[Tensor, "n d"], taught: Taught, strength: float, *, steps: int = STEPS, start: Tensor | None = None
) -> Float[Tensor, "e k"]:
    """What minimises the attribute loss + strength / 2 * mean over attributes of squared weights.

    A logistic loss bends along a feature by a quarter of its mean square at most; in units of that bend all weights
    are found in a few steps.
    """
    targets, weights, questions = taught.targets, taught.weights, taught.words.groups
    answered = sum(
        float(weights[:, list(one.members)].sum()) / (len(one.members) if one.exclusive else 1) for one in questions
    )
    # the attribute loss is a mean over answered questions, the regression's is one over pictures
    penalty = strength / 2 / targets.shape[1] * answered / len(x)
    units = torch.cat([(x.square().mean(0) / 4 + 2 * penalty).rsqrt(), x.new_ones(1)])[:, None]
    begin = None if start is None else start / units
    scaled = x * units[:-1, 0]
    return units * fitted(scaled, targets, weights, questions, penalty * units[:-1] ** 2, steps=steps, start=begin)
