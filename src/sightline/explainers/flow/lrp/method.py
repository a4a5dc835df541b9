"""The LRP flow as a method: one forward, one walk back, relevance at every layer."""

from __future__ import annotations

from dataclasses import fields

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import MethodError
from sightline.explainers.attention.sinks import BLANK, drops_sinks, share, sinks_of, unnormed
from sightline.explainers.flow.lrp.bounds import Bounds, bounds_of
from sightline.explainers.flow.lrp.first import FIRST, PixelRules
from sightline.explainers.flow.lrp.messages import Message, join, relevance
from sightline.explainers.flow.lrp.pixels import Pixels, pixel_nodes
from sightline.explainers.flow.lrp.rules import Recipe, Rules
from sightline.explainers.flow.read import Reading, read
from sightline.explainers.flow.tape import Node
from sightline.explainers.flow.walk import Rule, walk
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
        "gamma": "extra weight of supporting contributions in convolutions; 0.25, 0 is epsilon, inf z+ by sign",
        "head": "the same in the linear layers behind the pooling; 0",
        "norm": "the same in batch norms that stand alone; 0",
        "add": "the same in sums of branches; 0",
        "epsilon": "what is added to denominators, in units of the layer's root mean square; 0",
        "attention": "value holds attention and gates constant, both gives them half; value",
        "sinks": BLANK,
        "first": "rule of the layer that reads the pixels, for the map at the input: bounded (z^B), flat, squared, "
        "gamma, or a gamma of its own; bounded",
        "low": "smallest value of the normalised pixels, one or one per channel; from the preprocessing",
        "high": "largest value of them; from the preprocessing",
    },
)
@torch.no_grad()
def lrp(request: Request) -> Outcome:
    """What each place contributed to the score, layer by layer [bach2015pixel; montavon2019lrp; andeol2023gamma].

    Convolutions and linear layers share relevance by the generalised gamma rule, batch norms being part of the layer
    that feeds them; activations pass it on; attention weights, gates and the scale of norms are held constant
    [ali2022conservative]. `carried` in the notes is the sum over a layer, `drift` what of the score was
    lost or gained (to biases, above all), `prefix` the share of magnitude on class and register tokens,
    `sinks` and `sinks_relevance` the number of sink tokens and their share.
    """
    recipe, first = recipe_of(request), first_of(request)
    reading = read(request)
    pixels, bounds = _pixels(reading, request)
    each = []
    for k in range(len(reading.starts)):
        rules = Rules(reading.tape, reading.facts, recipe, frozenset(reading.starts[k]))
        rule: Rule[Message] = rules if pixels is None else PixelRules(rules, pixels, first)
        each.append((_relevance_maps(reading, rule, k, drop=drops_sinks(request)), _remarks(reading, rules)))
    layers = tuple(
        LayerMaps(
            layer.name,
            torch.stack([maps[i][0] for maps, _ in each], 1),
            {name: torch.stack([maps[i][1][name] for maps, _ in each], 1) for name in each[0][0][i][1]},
        )
        for i, layer in enumerate(reading.layers)
    )
    own = [() if bounds is None or first != "bounded" else (bounds.words(b),) for b in range(len(request.inputs))]
    return Outcome(reading.readout, layers, tuple(tuple(remarks + words for _, remarks in each) for words in own))


def _pixels(reading: Reading, request: Request) -> tuple[Pixels | None, Bounds | None]:
    """The nodes that are pixels and the bounds of the pixels, if a map is wanted at one of them."""
    if not pixel_nodes(reading.steps) & set(reading.nodes):
        return None, None
    bounds = bounds_of(request)
    return Pixels.of(reading.tape, reading.steps, bounds.low, bounds.high), bounds


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


def first_of(request: Request) -> str | float:
    """The rule of the first layer that the option `first` asks for.

    Raises:
        MethodError: it is none of the rules and no gamma.
    """
    first = request.option("first", FIRST[0])
    if first in FIRST:
        return str(first)
    try:
        gamma = float(first)
    except (TypeError, ValueError):
        gamma = -1.0
    if not gamma >= 0:
        raise MethodError(f"the option first is one of {', '.join(FIRST)}, or a gamma of 0 or more, not {first!r}")
    return gamma


def _relevance_maps(reading: Reading, rule: Rule[Message], k: int, *, drop: bool) -> list[tuple[Tensor, Notes]]:
    """Map and notes of every layer for one decision."""
    maps: dict[Node, tuple[Tensor, Notes]] = {}
    layouts = {node: layer.layout for node, layer in zip(reading.nodes, reading.layers, strict=True)}
    start: dict[Node, Message] = dict(reading.starts[k])
    shapes = {node: reading.tape.value(node).shape for node in reading.nodes}
    sinks = _sinks(reading)
    score = _start_score(reading, k)

    def arrive(node: Node, message: Message) -> None:
        if node in layouts:
            maps[node] = _map(relevance(reading.tape, node, message), layouts[node], score)

    last = k + 1 == len(reading.starts)
    walk(reading.tape, reading.steps, start, rule, arrive, add=join, last=last, destinations=layouts)
    for node in set(reading.nodes) - set(maps):
        maps[node] = _map(torch.zeros(shapes[node]).to(score), layouts[node], score)
    return [_with_sinks(*maps[node], sinks.get(node), drop=drop) for node in reading.nodes]


def _sinks(reading: Reading) -> dict[Node, Tensor]:
    """Places of each layer of tokens whose token is a sink, `[b, places...]`."""
    sinks = {}
    for node, layer in zip(reading.nodes, reading.layers, strict=True):
        if layer.layout.kind == "tokens":
            tokens = reading.tape.value(unnormed(reading.tape, reading.steps, node))
            if tokens.shape == reading.tape.value(node).shape:
                sinks[node] = sinks_of(layer.layout.to_grid(tokens.float()).norm(dim=1))
    return sinks


def _with_sinks(R: Tensor, notes: Notes, sinks: Tensor | None, *, drop: bool) -> tuple[Tensor, Notes]:
    """A map and its notes with the number and share of the sinks, which are zero if they are left out."""
    if sinks is None:
        return R, notes
    counts = {"sinks": sinks.flatten(1).sum(1).float(), "sinks_relevance": share(R, sinks)}
    return (R * ~sinks if drop else R), notes | counts


def _map(R: Float[Tensor, "b ..."], layout: Layout, score: Float[Tensor, " b"]) -> tuple[Tensor, Notes]:
    """Relevance of a layer as a map, and how much of the score it holds."""
    carried = layout.by_sample(R.float()).sum(1)
    notes = {"carried": carried, "drift": carried - score}
    if layout.prefix:
        size = R.float().abs()
        dim, start, _ = next(cut for cut in layout.cuts if cut[1])
        ahead, whole = (layout.by_sample(part).sum(1) for part in (size.narrow(dim, 0, start), size))
        notes["prefix"] = ahead / whole.clamp_min(torch.finfo(R.dtype).tiny)
    return layout.to_grid(R).sum(1).float(), notes


def _start_score(reading: Reading, k: int) -> Float[Tensor, " b"]:
    """The score that the walk starts from: output x gradient, or as it was read where outputs have no batch axis."""
    scores = reading.readout.scores[:, k]
    parts = [reading.tape.value(node) * G for node, G in reading.starts[k].items()]
    if not all(part.ndim and len(part) == len(scores) for part in parts):
        return scores  # a list with an entry for each image, say
    return torch.stack([_total(part) for part in parts]).sum(0)


def _total(x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    return x.float().reshape(len(x), -1).sum(1)


def _remarks(reading: Reading, rules: Rules) -> tuple[str, ...]:
    """What a reader should know of this flow."""
    remarks = [f"Relevance by the gamma rule, gamma {rules.recipe.gamma:g}, head {rules.recipe.head:g}."]
    if reading.moved:
        remarks.append(f"Read behind the batch norm that follows: {', '.join(reading.moved)}.")
    if rules.unknown:
        remarks.append(f"No rule is known for {', '.join(sorted(rules.unknown))}: their plain gradient was taken.")
    return tuple(remarks)
