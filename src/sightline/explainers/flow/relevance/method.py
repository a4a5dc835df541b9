"""The relevance flow: one forward, one walk back, a map of relevance at every stage."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.explainers.flow.read import Reading, read
from sightline.explainers.flow.relevance.rules import Rules
from sightline.explainers.flow.tape import Node
from sightline.explainers.flow.walk import plus, walk
from sightline.explainers.method import Outcome, Request, StageMaps, own_pass


@own_pass(
    name="relevance",
    title="Relevance flow",
    family="Flow",
    needs="gradient",
    equation="sum_c A[c,i] G[c,i],  G walked back by the gamma rule",
    source="montavon2019lrp",
    cost="about 2.5 forward + backward per target",
    signed=True,
    options={
        "gamma": "how much more supporting contributions count, 0.25 by default",
        "head": "the same for linear layers behind the last place",
        "norm": "the same for batch norms that stand alone",
        "add": "the same for sums",
        "attention": "value holds attention weights constant, both shares with them",
    },
)
@torch.no_grad()
def relevance(request: Request) -> Outcome:
    """Relevance at every stage, by the generalised gamma rule [montavon2019lrp]."""
    reading = read(request)
    each = [_maps(reading, request, k) for k in range(len(reading.starts))]
    stages = tuple(
        StageMaps(stage.name, torch.stack([maps[i] for maps in each], 1)) for i, stage in enumerate(reading.stages)
    )
    return Outcome(reading.readout, stages)


def _maps(reading: Reading, request: Request, k: int) -> list[Float[Tensor, "b h w"]]:
    """Relevance at every stage for one decision."""
    found: dict[Node, Tensor] = {}
    wanted = dict(zip(reading.nodes, reading.stages, strict=True))

    def arrive(node: Node, G: Tensor) -> None:
        if node in wanted:
            layout = wanted[node].layout
            R = reading.tape.value(node) * G
            found[node] = layout.to_grid(R).float().sum(1)

    rules = Rules(reading.tape, reading.facts, **request.options)
    walk(reading.tape, reading.steps, reading.starts[k], rules, arrive, add=plus, last=k + 1 == len(reading.starts))
    return [found[node] for node in reading.nodes]
