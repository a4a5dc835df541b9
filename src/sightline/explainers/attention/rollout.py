"""Attention flow through transformers: rollout, and attention weighted by its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import LayerError, MethodError
from sightline.explainers.attention.reading import Attention, AttentionReading, Mean, even, read_attention
from sightline.explainers.attention.sinks import OPTION, drops_sinks
from sightline.explainers.attention.trail import Trail
from sightline.explainers.method import LayerMaps, Outcome, Request, own_pass


@own_pass(
    name="rollout",
    title="Attention rollout",
    family="Attention",
    needs="attention",
    equation="R_l = (I + mean_h A_l)/2 R_(l-1),  map = mean of the rows that decide",
    source="abnar2020rollout",
    cost="1 forward",
    options={"sinks": OPTION},
    models="transformers with attention over all places",
    no_input="attention lies between tokens",
)
@torch.no_grad()
def rollout(request: Request) -> Outcome:
    """Attention of all layers multiplied through, half of it the residual path [abnar2020rollout].

    The decision matters only through the tokens that reach it: the class token, or the mean of all places.
    """
    reading = read_attention(request)
    means = [
        _shares(attention, kept) for attention, kept in zip(reading.attentions, _kept(request, reading), strict=True)
    ]
    return _outcome(request, reading, lambda i: means[i], 0.5)


@own_pass(
    name="gradrollout",
    title="Gradient-weighted attention",
    family="Attention",
    needs="attention",
    equation="R_l = (I + mean_h relu(G_l * A_l)) R_(l-1),  map = mean of the rows that decide",
    source="chefer2021generic",
    cost="1 forward + 1 backward per target",
    options={"sinks": OPTION},
    models="transformers with attention over all places",
    no_input="attention lies between tokens",
)
@torch.no_grad()
def gradient_rollout(request: Request) -> Outcome:
    """Rollout of attention x its positive gradient, so that heads count as they spoke [chefer2021generic]."""
    reading = read_attention(request)
    each = [reading.gradients(k) for k in range(len(reading.starts))]
    means = [
        torch.stack([(gradients[i] * attention.weights).relu().mean(1) * kept for gradients in each])
        for i, (attention, kept) in enumerate(zip(reading.attentions, _kept(request, reading), strict=True))
    ]
    return _outcome(request, reading, lambda i: means[i], 1.0)


def _kept(request: Request, reading: AttentionReading) -> list[Float[Tensor, "b 1 n"]]:
    """By attention, 1 for the tokens that are read, 0 for those that are left out."""
    ones = [torch.ones_like(attention.weights[:, 0, :1]) for attention in reading.attentions]
    if not drops_sinks(request):
        return ones
    left_out = [
        reading.registers(attention) | reading.on_tokens(sinks, attention)
        for attention, sinks in zip(reading.attentions, reading.sinks, strict=True)
    ]
    return [one * ~mask[:, None] for one, mask in zip(ones, left_out, strict=True)]


def _shares(attention: Attention, kept: Float[Tensor, "b 1 n"]) -> Float[Tensor, "1 b q n"]:
    """Mean over heads; rows sum to one. What is negative where heads are mixed behind the soft-max is no share."""
    mean = attention.weights.mean(1).relu() * kept
    return (mean / mean.sum(-1, keepdim=True).clamp_min(torch.finfo(mean.dtype).tiny))[None]


@dataclass
class Chain:
    """The product of the matrices up to each attention.

    Args:
        reading: the forward pass.
        mean: each attention's weights as the method counts them.
        scale: what the sum of weights and residual path is multiplied by.
    """

    reading: AttentionReading
    mean: Mean
    scale: float

    def maps(self) -> list[Float[Tensor, "k b *places"]]:
        """What the tokens that decide draw from each place, up to each attention.

        Raises:
            LayerError: tokens were dropped, merged or taken from elsewhere between two attentions.
        """
        maps, last = [], self.reading.attentions[-1]
        queries = last.weights.shape[-2]
        product: Tensor | None = None
        latest = 0
        for i, attention in enumerate(self.reading.attentions):
            n = attention.weights.shape[-1]
            rows = n if product is None else product.shape[2]
            if not self.reading.joins(rows, n):
                raise LayerError(self.reading.broken(attention, rows))
            product, latest = self._step(i, product, latest)
            # Until the tokens that decide have joined, all places together stand for them.
            decides = product.shape[2] == queries or (latest == queries and latest < product.shape[2])
            maps.append(self.reading.to_grid(_read_off(product, self.reading.deciding if decides else None)))
        return maps

    def _step(self, i: int, product: Tensor | None, latest: int) -> tuple[Tensor, int]:
        """One more attention; and how many tokens in front have joined for it or before."""
        A = self.mean(i)
        q, n = A.shape[-2:]
        if product is None:
            return ((A + _identity(A)) * self.scale if q == n else A), latest
        if n > product.shape[2]:
            # Class tokens that join late have read nothing yet.
            latest = n - product.shape[2]
            new = product.new_zeros(*product.shape[:2], latest, product.shape[3])
            product = torch.cat([new, product], 2)
        if q == n:
            return (A + _identity(A)) * self.scale @ product, latest
        if latest != q:
            return A @ product, latest
        own = (A + _identity(A)[:q]) * self.scale
        tokens, places = (own @ product), product[:, :, q:].expand(len(A), -1, -1, -1)
        return torch.cat([tokens, places], 2), latest


def _read_off(product: Float[Tensor, "k b q n"], deciding: Float[Tensor, "b q"] | None) -> Float[Tensor, "k b n"]:
    """The mean of the rows that decide; all rows where that is not known."""
    if deciding is None:
        return product.mean(2)
    rows = product[:, :, : deciding.shape[1]]
    return rows[:, :, deciding[0] > 0].mean(2) if even(deciding) else (rows * deciding[..., None]).sum(2)


def _outcome(request: Request, reading: AttentionReading, mean: Mean, scale: float) -> Outcome:
    """Maps of the chain of attentions; where there is no chain, such as from image to text, of the trail."""
    k = reading.readout.scores.shape[1]
    trail = Trail(reading, mean, scale)
    remarks: tuple[str, ...] = (who_decides(reading),)
    if trail.is_chain:
        each = _by_target(Chain(reading, mean, scale).maps(), k)
        layers = [blanked(request, reading, i, maps) for i, maps in enumerate(each)]
    else:
        each, remarks = _by_target(trail.maps(), k), (*remarks, *trail.remarks())
        layers = [LayerMaps(own.name, maps) for own, maps in zip(reading.attentions, each, strict=True)]
    samples = len(reading.readout.scores)
    return Outcome(reading.readout, selected_layers(request, layers), tuple((remarks,) * k for _ in range(samples)))


def _by_target(maps: Sequence[Float[Tensor, "k b *places"]], k: int) -> list[Float[Tensor, "b k *places"]]:
    """Samples first; what is the same for all decisions is there for each."""
    return [own.movedim(0, 1).expand(-1, k, *[-1] * (own.ndim - 2)) for own in maps]


def blanked(request: Request, reading: AttentionReading, i: int, maps: Float[Tensor, "b k *places"]) -> LayerMaps:
    """Maps of an attention with what is known of its registers and sinks; sinks are zero if they are left out."""
    sinks = torch.stack(reading.sinks[: i + 1]).any(0)
    return LayerMaps(
        reading.attentions[i].name, maps * ~sinks[:, None] if drops_sinks(request) else maps, reading.notes(i)
    )


def who_decides(reading: AttentionReading) -> str:
    """Which tokens the map is read from, in a sentence."""
    deciding, prefix = reading.deciding[0], reading.layout.prefix
    front = float(deciding[:prefix].sum())
    if len(deciding) == 1:
        return "Read from the one token that pools all others."
    numbers = deciding.nonzero().flatten().tolist()
    if len(numbers) == 1:
        return f"Read from the one token that reaches the decision, number {numbers[0]}."
    if len(numbers) <= prefix:
        return f"Read from the tokens that reach the decision, numbers {', '.join(map(str, numbers))}."
    if 0 < front < 1 and not even(reading.deciding):
        return f"Read from tokens before the grid, {front:.0%}, and from the mean of the places."
    rows, columns = reading.attentions[-1].weights.shape[-2:]
    if rows == columns:
        return f"Read from the mean of the {len(numbers)} tokens that reach the decision, of {len(deciding)}."
    return (  # attention from something else to the places
        f"Read from the mean of {len(numbers)} of the {len(deciding)} queries of the attention, those that reach the "
        "decision. A query here is not a place of the map: it may be a segment of sound, a word or a latent token."
    )


def selected_layers(request: Request, layers: Sequence[LayerMaps]) -> tuple[LayerMaps, ...]:
    """The layers that were asked for: a block's name chooses the attention inside it.

    Raises:
        MethodError: no attention lies inside what was asked for.
    """
    selection = request.layers
    if selection in (None, "all", "blocks", "convs"):
        return tuple(layers)
    if selection == "last":
        return tuple(layers[-1:])
    paths = [spec.path for spec in request.adapter.layers(request.inputs, selection)]
    blocks = [path.rpartition(".")[0] for path in paths]
    hits = [s for s in layers if any(s.layer.startswith(p) for p in (*paths, *blocks) if p)]
    if not hits:
        raise MethodError(
            f"no attention lies inside {selection!r}; it is read at {', '.join(s.layer for s in layers)}"
        )
    return tuple(hits)


def _identity(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
