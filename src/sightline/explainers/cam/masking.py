"""CAMs that ask the model instead of its gradient: Score-CAM and Ablation-CAM, with grouped channels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.capture import Pair, capture
from sightline.capture.engine import Plan
from sightline.capture.probe import ForwardProbe
from sightline.errors import MethodError
from sightline.explainers.cam.groups import Groups, group_channels
from sightline.explainers.method import LayerMaps, Outcome, Request, own_pass
from sightline.explainers.places import over_channels
from sightline.models import LayerSpec
from sightline.targets import Readout

GROUPS = 32
OPTIONS = {"groups": f"number of channel groups per layer, {GROUPS} by default; 0 is one per channel (no error)"}

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""How masks are enlarged to the input, by the number of place axes."""

Weigh = Callable[[ForwardProbe, Readout, LayerSpec, Float[Tensor, "b c ..."], list[Groups]], Float[Tensor, "b k c"]]
"""From a layer's activations and channel groups to a weight for each channel, target and sample."""


@own_pass(
    name="scorecam",
    title="Score-CAM",
    family="CAM by masking",
    needs="forwards",
    equation="relu( sum_c softmax_c( y(x * H_c) ) A[c,i] ),  H_c = A_c upsampled and scaled to 0..1",
    source="wang2020scorecam",
    cost="2 + groups forwards per layer",
    layers="last",
    options=OPTIONS,
    no_input="it masks by channels of a layer, and those of the input are colours",
)
def scorecam(request: Request) -> Outcome:
    """Channels weighted by the score of the input seen through them [wang2020scorecam].

    Channels are grouped by likeness; channels of a group share one mask, and the soft-max still runs over channels.
    The baseline that the paper subtracts is the same for every channel and cancels in the soft-max.
    """
    return _by_masking(request, _score_weights, lambda a: _unit(a[None])[0])


@own_pass(
    name="ablationcam",
    title="Ablation-CAM",
    family="CAM by masking",
    needs="forwards",
    equation="relu( sum_c ( (y - y without c) / |y| ) A[c,i] )",
    source="ramaswamy2020ablationcam",
    cost="2 + groups forwards per layer",
    layers="last",
    options=OPTIONS,
    no_input="it masks by channels of a layer, and those of the input are colours",
)
def ablationcam(request: Request) -> Outcome:
    """Channels weighted by the drop of the score when they are zeroed [ramaswamy2020ablationcam].

    Channels are grouped by likeness and zeroed together; each gets an equal share of the group's drop.
    """
    return _by_masking(request, _ablation_weights, lambda a: a)


def _by_masking(request: Request, weigh: Weigh, profile: Callable[[Tensor], Tensor]) -> Outcome:
    """The frame of both: read the activations, group channels, weigh them, sum them up."""
    count = request.count("groups", GROUPS)
    if count < 0:
        raise MethodError(f"the number of groups must be 0 or more, not {count}")
    plan = Plan(request.target, output=request.output, labels=request.labels)
    readout, probe = ForwardProbe(request.adapter, request.inputs, plan, request.batch_size).decide()
    layers = []
    for name, spec, activation in _activations(request, readout):
        with _in_float32(activation):
            groups = [
                group_channels(profile(sample).flatten(1), count or len(sample), seed=request.seed)
                for sample in activation
            ]
        weights = weigh(probe, readout, spec, activation, groups)
        with _in_float32(activation):
            maps = torch.einsum("bkc,bcn->bkn", weights, activation.flatten(2)).relu()
        maps = maps.reshape(*maps.shape[:2], *activation.shape[2:])
        lost = torch.tensor([g.error for g in groups], device=maps.device)
        used = torch.tensor([float(len(g.sizes)) for g in groups], device=maps.device)
        layers.append(LayerMaps(name, maps, {"grouping_error": lost, "groups": used}))
    return Outcome(readout, tuple(layers))


def _activations(request: Request, readout: Readout) -> list[tuple[str, LayerSpec, Float[Tensor, "b c ..."]]]:
    """Activations of the wanted layers over their places, by a forward whose `reduction` keeps them."""
    activations: list[Tensor] = []

    def keep(pair: Pair) -> Tensor:
        activations.append(pair.A)
        return pair.A[:, 0]

    layers = request.layers or "last"
    plan = Plan(request.target, layers, {"kept": keep}, frozenset({"kept"}), request.output, request.labels)
    result = capture(request.adapter, request.inputs, plan)
    calls = [LayerSpec(s.spec.path, s.spec.side, _call(s.name), True) for s in result.layers]
    kept = zip(result.layers, calls, activations, strict=True)
    return [(layer.name, spec, a.reshape(*a.shape[:2], *layer.grid)) for layer, spec, a in kept]


def _in_float32(x: Tensor) -> AbstractContextManager[Any]:
    """The caller's autocast is for the model, not for what is made of its numbers."""
    return torch.autocast(x.device.type, enabled=False)


def _call(name: str) -> int | None:
    number = name.partition(":")[2]
    return int(number) if number else None


def _score_weights(
    probe: ForwardProbe, readout: Readout, spec: LayerSpec, activation: Tensor, groups: list[Groups]
) -> Float[Tensor, "b k c"]:
    """Soft-max over channels of the score of the input seen through each channel's mask."""
    most = max(len(g.sizes) for g in groups)
    structure = probe.adapter.structure(probe.inputs)
    grid, size = activation.shape[2:], structure.places
    small = torch.stack([_padded(g.centres, most).reshape(most, *grid) for g in groups], 1)

    def masked(part: slice) -> Tensor:
        with _in_float32(small):
            masks = _unit(F.interpolate(small[part], size=size, mode=MODES[len(size)], align_corners=False))
        spread = over_channels(structure, masks.flatten(0, 1)).to(probe.inputs.dtype)
        return probe.inputs * spread.reshape(*masks.shape[:2], *spread.shape[1:])

    scores = probe.scores(masked, most)
    of_channel = torch.stack([scores[g.of, i] for i, g in enumerate(groups)])
    return of_channel.softmax(1).movedim(1, 2)


def _ablation_weights(
    probe: ForwardProbe, readout: Readout, spec: LayerSpec, activation: Tensor, groups: list[Groups]
) -> Float[Tensor, "b k c"]:
    """Relative drop of the score without each channel's group, shared equally among its channels."""
    most = max(len(g.sizes) for g in groups)
    keep = torch.stack([(_padded_index(g, most) != g.of).float() for g in groups], 1)
    scores = probe.scores_without(spec, keep)
    whole = readout.scores.float()
    drop = (whole - scores) / whole.abs().clamp_min(1e-12)
    shared = [drop[g.of, i] / g.sizes[g.of][:, None] for i, g in enumerate(groups)]
    return torch.stack(shared).movedim(1, 2)


def _padded_index(groups: Groups, most: int) -> Tensor:
    return torch.arange(most, device=groups.of.device)[:, None]


def _padded(centres: Float[Tensor, "g n"], most: int) -> Float[Tensor, "most n"]:
    """Zero rows up to the number of groups of the other samples."""
    return F.pad(centres, (0, 0, 0, most - len(centres)))


def _unit(maps: Float[Tensor, "b m ..."]) -> Float[Tensor, "b m ..."]:
    """Each map shifted and scaled to 0..1; a flat one becomes zero."""
    places = tuple(range(2, maps.ndim))
    low, high = maps.amin(places, keepdim=True), maps.amax(places, keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-12)
