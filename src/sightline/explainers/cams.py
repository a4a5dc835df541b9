"""The CAM family that reads one activation A and one gradient G per stage; all share a single pass.

A and G are `[b, c, h, w]`; c are channels, i a place, and a map is `M[i]`. Each function is its equation.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.capture import Pair
from sightline.explainers.method import reduction

SHARED = "1 forward + 1 backward, shared by all of them"
EPS = 1e-12
VANISHED = 1e-6


@reduction(
    name="gradcam",
    title="Grad-CAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c mean_j G[c,j] A[c,i] )",
    source="selvaraju2017gradcam",
    cost=SHARED,
)
def gradcam(pair: Pair) -> Float[Tensor, "b h w"]:
    """Channels weighted by their mean gradient [selvaraju2017gradcam]."""
    return pair.weighted(pair.G.mean((2, 3))).relu()


@reduction(
    name="hirescam",
    title="HiResCAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c G[c,i] A[c,i] )",
    source="draelos2020hirescam",
    cost=SHARED,
)
def hirescam(pair: Pair) -> Float[Tensor, "b h w"]:
    """Each place weighted by its own gradient [draelos2020hirescam]."""
    return pair.evidence.relu()


@reduction(
    name="layercam",
    title="LayerCAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c relu(G[c,i]) A[c,i] )",
    source="jiang2021layercam",
    cost=SHARED,
)
def layercam(pair: Pair) -> Float[Tensor, "b h w"]:
    """Each place weighted by the positive part of its own gradient [jiang2021layercam]."""
    return pair.over_channels(lambda A, G: G.relu() * A).relu()


@reduction(
    name="xgradcam",
    title="XGrad-CAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c ( sum_j G[c,j] A[c,j] / sum_j A[c,j] ) A[c,i] )",
    source="fu2020xgradcam",
    cost=SHARED,
)
def xgradcam(pair: Pair) -> Float[Tensor, "b h w"]:
    """Channels weighted by their share of gradient x activation [fu2020xgradcam].

    A channel whose activations sum to zero has no defined weight and gets none.
    """
    silent = pair.mass.abs() < EPS
    return pair.weighted((pair.channel_evidence / pair.mass).masked_fill(silent, 0.0)).relu()


@reduction(
    name="gradcam++",
    title="Grad-CAM++",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c ( sum_j a[c,j] relu(G[c,j]) ) A[c,i] ),  a = G^2 / ( 2 G^2 + (sum_j A[c,j]) G^3 )",
    source="chattopadhay2018gradcampp",
    cost=SHARED,
)
def gradcam_plus_plus(pair: Pair) -> Float[Tensor, "b h w"]:
    """Channels weighted by positive gradients, each by its own coefficient [chattopadhay2018gradcampp].

    Only places with a positive gradient count, and there `a relu(G) = G+ / (2 + (sum A) G+)`. The factor `exp(score)`
    of the paper is the same for every place and is left out. Where activations are negative (GELU, SiLU) the
    denominator can vanish; such places get no weight.
    """
    return pair.weighted(pair.over_space(_coefficient)).relu()


def _coefficient(A: Float[Tensor, "b c h w"], G: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """`G+ / (2 + (sum A) G+)`, and zero where the denominator vanishes."""
    positive = G.relu()
    below = A.sum((2, 3), keepdim=True) * positive
    below += 2.0
    share: Tensor = positive / F.hardshrink(below, VANISHED)
    return share.nan_to_num_(nan=float("nan"), posinf=0.0, neginf=0.0)


@reduction(
    name="gradxact",
    title="Gradient x activation",
    family="CAM",
    needs="gradient",
    equation="sum_c G[c,i] A[c,i]",
    source="shrikumar2017deeplift",
    cost=SHARED,
    signed=True,
)
def gradient_x_activation(pair: Pair) -> Float[Tensor, "b h w"]:
    """First-order contribution of each place, signed [shrikumar2017deeplift]."""
    return pair.evidence
