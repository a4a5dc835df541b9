"""DAAM: what the tokens that decide have read up to each block of a transformer, added up block by block.

In block `b` the class token takes `sum_n a[CLS, n] v[n]` out of the tokens, each head its own part of the channels.
Each token's part in it, weighted by the decision's gradient behind the sum, is the block's map; the flow is the
running sum of the maps [liao2025daam]. It follows what the class token reads and nothing else: not what tokens give
to one another, and not the layers between. Where no class token decides, but the mean of all places does, each of
these reads as the class token would, and their parts are added.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.errors import LayerError
from sightline.explainers.attention.reading import Attention, AttentionReading, read_attention, step_gradient
from sightline.explainers.attention.rollout import blanked
from sightline.explainers.attention.sinks import BLANK
from sightline.explainers.flow.tape import Node
from sightline.explainers.flow.walk import plus, walk
from sightline.explainers.method import LayerMaps, Outcome, Request, own_pass


@own_pass(
    name="daam",
    title="DAAM",
    family="Flow",
    needs="attention",
    equation="sum_(b'<=b) relu( sum_i sum_c G_b'[i,c] a_b'[i,n] v_b'[n,c] ),  i: the tokens that decide",
    source="liao2025daam",
    cost="about 1.5 forward + backward per target",
    options={"accumulate": "false gives each block's own map instead of the running sum", "sinks": BLANK},
    models="transformers with attention over all places",
    no_input="attention lies between tokens",
)
@torch.no_grad()
def daam(request: Request) -> Outcome:
    """Accumulated maps of what the tokens that decide read [liao2025daam].

    Raises:
        LayerError: the model has no attention over its whole grid.
    """
    reading = read_attention(request, parts=nullcontext())
    reading.same_places()
    each = torch.stack([_maps(reading, k) for k in range(len(reading.starts))], 2)
    flow = each.cumsum(0) if request.option("accumulate", True) else each
    return Outcome(reading.readout, _layers(request, reading, flow))


def _maps(reading: AttentionReading, k: int) -> Float[Tensor, "l b h w"]:
    """Each block's own map for one decision."""
    gradients: dict[Node, Tensor] = {}
    outputs = {attention.product.out for attention in reading.attentions}

    def arrive(node: Node, G: Tensor) -> None:
        if node in outputs:
            gradients[node] = G

    walk(reading.tape, reading.steps, reading.starts[k], partial(step_gradient, reading.tape), arrive, add=plus,
         last=False)  # fmt: skip
    maps = []
    for attention in reading.attentions:
        weights, values, out = parts_of(reading, attention)
        G = gradients.get(attention.product.out)
        G = torch.zeros_like(out) if G is None else attention.product.rows(G).reshape(out.shape)
        along = read_by(weights, values, G, reading.rows(attention))
        maps.append(reading.to_grid(along.relu()).float())
    return torch.stack(maps)


def parts_of(
    reading: AttentionReading, attention: Attention
) -> tuple[Float[Tensor, "b h q n"], Float[Tensor, "b h n d"], Float[Tensor, "b h q d"]]:
    """Weights, values and result of an attention, by sample and head."""
    product, b = attention.product, len(attention.weights)
    nodes = (product.weights, product.values, product.out)
    parts = [product.rows(reading.tape.value(node)) for node in nodes]
    weights, values, out = (part.reshape(b, -1, *part.shape[1:]) for part in parts)
    return weights, values, out


def read_by(
    weights: Float[Tensor, "b h q n"],
    values: Float[Tensor, "b h n d"],
    G: Float[Tensor, "b h q d"],
    rows: Bool[Tensor, "b q"],
) -> Float[Tensor, "b n"]:
    """`sum_i sum_c G[i,c] a[i,n] v[n,c]`: what the tokens `i` of some rows take from each token `n`."""
    if rows.shape[1] == 1 or bool(rows[:, 0].all() and not rows[:, 1:].any()):
        return torch.einsum("bhnd,bhd->bn", weights[..., 0, :, None] * values, G[:, :, 0])
    drawn = weights.mT @ (G * rows[:, None, :, None])
    return (drawn * values).sum((1, 3))


def _layers(request: Request, reading: AttentionReading, flow: Float[Tensor, "l b k h w"]) -> tuple[LayerMaps, ...]:
    """One layer for each block, named by it; all, or those that were asked for."""
    structure = request.adapter.structure(request.inputs)
    blocks = [spec.path for spec in structure.blocks][-len(flow) :]
    names = blocks if len(blocks) == len(flow) else [attention.name for attention in reading.attentions]
    selection = request.layers
    if selection == "last":
        indices = [len(flow) - 1]
    elif selection in (None, "all", "blocks", "convs"):
        indices = list(range(len(flow)))
    else:
        paths = {spec.path for spec in structure.layers(selection)}
        indices = [i for i, name in enumerate(names) if any(name == p or name.startswith(f"{p}.") for p in paths)]
        if not indices:
            raise LayerError(f"daam has no map at {selection!r}; it has one for each block: {', '.join(names)}")
    return tuple(replace(blanked(request, reading, i, flow[i]), layer=names[i]) for i in indices)
