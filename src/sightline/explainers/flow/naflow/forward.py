"""The mode `forward`: no inverse, `B = keep * A`, on the pass that all CAM methods share.

This is what the published code does: its Jacobians are zero, so its solver returns nothing and the activation is
taken in its place. Where activations are not negative, and with the rule `zero`, it is LayerCAM.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.capture import ChannelSum, Pair, Plan, capture
from sightline.explainers.flow.naflow.abandoning import KEEPS, LEVELS
from sightline.explainers.method import Outcome, Request, StageMaps


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

    def share(pair: Pair) -> Float[Tensor, "b 1 1"]:
        """Share of the activations' size that is abandoned at this stage."""
        kept = pair.G.sign().abs() if keep is None else keep[0](pair.A, pair.G, keep[1])
        size = pair.A.abs()
        return 1 - ((size * kept).flatten(1).sum(1) / size.flatten(1).sum(1).clamp_min(1e-30))[:, None, None]

    summed = signed if request.option("signed", False) else positive
    reduction = ChannelSum(summed, lambda total, pair: total) if keep is None else summed
    plan = Plan(
        request.target,
        request.stages,
        reductions={"naflow": reduction, "abandoned": share},
        output=request.output,
        labels=request.labels,
    )
    with torch.enable_grad():
        got = capture(request.adapter, request.inputs, plan)
    stages = tuple(
        StageMaps(
            stage.name,
            got.maps[stage.name, "naflow"],
            {"abandoned": got.maps[stage.name, "abandoned"][..., 0, 0]},
            bool(request.option("signed", False)),
        )
        for stage in got.stages
    )
    said = f"NAFlow, mode forward: activation x gradient, positive per neuron, rule {rule}; no inverse is taken."
    b, k = got.readout.scores.shape
    return Outcome(got.readout, stages, tuple(tuple(_said(stages, said, i, j) for j in range(k)) for i in range(b)))


def _said(stages: tuple[StageMaps, ...], first: str, b: int, k: int) -> tuple[str, ...]:
    nothing = all(float(stage.notes["abandoned"][b, k]) <= 0 for stage in stages)
    return (first, "Nothing was abandoned: this is gradient x activation.") if nothing else (first,)
