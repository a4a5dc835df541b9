"""From a network and pictures to what an audit looks at: one pass, class maps, peaks, contributions, features.

Knows examples and networks, not the detectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.metrics.masks import centred_gaussian
from sightline.tasks.attributes.audit import Observations
from sightline.tasks.attributes.data.examples import Examples, object_shares
from sightline.tasks.attributes.data.places import NOWHERE
from sightline.tasks.attributes.explain.contributions import linear_contributions, sensitivity_contributions
from sightline.tasks.attributes.metrics.energy import NOTHING, mean_of_others, shares_on
from sightline.tasks.attributes.metrics.pointing import own_points
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.network.net import AttributeNet, AttributeOutput
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.tasks.attributes.train.guidance import class_maps
from sightline.tasks.attributes.train.labelled import LabelControl, flagged

WIDE = 16
"""Widths of the centred Gaussian among which the one as sharp as a map is looked for."""


@dataclass(frozen=True, eq=False)
class _Pass:
    """What one batch gave."""

    classes: Tensor
    logits: Tensor
    probabilities: Tensor
    pooled: Tensor
    contributions: Tensor
    maps: Tensor
    inside: Tensor
    prior: Tensor
    part_attention: Tensor
    areas: Tensor


def observe(
    net: AttributeNet,
    examples: Examples,
    names: tuple[str, ...],
    *,
    trained: Tensor | None = None,
    batch: int = 32,
    step: Callable[[int], None] = lambda done: None,
) -> Observations:
    """Run a network over pictures.

    Args:
        net: network with its calibration; where that is empty, means are taken over these pictures.
        examples: the pictures and their labels.
        names: names of the pictures.
        trained: whether the network was trained on each picture.
        batch: pictures per forward.
        step: called with the number of pictures that are done.
    """
    masked = bool((examples.parts != NOWHERE).any())
    parted = masked and any(own_points(net.spec.vocabulary, examples.part_names))
    parts = list(_passes(net.eval(), examples, batch, step))
    tables = {name: torch.cat([getattr(one, name) for one in parts]) for name in _Pass.__dataclass_fields__}
    several = _several(net, examples, tables, trained) if isinstance(net, LabelledAttributeNet) else {}
    tables |= _energies(tables["maps"], tables["inside"])
    if several:  # where no label is flagged there is no decision whose map could be judged
        likeliest = several["flags"].gather(1, tables["classes"].argmax(1, keepdim=True))[:, 0]
        tables["energy"] = tables["energy"].masked_fill(likeliest == 0, torch.nan)
    return Observations(
        vocabulary=net.spec.vocabulary,
        classes=net.spec.classes,
        join=net.spec.join,
        class_logits=tables["classes"],
        probabilities=tables["probabilities"],
        targets=examples.targets,
        weights=examples.weights,
        labels=torch.full((len(examples),), -1) if several else examples.labels,
        names=names,
        head=_head(net),
        contributions=None if bool(tables["contributions"].isnan().all()) else tables["contributions"],
        features=torch.cat([tables["pooled"], tables["logits"]], dim=1),
        trained=trained,
        energy=tables["energy"] if masked else None,
        prior=tables["prior"] if masked else None,
        mean_map=tables["mean_map"] if masked else None,
        area=tables["inside"].mean((1, 2)) if masked else None,
        maps=tables["maps"],
        skill=net.skill,
        calibration=net.calibration,
        part_attention=tables["part_attention"] if parted else None,
        part_names=examples.part_names if parted else (),
        part_areas=tables["areas"] if parted else None,
        **several,
    )


def _several(
    net: LabelledAttributeNet, examples: Examples, tables: dict[str, Tensor], trained: Tensor | None
) -> dict[str, Tensor]:
    """The labels, those that reach their thresholds, and what these alone imply of the attributes."""
    flags = flagged(tables["classes"], net.points)
    own = examples if trained is None or not bool(trained.any()) else examples.take(torch.nonzero(trained)[:, 0])
    implied = LabelControl(own.labels, own.targets, own.weights).of(flags)
    return {"label_table": examples.labels, "flags": flags, "implied": implied}


def _head(net: AttributeNet) -> Tensor | None:
    layer = net.class_head.of_attributes
    return None if layer is None else layer.weight.detach()


def _passes(net: AttributeNet, examples: Examples, batch: int, step: Callable[[int], None]) -> Iterator[_Pass]:
    several = isinstance(net, LabelledAttributeNet)
    for at in range(0, len(examples), batch):
        some = examples.take(slice(at, at + batch))
        with torch.no_grad():  # gradients stop at the last features: the trunk keeps nothing
            features, finer = net.trunk.levels(normalised(net, some.images), net.levels)
        with torch.enable_grad():
            reading = net.read_features(features.detach().requires_grad_(), finer)
            # labels do not replace one another: what the likeliest is held against is nothing
            top = reading.classes.topk(1 if several else 2, dim=1)
            maps = class_maps(top.values[:, 0], reading.features).detach()
            margin = 2 * top.values[:, 0] - top.values.sum(1)
            slope = torch.autograd.grad(margin.sum(), reading.features)[0].sum((2, 3))
        with torch.no_grad():
            inside = object_shares(some.parts, (maps.shape[1], maps.shape[2]))
            yield _Pass(
                reading.classes.detach(),
                reading.logits.detach(),
                reading.probabilities.detach(),
                reading.features.detach().mean((2, 3)),
                _contributions(net, reading, top.indices, slope),
                maps,
                inside,
                _prior(maps, inside),
                *_part_attention(net, reading, some),
            )
        step(len(some))


def _contributions(net: AttributeNet, reading: AttributeOutput, top: Tensor, slope: Tensor) -> Float[Tensor, "b k"]:
    """To the margin of the first class over the second: exact through the head, by direction where there is none."""
    head, calibration = _head(net), net.calibration
    probabilities, logits = reading.probabilities.detach(), reading.logits.detach()
    if top.shape[1] < 2:
        return torch.full_like(probabilities, torch.nan)
    if head is not None:
        return linear_contributions(head, probabilities, calibration.mean, target=top[:, 0], against=top[:, 1])
    weights = net.attribute_head.what.weight.detach()
    if weights.shape[1] != slope.shape[1]:  # attributes are read off finer features than the class
        return torch.full_like(probabilities, torch.nan)
    return sensitivity_contributions(slope, weights, logits, calibration.mean_logit)


def _energies(maps: Float[Tensor, "n h w"], inside: Float[Tensor, "n h w"]) -> dict[str, Tensor]:
    """Share on the object of each map, and of the mean map of all others."""
    total = maps.sum((1, 2))
    measurable = (total > 0) & (inside.sum((1, 2)) > 0)
    scaled = maps / total.clamp(min=NOTHING)[:, None, None]
    nothing = torch.full_like(total, torch.nan)
    shares = {"energy": torch.where(measurable, shares_on(scaled, inside), nothing), "mean_map": nothing}
    # pictures without a map or an object are no part of any mean
    if int(measurable.sum()) > 1:
        judged, objects = scaled[measurable], inside[measurable]
        shares["mean_map"] = nothing.masked_scatter(measurable, shares_on(mean_of_others(judged), objects))
    return shares


def _prior(maps: Float[Tensor, "b h w"], inside: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Share on the object of the centred Gaussian that is as wide as each map."""
    total = maps.sum((1, 2))
    widths = torch.linspace(0.05, 0.6, WIDE)
    priors = torch.stack([centred_gaussian((maps.shape[1], maps.shape[2]), width=float(width)) for width in widths])
    # the sum of squares of a map that sums to 1 tells its width: the Gaussian with the nearest one is as wide
    sharpness = priors.flatten(1).square().sum(1)
    own = maps.flatten(1).square().sum(1) / total.clamp(min=NOTHING).square()
    chosen = priors[(sharpness[None] - own[:, None]).abs().argmin(1)]
    return torch.where((total > 0) & (inside.sum((1, 2)) > 0), (chosen * inside).sum((1, 2)), torch.nan)


def _part_attention(net: AttributeNet, reading: AttributeOutput, some: Examples) -> tuple[Tensor, Tensor]:
    """Share of each part in the cell where each group's likeliest attribute peaks, and each part's of the object."""
    groups, count = net.spec.vocabulary.groups, len(some.part_names)
    probabilities = reading.probabilities.detach()
    chosen = torch.stack(
        [torch.tensor(g.members)[probabilities[:, list(g.members)].argmax(1)] for g in groups], dim=1
    )
    attention = net.attribute_head.part_attention(reading.attributes, chosen).detach()
    masks = torch.stack([(some.parts == p).float() for p in range(1, count + 1)], dim=1)
    cells = fn.adaptive_avg_pool2d(masks, (attention.shape[2], attention.shape[3])).flatten(2)
    peaks = attention.flatten(2).argmax(2)
    under = cells[:, None].expand(-1, len(groups), -1, -1).gather(3, peaks[..., None, None].expand(-1, -1, count, 1))
    marked = (some.parts != NOWHERE).flatten(1).any(1)
    areas = masks.mean((2, 3))
    areas = areas / areas.sum(1, keepdim=True).clamp(min=1e-9)
    return torch.where(marked[:, None, None], under[..., 0], torch.nan), areas
