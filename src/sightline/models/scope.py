"""What a network knows, and whether an input is of that kind: the distance of its features from those of training.

Mahalanobis distance [lee2018mahalanobis] of features that are averaged over places, with one mean and one covariance
for all classes. The limit is a quantile over training inputs that the covariance was not estimated on. It knows no
network: a network that has a scope keeps it as its attribute `scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.modes import evaluating
from sightline.models.adapter.unwrap import unwrap

RIDGE = 0.01
"""Share of the mean variance that is added to every variance, so that the covariance has an inverse."""


@dataclass(frozen=True, eq=False)
class Scope:
    """What a network knows.

    Args:
        words: what it is and what it knows, as the beginning of a sentence.
        features: from the network and its inputs `[b, c, h, w]` to one row of features for each.
        mean: mean of the features of training inputs.
        whitening: lower triangular; turns deviations from the mean into numbers of variance 1.
        limit: distance beyond which an input is unlike them.
    """

    words: str
    features: Callable[[nn.Module, Tensor], Float[Tensor, "b d"]]
    mean: Float[Tensor, " d"]
    whitening: Float[Tensor, "d d"]
    limit: float

    def distances(self, model: nn.Module, inputs: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        """D = |W (f - mean)|, with W W' the inverse of the covariance.

        Args:
            model: left as it is.
            inputs: as it takes them.
        """
        with evaluating(model), torch.inference_mode():
            return self.of_features(self.features(model, inputs).float().cpu())

    def of_features(self, rows: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """The same distances, of features that are there."""
        return whitened(rows, self.mean, self.whitening).square().sum(1).sqrt()

    def sentences(self, model: nn.Module, inputs: Float[Tensor, "b c h w"]) -> list[str]:
        """What a reader has to know of each input."""
        return [self._sentence(float(distance)) for distance in self.distances(model, inputs)]

    def _sentence(self, distance: float) -> str:
        if distance <= self.limit:
            return f"{self.words}."
        return (
            f"{self.words}; this image is unlike what it was trained on (distance {distance:.0f}, limit "
            f"{self.limit:.0f}): do not trust the answer."
        )

    def tensors(self) -> dict[str, Tensor]:
        """The numbers, to be saved."""
        return {"mean": self.mean, "whitening": self.whitening, "limit": torch.tensor(self.limit)}


def fitted(
    train: Float[Tensor, "n d"], spare: Float[Tensor, "m d"], quantile: float
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"], float]:
    """Mean, whitening and limit.

    Args:
        train: features by which mean and covariance are estimated.
        spare: features of other training inputs, by which the limit is.
        quantile: share of `spare` that lies within the limit.

    Example:
        >>> rows = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
        >>> mean, whitening, limit = fitted(rows[:200], rows[200:], 0.98)
        >>> 2 < limit < 4
        True
    """
    covariance = torch.cov(train.T.double())
    covariance += RIDGE * covariance.diag().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    whitening = torch.linalg.inv(torch.linalg.cholesky(covariance)).float()
    mean = train.mean(0)
    return mean, whitening, float(whitened(spare, mean, whitening).norm(dim=1).quantile(quantile))


def whitened(
    rows: Float[Tensor, "b d"], mean: Float[Tensor, " d"], whitening: Float[Tensor, "d d"]
) -> Float[Tensor, "b d"]:
    """Deviations from the mean, in numbers of variance 1."""
    return (rows - mean) @ whitening.T


def scope_of(model: nn.Module) -> Scope | None:
    """The scope that a network says it has; None where it says nothing."""
    scope = getattr(unwrap(model), "scope", None)
    return scope if isinstance(scope, Scope) else None


def restored_scope(
    tensors: Mapping[str, Tensor], words: str, features: Callable[[nn.Module, Tensor], Float[Tensor, "b d"]]
) -> Scope:
    """The scope of what `Scope.tensors` made."""
    return Scope(words, features, tensors["mean"], tensors["whitening"], float(tensors["limit"]))
