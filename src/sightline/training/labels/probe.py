"""The linear probe of several labels: logistic regressions on features that nothing was done to, the control."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.files import read_tensors, write_tensors
from sightline.training.descent import lowest
from sightline.training.labels.objective import label_loss
from sightline.training.probe import FOLDS, STEPS, STRENGTHS, LinearHead, span


@dataclass(frozen=True, eq=False)
class LabelProbe:
    """A linear layer on the features of a network before it learns.

    Args:
        weight: of each label.
        bias: of each label.
        strength: strength of the penalty that cross-validation chose.
        pictures: training pictures that it was fitted to.
    """

    weight: Float[Tensor, "k c"]
    bias: Float[Tensor, "k"]
    strength: float
    pictures: int

    def logits(self, features: Float[Tensor, "n c"]) -> Float[Tensor, "n k"]:
        """What it says of pictures."""
        return features.double() @ self.weight.double().T + self.bias.double()

    @classmethod
    def kept(cls, path: Path) -> LabelProbe | None:
        """The probe that `keep` wrote; None where there is none yet."""
        if not path.is_file():
            return None
        tensors, metadata = read_tensors(path)
        return cls(tensors["weight"], tensors["bias"], *json.loads(metadata["fit"]))

    def keep(self, path: Path) -> LabelProbe:
        """Write it; a training that goes on reads it again."""
        tensors = {"weight": self.weight, "bias": self.bias}
        write_tensors(path, tensors, {"fit": json.dumps([self.strength, self.pictures])})
        return self

    def begin(self, head: nn.Module) -> bool:
        """Let a network's last layer begin as the probe, where it is a linear layer of this size with a bias.

        Args:
            head: changed in place.

        Returns:
            Whether it does.
        """
        return LinearHead(self.weight, self.bias).fill(head)


def label_probe(
    train: Float[Tensor, "n c"], truth: Float[Tensor, "n k"], strength: float | None = None
) -> LabelProbe:
    """Fit the probe.

    Args:
        train: features of the pictures that are learnt from.
        truth: their labels; NaN for unknown.
        strength: strength of the penalty; None chooses it by cross-validation.
    """
    mean, scale = train.double().mean(0), train.double().std(0).clamp(min=1e-6)
    x, y = (train.double() - mean) / scale, truth.double()
    directions = span(x)
    x = x if directions is None else x @ directions.T
    strength = _strength(x, y) if strength is None else strength
    weight, bias = _fitted(x, y, strength, None)
    weight = weight if directions is None else weight @ directions
    plain = LinearHead.of(weight, bias, mean, scale)
    return LabelProbe(plain.weight, plain.bias, strength, len(x))


def _strength(x: Tensor, y: Tensor) -> float:
    """The strength of the lowest loss on pictures that were left out."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    losses = dict.fromkeys(STRENGTHS, 0.0)
    for part in (part for part in order.tensor_split(FOLDS) if 0 < len(part) < len(x)):
        kept = torch.ones(len(x), dtype=torch.bool).index_fill(0, part, value=False)
        start = None
        for strength in STRENGTHS:
            start = _fitted(x[kept], y[kept], strength, start)
            losses[strength] += float(label_loss(x[part] @ start[0].T + start[1], y[part])) * len(part)
    return min(STRENGTHS, key=lambda own: losses[own])


def _fitted(x: Tensor, truth: Tensor, strength: float, start: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    """Weights and bias that minimise mean cross-entropy of a label + strength / 2 * sum of squared weights."""
    count = truth.shape[1]
    begin = x.new_zeros(count, x.shape[1] + 1) if start is None else torch.cat((start[0], start[1][:, None]), 1)
    known = torch.isfinite(truth)
    target, share = torch.where(known, truth, 0.0), count / known.sum().clamp(min=1)

    def slope(head: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.addmm(head[:, -1], x, head[:, :-1].T)
        miss = share * known * (logits.sigmoid() - target)
        gradient = torch.cat((miss.T @ x + strength * head[:, :-1], miss.sum(0)[:, None]), 1)
        return count * label_loss(logits, truth) + strength / 2 * head[:, :-1].square().sum(), gradient

    head = lowest(slope, begin, STEPS)
    return head[:, :-1], head[:, -1]
