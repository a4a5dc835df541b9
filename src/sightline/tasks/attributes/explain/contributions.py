"""How much each attribute contributed to a class score: exactly, by integration, or along a direction.

Pure tensor functions. Knows nothing of words, networks or pictures. Signs matter: a contribution below zero speaks
against the class, so nothing here takes absolute values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import InputError

Score = Callable[[Float[Tensor, "b k"]], Float[Tensor, "b"]]


@dataclass(frozen=True, eq=False)
class Integral:
    """Contributions through a head that is not linear.

    Args:
        contributions: contribution of every attribute, [b, k].
        gap: |sum of contributions - (s(a) - s(mean))| as a share of the sum of |contributions|; 0 is complete, [b].
    """

    contributions: Float[Tensor, "b k"]
    gap: Float[Tensor, "b"]

    def complete(self, tolerance: float = 0.01) -> bool:
        """Whether every sample's contributions add up to its score within `tolerance`."""
        return bool((self.gap <= tolerance).all())


def linear_contributions(
    weights: Float[Tensor, "c k"],
    activations: Float[Tensor, "b k"],
    means: Float[Tensor, "k"],
    *,
    target: Int[Tensor, "b"],
    against: Int[Tensor, "b"] | None = None,
) -> Float[Tensor, "b k"]:
    r"""Contributions through a linear head, exact: $g_k(A) = U_{Ak} (a_k - \bar a_k)$, $g(A, B) = g(A) - g(B)$.

    They add up to $s_A(a) - s_A(\bar a)$ (for the attributes' block of the head), or to the same of the margin. They
    do not change when an attribute is rescaled and its weights inversely, nor with the head's bias.

    Args:
        weights: weights of the head from attributes to classes.
        activations: activations of the attributes, as the head reads them.
        means: means of the activations over the training pictures.
        target: class A of every sample.
        against: class B of every sample; None for A alone.

    Raises:
        InputError: shapes do not fit, or there is no such class.

    Example:
        >>> head, a = torch.tensor([[2.0, -1.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0]])
        >>> linear_contributions(head, a, torch.tensor([0.5, 0.0]), target=torch.tensor([0])).tolist()
        [[1.0, -1.0]]
    """
    _check(weights.shape[1], activations=activations, means=means)
    rows = _rows(weights, target)
    if against is not None:
        rows = rows - _rows(weights, against)
    return rows * (activations - means)


def integrated_contributions(
    score: Score, activations: Float[Tensor, "b k"], means: Float[Tensor, "k"], *, steps: int = 32
) -> Integral:
    r"""Contributions through any differentiable head: integrated gradients from the mean [sundararajan2017axiomatic].

    $g_k = (a_k - \bar a_k) \int_0^1 \partial s / \partial a_k (\bar a + t (a - \bar a))\, dt$, by Gauss-Legendre
    quadrature. For the contrast of two classes hand in the difference of their scores.

    Args:
        score: function from activations to one number per sample; samples must not influence each other.
        activations: activations of the attributes.
        means: activations at which the path starts.
        steps: nodes of the quadrature; each costs one forward and one backward of the head.

    Raises:
        InputError: shapes do not fit, or `steps` is not positive.
    """
    _check(means.shape[0], activations=activations, means=means)
    if steps < 1:
        raise InputError(f"integrated contributions take at least one step; got {steps}. Try: steps=32")
    nodes, shares = np.polynomial.legendre.leggauss(steps)
    with torch.inference_mode(False), torch.no_grad():
        start, way = means.detach().clone(), activations.detach().clone() - means.detach().clone()
        total = torch.zeros_like(way)
        for node, share in zip((nodes + 1) / 2, shares / 2, strict=True):
            total += float(share) * _gradient(score, start + float(node) * way)
        contributions = way * total
        difference = score(start + way) - score(start.expand_as(way))
    return Integral(contributions, _gap(contributions, difference))


def sensitivity_contributions(
    gradient: Float[Tensor, "b c"],
    weights: Float[Tensor, "k c"],
    logits: Float[Tensor, "b k"],
    means: Float[Tensor, "k"],
) -> Float[Tensor, "b k"]:
    r"""Associated, not causal, contributions where no path leads from attributes to classes (join `parallel`).

    With $\hat w_k = w_k / |w_k|$ as direction of attribute k in feature space, $\nabla_v s_A \cdot \hat w_k$ is how
    steeply the class score climbs along it. To move $z_k$ by $z_k - \bar z_k$, the features have to move along
    $\hat w_k$ by $(z_k - \bar z_k) / |w_k|$, so to first order the score moves by

    $$g_k = (\nabla_v s_A \cdot \hat w_k) \; (z_k - \bar z_k) / |w_k|.$$

    The bare product of direction and signed activation would grow with the scale of the attribute's head, which the
    class score knows nothing of; this form is the one that rescaling $w_k$ and $z_k$ leaves unchanged. For a linear
    class head it is exactly the fall of $s_A$ when attribute k is set to its mean by the shortest move. The values of
    several attributes do not add up: their directions overlap.

    Args:
        gradient: gradient of the class score (or of a margin) by the features.
        weights: weights of the attribute head.
        logits: logits of the attributes.
        means: means of the logits over the training pictures.

    Raises:
        InputError: shapes do not fit.
    """
    _check(weights.shape[0], logits=logits, means=means)
    if gradient.shape != (len(logits), weights.shape[1]):
        raise InputError(
            f"a gradient by {weights.shape[1]} features for {len(logits)} samples was asked for; "
            f"got shape {tuple(gradient.shape)}"
        )
    squares = weights.square().sum(1)
    slopes = gradient @ weights.T / squares.clamp_min(torch.finfo(squares.dtype).tiny)
    return torch.where(squares > 0, slopes, 0.0) * (logits - means)


def _gradient(score: Score, at: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = at.detach().requires_grad_()
        values = score(leaf)
        if values.shape != leaf.shape[:1]:
            raise InputError(f"a score gives one number per sample, [{len(leaf)}]; got shape {tuple(values.shape)}")
        (slope,) = torch.autograd.grad(values.sum(), leaf)
    return slope


def _gap(contributions: Tensor, difference: Tensor) -> Tensor:
    missing = (contributions.sum(1) - difference).abs()
    size = contributions.abs().sum(1)
    return torch.where(missing == 0, missing, missing / size.clamp_min(torch.finfo(size.dtype).tiny))


def _rows(weights: Tensor, classes: Tensor) -> Tensor:
    if bool(((classes < 0) | (classes >= len(weights))).any()):
        raise InputError(f"classes 0 to {len(weights) - 1} can be asked for; got {classes.tolist()[:8]}")
    return weights[classes]


def _check(attributes: int, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if tensor.shape[-1] != attributes:
            raise InputError(f"{name} of {attributes} attributes were asked for; got shape {tuple(tensor.shape)}")
