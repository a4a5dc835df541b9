"""The CAM family that reads one activation A and one gradient G per layer; all share a single pass.

A and G are `[b, c, h, w]`; c are channels, i a place, and a map is `M[i]`. All of them are sums over channels, and
each function is what is added up: the weight `[b, c]` of each channel's activation, or the sum of the channels at
each place `[b, h, w]`. What is done with the sum stands in the decorator.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.capture import ChannelSum, Pair
from sightline.explainers.method import reduction

NO_INPUT = "it weighs whole channels, and those of the input are colours: its map would be the tinted picture"
SHARED = "1 forward + 1 backward, shared by all of them"
EPS = 1e-12
VANISHED = 1e-6


def rectified(summand: Callable[[Pair], Tensor]) -> ChannelSum:
    """`relu( sum_c summand_c )`."""
    return ChannelSum(summand, lambda total, pair: total.relu())


def evidence(pair: Pair) -> Float[Tensor, "b h w"]:
    """Gradient x activation at each place."""
    return pair.GA.sum(1)


@reduction(
    name="gradcam",
    title="Grad-CAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c mean_j G[c,j] A[c,i] )",
    source="selvaraju2017gradcam",
    cost=SHARED,
    no_input=NO_INPUT,
)
@rectified
def gradcam(pair: Pair) -> Float[Tensor, "b c"]:
    """Channels weighted by their mean gradient [selvaraju2017gradcam]."""
    return pair.G.mean((2, 3))


hirescam = reduction(
    name="hirescam",
    title="HiResCAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c G[c,i] A[c,i] )",
    source="draelos2020hirescam",
    cost=SHARED,
)(ChannelSum(evidence, lambda total, pair: pair.without_noise(total).relu()))
"""Each place weighted by its own gradient [draelos2020hirescam]."""


@reduction(
    name="layercam",
    title="LayerCAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c relu(G[c,i]) A[c,i] )",
    source="jiang2021layercam",
    cost=SHARED,
)
@rectified
def layercam(pair: Pair) -> Float[Tensor, "b h w"]:
    """Each place weighted by the positive part of its own gradient [jiang2021layercam]."""
    return (pair.G_plus * pair.A).sum(1)


@reduction(
    name="xgradcam",
    title="XGrad-CAM",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c ( sum_j G[c,j] A[c,j] / sum_j A[c,j] ) A[c,i] )",
    source="fu2020xgradcam",
    cost=SHARED,
    no_input=NO_INPUT,
)
@rectified
def xgradcam(pair: Pair) -> Float[Tensor, "b c"]:
    """Channels weighted by their share of gradient x activation [fu2020xgradcam].

    A channel whose activations sum to zero has no defined weight and gets none, also where rounding has left a little
    of the sum.
    """
    silent = pair.balanced | (pair.mass.abs() < EPS)
    return (pair.GA.sum((2, 3)) / pair.mass).masked_fill(silent, 0.0)


@reduction(
    name="gradcam++",
    title="Grad-CAM++",
    family="CAM",
    needs="gradient",
    equation="relu( sum_c ( sum_j a[c,j] relu(G[c,j]) ) A[c,i] ),  a = G^2 / ( 2 G^2 + (sum_j A[c,j]) G^3 )",
    source="chattopadhay2018gradcampp",
    cost=SHARED,
    no_input=NO_INPUT,
)
@rectified
def gradcam_plus_plus(pair: Pair) -> Float[Tensor, "b c"]:
    """Channels weighted by positive gradients, each by its own coefficient [chattopadhay2018gradcampp].

    Only places with a positive gradient count, and there `a relu(G) = G+ / (2 + (sum A) G+)`. The factor `exp(score)`
    of the paper is the same for every place and is left out. Where activations are negative (GELU, SiLU) the
    denominator can vanish; such places get no weight.
    """
    below = pair.mass[:, :, None, None] * pair.G_plus
    below += 2.0
    share = pair.G_plus / F.hardshrink(below, VANISHED)
    return share.nan_to_num_(nan=float("nan"), posinf=0.0, neginf=0.0).sum((2, 3))


gradient_x_activation = reduction(
    name="gradxact",
    title="Gradient x activation",
    family="CAM",
    needs="gradient",
    equation="sum_c G[c,i] A[c,i]",
    source="shrikumar2017deeplift",
    cost=SHARED,
    signed=True,
)(ChannelSum(evidence, lambda total, pair: pair.without_noise(total)))
"""First-order contribution of each place, signed [shrikumar2017deeplift]."""
