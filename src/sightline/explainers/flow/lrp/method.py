"""The LRP flow as a method: one forward, one walk back, relevance at every layer."""

from __future__ import annotations

from dataclasses import fields

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import MethodError
from sightline.explainers.flow.lrp.rules import Recipe, Rules
from sightline.explainers.flow.read import Reading, read
from sightline.explainers.flow.tape import Node
from sightline.explainers.flow.walk import plus, walk
from sightline.explainers.method import LayerMaps, Outcome, Request, own_pass
from sightline.models import Layout

Notes = dict[str, Float[Tensor, " b"]]


@own_pass(
    name="lrp",
    title="LRP flow",
    family="Flow",
    needs="gradient",
    equation="sum_c A[c,i] G[c,i],  G walked back with G_x = sum_j (w_ij + gamma w_ij^s) z_j / zz_j G_j",
    source="montavon2019lrp",
    cost="1 forward + about 3 backward per target",
    signed=True,
    options={
        "gamma": "how much more supporting contributions count in convolutions; 0.25, 0 is epsilon, inf is z+",
        "head": "the same in the linear layers behind the pooling; 0",
        "norm": "the same in batch norms that stand alone; 0",
        "add": "the same in sums of branches; 0",
        "epsilon": "what is added to denominators, in units of the layer's root mean square; 0",
        "attention": "value holds attention and gates constant, both gives them half; value",
    },
)
@torch.no_grad()
def lrp(request: Request) -> Outcome:
    """What each place contributed to the score, layer by layer [bach2015pixel; montavon2019lrp; andeol2023gamma].

    Convolutions and linear layers share relevance by the generalised gamma rule, batch norms being part of the layer
    that feeds them; activations pass it on; attention weights, gates and the scale of norms are held constant
    [ali2022conservative]. `carried` in the notes is the sum over a layer, `drift` what of the score was
    lost or gained (to biases, above all), `prefix` the share of magnitude on class and register tokens.
    """
    recipe = recipe_of(request)
    reading = read(request)
    each = [_relevance_maps(reading, recipe, k) for k in range(len(reading.starts))]
    layers = tuple(
        LayerMaps(
            layer.name,
            torch.stack([maps[i][0] for maps, _ in each], 1),
            {name: torch.stack([maps[i][1][name] for maps, _ in each], 1) for name in each[0][0][i][1]},
        )
        for i, layer in enumerate(reading.layers)
    )
    samples = len(reading.readout.scores)
    return Outcome(reading.readout, layers, tuple(tuple(remarks for _, remarks in each) for _ in range(samples)))


def recipe_of(request: Request) -> Recipe:
    """The recipe that the options ask for.

    Raises:
        MethodError: an option's value is no number, negative, or not one of its words.
    """
    recipe = Recipe()
    attention = request.option("attention", recipe.attention)
    if attention not in ("value", "both"):
        raise MethodError(f"the option attention is 'value' or 'both', not {attention!r}")
    numbers = {
        f.name: request.number(f.name, getattr(recipe, f.name)) for f in fields(Recipe) if f.name != "attention"
    }
    for name, number in numbers.items():
        if not number >= 0:
            raise MethodError(f"the option {name} is 0 or more, not {number:g}")
    return Recipe(**numbers, attention=attention)


def _relevance_maps(reading: Reading, recipe: Recipe, k: int) -> tuple[list[tuple[Tensor, Notes]], tuple[str, ...]]:
    """Map and notes of every layer for one decision, and what there is to say."""
    maps: dict[Node, tuple[Tensor, Notes]] = {}
    layouts = {node: layer.layout for node, layer in zip(reading.nodes, reading.layers, strict=True)}
    start = reading.starts[k]
    shapes = {node: reading.tape.value(node).shape for node in reading.nodes}
    score = torch.stack([_total(reading.tape.value(node) * G) for node, G in start.items()]).sum(0)

    def arrive(node: Node, G: Tensor) -> None:
        if node in layouts:
            maps[node] = _map(reading.tape.value(node).float() * G.float(), layouts[node], score)

    rules = Rules(reading.tape, reading.facts, recipe)
    last = k + 1 == len(reading.starts)
    walk(reading.tape, reading.steps, start, rules, arrive, add=plus, last=last, destinations=layouts)
    for node in set(reading.nodes) - set(maps):
        maps[node] = _map(torch.zeros(shapes[node]).to(score), layouts[node], score)
    return [maps[node] for node in reading.nodes], _remarks(reading, rules)


def _map(R: Float[Tensor, "b ..."], layout: Layout, score: Float[Tensor, " b"]) -> tuple[Tensor, Notes]:
    """Relevance of a layer as a map, and how much of the score it holds."""
    carried = _total(R)
    notes = {"carried": carried, "drift": carried - score}
    if layout.prefix:
        notes["prefix"] = _total(R[:, : layout.prefix].abs()) / _total(R.abs()).clamp_min(torch.finfo(R.dtype).tiny)
    return layout.to_grid(R).sum(1), notes


def _total(x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    return x.float().flatten(1).sum(1)


def _remarks(reading: Reading, rules: Rules) -> tuple[str, ...]:
    """What a reader should know of this flow."""
    remarks = [f"Relevance by the gamma rule, gamma {rules.recipe.gamma:g}, head {rules.recipe.head:g}."]
    if reading.moved:
        remarks.append(f"Read behind the batch norm that follows: {', '.join(reading.moved)}.")
    if rules.unknown:
        remarks.append(f"No rule is known for {', '.join(sorted(rules.unknown))}: their plain gradient was taken.")
    return tuple(remarks)
