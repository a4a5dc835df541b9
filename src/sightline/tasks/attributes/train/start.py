"""Where the heads of an attribute network start: at the linear probes of its features, before anything else learns.

A head that starts at random needs a large learning rate, with which a class head forgets its own start; so all heads
start at their solution and learn slowly. Pure functions of features and attributes but for the two that fill heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.train.losses import attribute_loss
from sightline.training.probe import STEPS, STRENGTHS, LinearHead

MOST, DIRECTIONS, FOLDS = 1000, 256, 5
"""Most pictures that attributes are fitted to, most directions of their features, and the part that chooses the
penalty: one of so many."""


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
    return attribute_probe(features, taught).fill(own.what)


def attribute_probe(features: Float[Tensor, "n c"], taught: Taught) -> LinearHead:
    """Logistic regression of all attributes together, with the penalty that a fifth of the pictures chooses.

    Args:
        features: as they are; they are brought to unit spread here.
        taught: their attributes.
    """
    rows = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MOST]
    x, own = features[rows].double(), taught.take(rows)
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-6)
    x = (x - mean) / scale
    directions = torch.linalg.svd(x, full_matrices=False).Vh[:DIRECTIONS]  # a ridge finds the same weights in them
    x = x @ directions.T
    weight, bias = _fitted(x, own, _strength(x, own))
    return LinearHead.of(weight @ directions, bias, mean, scale)


def _strength(x: Float[Tensor, "n d"], taught: Taught) -> float:
    """The penalty of the lowest loss on the pictures that were left out."""
    edge = len(x) // FOLDS
    aside, kept = torch.arange(edge), torch.arange(edge, len(x))
    if not edge:
        return STRENGTHS[0]
    losses, start = {}, None
    for strength in STRENGTHS:
        start = _fitted(x[kept], taught.take(kept), strength, start)
        losses[strength] = float(taught.take(aside).loss(x[aside] @ start[0].T + start[1]))
    return min(losses, key=losses.__getitem__)


def _fitted(
    x: Float[Tensor, "n d"], taught: Taught, strength: float, start: tuple[Tensor, Tensor] | None = None
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Weights and bias that minimise the attribute loss + strength / 2 * mean over attributes of squared weights."""
    count = taught.targets.shape[1]
    zeros = x.new_zeros(count, x.shape[1]), x.new_zeros(count)
    weight, bias = (part.clone().requires_grad_() for part in start or zeros)
    search = torch.optim.LBFGS([weight, bias], max_iter=STEPS, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        value = taught.loss(x @ weight.T + bias) + strength / 2 * weight.square().sum() / count
        weight.grad, bias.grad = torch.autograd.grad(value, (weight, bias))
        return value.detach()

    with torch.enable_grad():
        search.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
