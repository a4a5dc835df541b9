"""Attention flow through transformers: rollout, and attention weighted by its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from sightline.capture.attention import AttentionLayer, capture_attention
from sightline.capture.engine import Plan
from sightline.errors import MethodError
from sightline.explainers.method import LayerMaps, Outcome, Request, own_pass
from sightline.models import Layout

Step = Callable[[AttentionLayer], Float[Tensor, "k b n n"]]


@own_pass(
    name="rollout",
    title="Attention rollout",
    family="Attention",
    needs="attention",
    equation="R_l = (I + mean_h A_l)/2 R_(l-1),  map = row of the class token",
    source="abnar2020rollout",
    cost="1 forward",
    models="plain vision transformers",
    no_input="attention lies between tokens",
)
def rollout(request: Request) -> Outcome:
    """Attention of all layers multiplied through, half of it the residual path [abnar2020rollout].

    The decision plays no part. Without a class token the rows of all places are averaged.
    """
    readout, matrices = capture_attention(request.adapter, request.inputs, _plan(request), gradients=False)
    return Outcome(readout, _flow(request, matrices, _half_identity, readout.scores.shape[1]))


@own_pass(
    name="gradrollout",
    title="Gradient-weighted attention",
    family="Attention",
    needs="attention",
    equation="R_l = (I + mean_h relu(G_l * A_l)) R_(l-1),  map = row of the class token",
    source="chefer2021generic",
    cost="1 forward + 1 backward per target",
    models="plain vision transformers",
    no_input="attention lies between tokens",
)
def gradient_rollout(request: Request) -> Outcome:
    """Rollout of attention x its positive gradient, so that heads count as they spoke [chefer2021generic]."""
    readout, matrices = capture_attention(request.adapter, request.inputs, _plan(request), gradients=True)
    return Outcome(readout, _flow(request, matrices, _gradient_weighted, readout.scores.shape[1]))


def _plan(request: Request) -> Plan:
    return Plan(request.target, output=request.output, labels=request.labels)


def _half_identity(attention: AttentionLayer) -> Float[Tensor, "1 b n n"]:
    """Mean over heads, half of it replaced by the residual path; rows sum to one."""
    mean = attention.weights.mean(1)
    return (mean / mean.sum(-1, keepdim=True) + _identity(mean))[None] / 2


def _gradient_weighted(attention: AttentionLayer) -> Float[Tensor, "k b n n"]:
    """Mean over heads of the positive part of gradient x attention, plus the residual path."""
    if attention.gradients is None:
        raise MethodError("gradient-weighted attention was asked for without gradients")
    mean = (attention.gradients * attention.weights).relu().mean(2)
    return mean + _identity(mean)


def _flow(request: Request, matrices: Sequence[AttentionLayer], step: Step, k: int) -> tuple[LayerMaps, ...]:
    """The product of the matrices up to each one, read off as maps."""
    layers = []
    product: Tensor | None = None
    for attention in matrices:
        product = step(attention) if product is None else step(attention) @ product
        maps = rearrange(_read_off(product, attention.layout), "k b h w -> b k h w")
        layers.append(LayerMaps(attention.name, maps.expand(-1, k, -1, -1)))
    return _selected_layers(request, layers)


def _read_off(product: Float[Tensor, "k b n n"], layout: Layout) -> Float[Tensor, "k b h w"]:
    """What the tokens that decide draw from each place: the class token, or all places together."""
    rows = product[:, :, : layout.prefix] if layout.prefix else product
    along = rows.mean(2)[:, :, layout.prefix :]
    return along.reshape(*along.shape[:2], *layout.size)


def _selected_layers(request: Request, layers: list[LayerMaps]) -> tuple[LayerMaps, ...]:
    """The layers that were asked for: a block's name chooses the attention inside it."""
    selection = request.layers
    if selection in (None, "all", "blocks", "convs"):
        return tuple(layers)
    if selection == "last":
        return tuple(layers[-1:])
    paths = [spec.path for spec in request.adapter.layers(selection)]
    blocks = [path.rpartition(".")[0] for path in paths]
    hits = [s for s in layers if any(s.layer.startswith(p) for p in (*paths, *blocks) if p)]
    if not hits:
        raise MethodError(
            f"no attention lies inside {selection!r}; it is read at {', '.join(s.layer for s in layers)}"
        )
    return tuple(hits)


def _identity(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], device=like.device)
