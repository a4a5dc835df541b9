"""Contributions where no path leads from attributes to classes: how a class score goes with each attribute.

Associated, not causal, whichever of the three ways is taken: along the attribute's own weights where both heads read
the same pooled features (`sensitivity_contributions`), along its gradient by the last feature map, or by what the
features do on the average as the attribute goes up. Knows no network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Logits = Callable[[Float[Tensor, "c h w"]], Float[Tensor, "k"]]


def field_contributions(
    logits: Logits,
    features: Float[Tensor, "c h w"],
    slope: Float[Tensor, "c"],
    means: Float[Tensor, "k"],
    centring: Float[Tensor, "k k"],
    positions: Sequence[int],
) -> Float[Tensor, "k"]:
    r"""The shortest move of the last feature map that sets attribute k to its mean, and what the class loses by it.

    With $F$ the last feature map, $D_k = \partial \tilde z_k / \partial F$ and $G = \partial s / \partial F$, which
    is $u / hw$ at every place where $s = u \cdot mean_p F(p) + c$:

    $$g_k = \frac{\langle G, D_k \rangle}{|D_k|^2} (\tilde z_k - \bar{\tilde z}_k), \qquad \tilde z = C z.$$

    Where the attribute head is linear on the same pooled features, $D_k$ is $w_k / hw$ at every place, and this is
    `sensitivity_contributions`. Finer features that the attribute head reads as well are held as they are. One
    backward of the attribute head for every attribute that is wanted.

    Args:
        logits: function from the last feature map to attribute logits, all else held.
        features: F.
        slope: u, of the class score or of a margin by the pooled features.
        means: means of the logits over the training pictures.
        centring: C, that takes the mean of every choice off its logits.
        positions: attributes to be weighed; the others get 0.
    """
    contributions = torch.zeros_like(means)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.detach().clone().requires_grad_()
        parted = centring.detach().clone() @ logits(leaf)
        shift = (parted - centring @ means).detach()
        away = (slope / leaf[0].numel())[:, None, None]
        # one backward each: gradients of several attributes at once would be summed
        for at in positions:
            (direction,) = torch.autograd.grad(parted[at], leaf, retain_graph=True)
            square = direction.square().sum()
            if float(square) > 0:
                contributions[at] = shift[at] * (away * direction).sum() / square
    return contributions.detach()


def pattern_contributions(
    patterns: Float[Tensor, "c k"],
    slope: Float[Tensor, "c"],
    logits: Float[Tensor, "k"],
    means: Float[Tensor, "k"],
    centring: Float[Tensor, "k k"],
) -> Float[Tensor, "k"]:
    r"""What a class score is expected to do as attribute k goes from its mean to what it is here.

    $g_k = (u \cdot p_k)(\tilde z_k - \bar{\tilde z}_k)$ with the pattern $p_k = cov(v, \tilde z_k) / var(\tilde z_k)$
    [haufe2014interpretation]: how pooled features v move with attribute k over many pictures, not along which of them
    it is read. Of all three ways the cheapest: no forward, no backward.

    Args:
        patterns: pattern of every attribute, as `patterns_of` has them.
        slope: u, of the class score or of a margin by the pooled features.
        logits: attribute logits of this picture.
        means: means of the logits over the training pictures.
        centring: C, that takes the mean of every choice off its logits.
    """
    return (slope @ patterns) * (centring @ (logits - means))


def patterns_of(
    features: Float[Tensor, "n c"], logits: Float[Tensor, "n k"], centring: Float[Tensor, "k k"]
) -> Float[Tensor, "c k"]:
    """cov(v, z) / var(z) of every attribute over n pictures; nothing where an attribute never changes.

    Example:
        >>> v = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
        >>> patterns_of(v, v[:, :1] / 2, torch.eye(1)).tolist()
        [[2.0], [0.0]]
    """
    v, z = features.double(), logits.double() @ centring.double().T
    v, z = v - v.mean(0), z - z.mean(0)
    spread = z.square().sum(0)
    slopes = (v.T @ z) / spread.clamp_min(torch.finfo(spread.dtype).tiny)
    return torch.where(spread > 0, slopes, 0.0).float()
