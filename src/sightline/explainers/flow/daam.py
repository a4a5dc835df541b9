"""DAAM: what the class token has read up to each block of a vision transformer, added up block by block.

In block `b` the class token takes `sum_n a[CLS, n] v[n]` out of the tokens, each head its own part of the channels.
Each token's part in it, weighted by the decision's gradient behind the sum, is the block's map; the flow is the
running sum of the maps [liao2025daam]. It follows what the class token reads and nothing else: not what tokens give
to one another, and not the layers between.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from sightline.errors import LayerError
from sightline.explainers.flow.read import Reading, read
from sightline.explainers.flow.tape import Call, Node
from sightline.explainers.flow.vjp import gradient
from sightline.explainers.flow.walk import plus, walk
from sightline.explainers.method import LayerMaps, Outcome, Request, own_pass
from sightline.models import Layout


@dataclass(frozen=True, eq=False)
class Mixing:
    """One attention: `out = weights @ values`.

    Args:
        weights, values, out: nodes on the tape, of `[b heads, n, n]`, `[b heads, n, d]` and `[b heads, n, d]`.
    """

    weights: Node
    values: Node
    out: Node


@own_pass(
    name="daam",
    title="DAAM",
    family="Flow",
    needs="attention",
    equation="sum_(b'<=b) relu( sum_c G_b'[CLS,c] E_b'[n,c] ),  E_b[n] = a_b[CLS,n] v_b[n]",
    source="liao2025daam",
    cost="about 1.5 forward + backward per target",
    options={"accumulate": "false gives each block's own map instead of the running sum"},
    models="plain vision transformers with a class token",
    no_input="attention lies between tokens",
)
@torch.no_grad()
def daam(request: Request) -> Outcome:
    """Accumulated maps of what the class token read [liao2025daam].

    Raises:
        LayerError: the model has no class token, or no attention over its whole grid.
    """
    reading = read(request)
    mixings, layout = _attentions(reading, request)
    maps = [_maps(reading, mixings, layout, len(request.inputs), k) for k in range(len(reading.starts))]
    each = torch.stack(maps, 2)
    flow = each.cumsum(0) if request.option("accumulate", True) else each
    return Outcome(reading.readout, _layers(request, flow))


def _maps(reading: Reading, mixings: list[Mixing], layout: Layout, b: int, k: int) -> Float[Tensor, "l b h w"]:
    """Each block's own map for one decision."""
    gradients: dict[Node, Tensor] = {}
    outputs = {mixing.out for mixing in mixings}

    def arrive(node: Node, G: Tensor) -> None:
        if node in outputs:
            gradients[node] = G

    tape = reading.tape
    walk(tape, reading.steps, reading.starts[k], lambda step, grads: gradient(tape, step, grads), arrive, add=plus,
         last=False)  # fmt: skip
    maps = []
    for mixing in mixings:
        out = tape.value(mixing.out)
        G = gradients.get(mixing.out, torch.zeros_like(out))
        E = read_by_class(tape.value(mixing.weights), tape.value(mixing.values), b)
        C = G.reshape(b, -1, *G.shape[-2:])[:, :, 0]
        along = torch.einsum("bhnd,bhd->bn", E, C)[:, layout.prefix :].relu()
        maps.append(rearrange(along, "b (h w) -> b h w", h=layout.height).float())
    return torch.stack(maps)


def read_by_class(
    weights: Float[Tensor, "bh n n"], values: Float[Tensor, "bh n d"], batch: int
) -> Float[Tensor, "b h n d"]:
    """`E[n] = a[CLS, n] v[n]` of each head: what the class token, which is the first, takes from each token."""
    contributions = weights[..., 0, :, None] * values
    return contributions.reshape(batch, -1, *contributions.shape[-2:])


def _attentions(reading: Reading, request: Request) -> tuple[list[Mixing], Layout]:
    """Every attention over the whole grid, in forward order, and how its tokens are laid out.

    Raises:
        LayerError: there is none, or no class token.
    """
    adapter, x = request.adapter, request.inputs
    mixings, layouts = [], []
    for step in reading.steps:
        if not (isinstance(step, Call) and step.name == "bmm" and len(step.inputs) == 2):
            continue
        if step.inputs[0] not in reading.facts.gates or step.outputs[0] is None:
            continue
        shape = reading.tape.value(step.inputs[0]).shape
        layout = adapter.layout((len(x), shape[-1], 1), (x.shape[2], x.shape[3])) if shape[-1] == shape[-2] else None
        if layout is not None and not adapter.windows and layout.prefix:
            mixings.append(Mixing(step.inputs[0], step.inputs[1], step.outputs[0]))
            layouts.append(layout)
    if not mixings or adapter.prefix == 0:
        raise LayerError(
            f"{type(adapter.model).__name__} has no class token that reads the whole grid by attention, and daam "
            "shows what that reads; any CAM method, naflow or lrp works here"
        )
    return mixings, layouts[0]


def _layers(request: Request, flow: Float[Tensor, "l b k h w"]) -> tuple[LayerMaps, ...]:
    """One layer for each block, named by it; all, or those that were asked for."""
    blocks = [spec.path for spec in request.adapter.blocks][-len(flow) :]
    names = blocks if len(blocks) == len(flow) else [f"attention.{i}" for i in range(len(flow))]
    selection = request.layers
    if selection == "last":
        indices = [len(flow) - 1]
    elif selection in (None, "all", "blocks", "convs"):
        indices = list(range(len(flow)))
    else:
        paths = {spec.path for spec in request.adapter.layers(selection)}
        indices = [i for i, name in enumerate(names) if any(name == p or name.startswith(f"{p}.") for p in paths)]
        if not indices:
            raise LayerError(f"daam has no map at {selection!r}; it has one for each block: {', '.join(names)}")
    return tuple(LayerMaps(names[i], flow[i]) for i in indices)
