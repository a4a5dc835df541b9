"""One call of `explain`, checked and parsed, and what every method that it asks for answers.

It knows methods and passes; it does not know results as they are given to the user.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sightline.api.layers import named_layers
from sightline.api.methods import Choice
from sightline.capture import Plan, capture
from sightline.errors import UnfollowedError
from sightline.explainers import METHODS, LayerMaps, Method, Outcome, Request
from sightline.explainers.at_input import check_input_maps, without_map_at_input
from sightline.explainers.default import DEFAULT, FALLBACK
from sightline.explainers.places import channels_second
from sightline.models import Adapter
from sightline.models.adapter.layers import INPUT, without_input

log = logging.getLogger(__name__)

CUT = "There is no map at {}: the model cuts the graph behind them, so no gradient of the decision comes there."


@dataclass(frozen=True, eq=False)
class Question:
    """One call of `explain`, checked and parsed."""

    adapter: Adapter
    methods: tuple[Method, ...]
    plan: Plan
    seed: int
    batch_size: int | None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    choice: Choice = Choice(())
    preprocess: Mapping[str, Any] | None = None


def ask(question: Question, inputs: Float[Tensor, "b c h w"]) -> list[tuple[Method, Outcome]]:
    """What every method answers for one chunk; a default that cannot follow the model makes way for another."""
    try:
        return _answers(question, inputs)
    except UnfollowedError as problem:
        if not question.choice.by_default:
            raise
        log.info("%s was taken instead of %s: %s", FALLBACK, DEFAULT, problem)
        return _answers(replace(question, methods=(METHODS[FALLBACK],)), inputs)


def _answers(question: Question, inputs: Float[Tensor, "b c h w"]) -> list[tuple[Method, Outcome]]:
    """What every method answers; those that share a pass are asked together."""
    check_input_maps(question.methods, question.plan.layers)
    shared = [m for m in question.methods if m.run is None]
    answers = dict(_shared_pass(question, shared, inputs)) if shared else {}
    for method in question.methods:
        if method.run is not None:
            answers[method.name] = method.run(_request(question, method, inputs))
    layers = question.plan.layers
    return [(method, without_map_at_input(method, answers[method.name], layers)) for method in question.methods]


def _shared_pass(question: Question, methods: list[Method], inputs: Tensor) -> list[tuple[str, Outcome]]:
    """One forward and at most one backward for all reductions and controls."""
    reductions = {m.name: m.reduction for m in methods if m.reduction is not None}
    forward_only = frozenset(m.name for m in methods if m.needs == "activation")
    plan = replace(question.plan, reductions=reductions, forward_only=forward_only)
    if all(m.no_input for m in methods):
        plan = replace(plan, layers=named_layers(question.adapter.model, without_input(plan.layers)[1]))
    result = capture(question.adapter, inputs, plan)
    places = channels_second(question.adapter.structure(inputs), inputs)
    outcomes = []
    for m in methods:
        k, own = result.readout.scores.shape[1], [s for s in result.layers if not m.no_input or s.spec != INPUT]
        cut = [s.name for s in own if s.name in result.cut and m.needs == "gradient"]
        own = [s for s in own if s.name not in cut]
        maps = [
            result.maps[layer.name, m.name]
            if m.control is None
            else m.control(places, layer.grid, question.seed)[:, None].expand(-1, k, *[-1] * len(layer.grid))
            for layer in own
        ]
        layers = tuple(LayerMaps(layer.name, values) for layer, values in zip(own, maps, strict=True))
        remarks = (CUT.format(", ".join(cut)),) if cut else ()
        outcomes.append((m.name, Outcome(result.readout, layers, ((remarks,) * k,) * len(inputs) if cut else ())))
    return outcomes


def _request(question: Question, method: Method, inputs: Tensor) -> Request:
    plan = question.plan
    labels = None if plan.labels is None else tuple(plan.labels)
    layers = named_layers(question.adapter.model, without_input(plan.layers)[1]) if method.no_input else plan.layers
    return Request(
        adapter=question.adapter,
        inputs=inputs,
        target=plan.target,
        layers=layers if layers is not None or method.layers == "all" else method.layers,
        labels=labels,
        output=plan.output,
        seed=question.seed,
        batch_size=question.batch_size,
        options=question.options.get(method.name, {}),
        preprocess=question.preprocess,
    )
