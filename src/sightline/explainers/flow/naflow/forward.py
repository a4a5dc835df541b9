"""The mode `forward`: no inverse, `B = keep * A`, on the pass that all CAM methods share.

This is what the published code does: its Jacobians are zero, so its solver returns nothing and the activation is
taken in its place. Where activations are not negative, and with the rule `zero`, it is LayerCAM.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.capture import ChannelSum, Pair, Plan, Reduction, capture
from sightline.capture.sums import Summand
from sightline.explainers.flow.naflow.abandoning import KEEPS, LEVELS
from sightline.explainers.method import LayerMaps, Outcome, Request


def forward(request: Request) -> Outcome:
    """Maps of `sum_c relu( keep A G )`, or of the signed sum."""
    rule = request.option("rule", "auto")
    rule = "zero" if rule == "auto" else rule
    level = request.option("threshold", None)
    keep = None if rule == "zero" else (KEEPS[rule], LEVELS[rule] if level is None else float(level))

    def evidence(pair: Pair) -> Float[Tensor, "b c h w"]:
        """`B G` of each neuron; a zero gradient needs no mask."""
        return pair.GA if keep is None else keep[0](pair.A, pair.G, keep[1]) * pair.GA

    def positive(pair: Pair) -> Float[Tensor, "b h w"]:
        return evidence(pair).relu().sum(1)

    def signed(pair: Pair) -> Float[Tensor, "b h w"]:
        return evidence(pair).sum(1)

    def size(pair: Pair) -> Float[Tensor, "b h w"]:
        return pair.A.abs().sum(1)

    def size_kept(pair: Pair) -> Float[Tensor, "b h w"]:
        mask = pair.G.sign().abs_() if keep is None else keep[0](pair.A, pair.G, keep[1])
        return mask.mul_(pair.A).abs_().sum(1)

    summed = signed if request.option("signed", False) else positive
    summands: dict[str, Summand] = {"naflow": summed, "kept": size_kept, "size": size}
    reductions: Mapping[str, Reduction] = summands
    if keep is None:  # a rule that compares with the sample's largest needs all channels at once
        reductions = {name: ChannelSum(summand, lambda total, pair: total) for name, summand in summands.items()}
    plan = Plan(
        request.target,
        request.layers,
        reductions=reductions,
        output=request.output,
        labels=request.labels,
    )
    with torch.enable_grad():
        result = capture(request.adapter, request.inputs, plan)
    layers = tuple(
        LayerMaps(
            layer.name,
            result.maps[layer.name, "naflow"],
            {"abandoned": _share(result.maps[layer.name, "kept"], result.maps[layer.name, "size"])},
            bool(request.option("signed", False)),
        )
        for layer in result.layers
        if layer.name not in result.cut
    )
    remark = f"NAFlow, mode forward: activation x gradient, positive per neuron, rule {rule}; no inverse is taken."
    b, k = result.readout.scores.shape
    return Outcome(
        result.readout, layers, tuple(tuple(_remarks(layers, remark, i, j) for j in range(k)) for i in range(b))
    )


def _share(kept_size: Float[Tensor, "b k *places"], size: Float[Tensor, "b k *places"]) -> Float[Tensor, "b k"]:
    """Share of the activations' size that is abandoned at a layer."""
    kept, whole = (part.flatten(2).sum(2) for part in (kept_size, size))
    return (1 - kept / whole.clamp_min(1e-30)).clamp_min(0.0)


def _remarks(layers: tuple[LayerMaps, ...], first: str, b: int, k: int) -> tuple[str, ...]:
    nothing = all(float(layer.notes["abandoned"][b, k]) < 1e-6 for layer in layers)
    return (first, "Nothing was abandoned: this is gradient x activation.") if nothing else (first,)
