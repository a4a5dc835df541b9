"""The engine: one forward and at most one backward, reduced to maps as the gradients arrive.

What is reduced, and how, is handed in as pure functions; the engine knows no method's name.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.capture.cut import REMEDY, check_uncut, explain_failure
from sightline.capture.forward import run_forward
from sightline.capture.gather import Gatherer
from sightline.capture.pair import Pair
from sightline.capture.record import Record, Recorder, StaleStructureError
from sightline.common.modes import leave_as_found
from sightline.errors import LayerError, MethodError, TargetError
from sightline.models import Adapter, Layer, Structure, Wanted
from sightline.targets import Readout, Selector, Target, select_output
from sightline.targets.base import check_rows

log = logging.getLogger(__name__)

Reduction = Callable[[Pair], Float[Tensor, "b h w"]]
"""From activation and gradient of a layer, both `[b, c, h, w]` in float32, to a map."""

Backward = Callable[[Tensor, bool], list[Tensor]]
"""From a direction among the k scores, and whether the graph is needed again, to all maps."""

READ = "the layers that are read"

_OVERWRITTEN: WeakKeyDictionary[nn.Module, frozenset[str]] = WeakKeyDictionary()
"""Layers of each model that something overwrites in place.

A hint that saves the second pass and changes no value: what is copied in vain holds the same numbers.
"""


@dataclass(frozen=True)
class Plan:
    """What one capture is asked for.

    Args:
        target: the decision.
        layers: selection of layers, as `Structure.layers` takes it.
        reductions: name to pure function of a layer's activation and gradient.
        forward_only: names of the reductions that need no gradient; if all are, no backward is run.
        output: which part of the model's output holds the logits.
        labels: class names.
    """

    target: Target
    layers: Wanted = None
    reductions: Mapping[str, Reduction] = field(default_factory=dict)
    forward_only: frozenset[str] = frozenset()
    output: Selector | None = None
    labels: Sequence[str] | None = None

    @property
    def needs_gradient(self) -> bool:
        """Whether any reduction needs the backward."""
        return any(name not in self.forward_only for name in self.reductions)

    def part(self, raw: Any) -> Any:
        """What the target reads of what the model returned: the logits, or all of it."""
        return raw if self.target.wants_raw else select_output(raw, self.output)

    def read(self, raw: Any, count: int) -> Readout:
        """The scores in what the model returned for so many samples."""
        return check_rows(self.target.read(self.part(raw), self.labels), count)


@dataclass(frozen=True, eq=False)
class Capture:
    """What a forward and a backward gave, for a batch.

    Args:
        layers: the places that were read, in forward order.
        readout: the scores that were explained, detached.
        maps: `[b, k, h, w]` float32 maps by layer name and reduction name.
        cut: names of the layers to which the model lets no gradient come; maps that need one say nothing there.
    """

    layers: tuple[Layer, ...]
    readout: Readout
    maps: Mapping[tuple[str, str], Float[Tensor, "b k h w"]]
    cut: frozenset[str] = frozenset()


def capture(adapter: Adapter, inputs: Float[Tensor, "b c h w"], plan: Plan) -> Capture:
    """Run the model once forward, and once backward if a reduction needs it, and reduce what is read on the way.

    Args:
        adapter: the model.
        inputs: as the model takes them; they are not changed.
        plan: decision, layers and reductions.

    Raises:
        InputError, TargetError, LayerError: before the model runs where that can be known.
    """
    adapter.check_inputs(inputs)
    plan.target.check(adapter.classes, plan.labels)
    structure = adapter.structure(inputs)
    with leave_as_found(adapter.model, out_of_place=False):
        inputs = inputs.detach().clone()  # the model may write into it
        try:
            return _intact_run(adapter, structure, inputs, plan)
        except StaleStructureError as problem:
            log.info("the model computes otherwise than when it was recorded, at %s; it is recorded anew", problem)
    structure = adapter.structure(inputs, fresh=True)
    with leave_as_found(adapter.model, out_of_place=False):
        return _intact_run(adapter, structure, inputs, plan)


def _intact_run(adapter: Adapter, structure: Structure, inputs: Tensor, plan: Plan) -> Capture:
    """A run in which no activation was overwritten after it was read; if one was, it is copied in a second run."""
    copied = _OVERWRITTEN.get(adapter.model, frozenset())
    try:
        return _run(adapter, structure, inputs, plan, copied)
    except _OverwrittenError as problem:
        _OVERWRITTEN[adapter.model] = copied | problem.paths
        log.info("layers %s are overwritten in place; they are copied and the pass is repeated", problem.paths)
        return _run(adapter, structure, inputs, plan, copied | problem.paths)


class _OverwrittenError(Exception):
    """An in-place operation changed activations after they were read."""

    def __init__(self, paths: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(paths)))
        self.paths = paths


def _run(adapter: Adapter, structure: Structure, inputs: Tensor, plan: Plan, copied: frozenset[str]) -> Capture:
    specs = structure.layers(plan.layers)
    recorder = Recorder(adapter, structure, specs, inputs, gradients=plan.needs_gradient, copied=copied)
    with torch.set_grad_enabled(plan.needs_gradient), recorder.listening():
        raw = run_forward(adapter, inputs)
    layers = recorder.layers()
    overwritten = frozenset(record.spec.path for record in recorder.records if record.overwritten)
    if overwritten:
        raise _OverwrittenError(overwritten)
    readout = plan.read(raw, len(inputs))
    if plan.needs_gradient and not readout.scores.requires_grad:
        check_uncut(adapter, inputs, READ)
    # The caller's autocast is for the model: what is made of its numbers is made in float32.
    with torch.autocast(inputs.device.type, enabled=False) if _autocasts(inputs) else nullcontext():
        maps = _forward_maps(recorder.records, layers, plan, readout.scores.shape[1])
        try:
            maps |= _backward_maps(recorder, layers, plan, readout.scores) if plan.needs_gradient else {}
        except RuntimeError as problem:
            explain_failure(adapter, inputs, READ, problem)
    if plan.needs_gradient and not recorder.reached:
        check_uncut(adapter, inputs, READ)
    cut = frozenset(_cut_off(structure, recorder, layers)) if plan.needs_gradient else frozenset()
    return Capture(tuple(layers), _detached_readout(readout), maps, cut)


def _autocasts(inputs: Tensor) -> bool:
    return torch.is_autocast_enabled(inputs.device.type)


def _cut_off(structure: Structure, recorder: Recorder, layers: Sequence[Layer]) -> list[str]:
    """Layers that the output was made of and that no gradient reached: the model cuts the graph behind them.

    Raises:
        MethodError: one of them was asked for by name.
    """
    if len(structure.recording.output) != 1:
        return []  # they may lead to another output than the one that is explained
    names = []
    for record, layer in zip(recorder.records, layers, strict=True):
        site = structure.site(record.spec.path, record.spec.side, record.call)
        if record not in recorder.reached and site is not None and site.node in structure.leading:
            names.append(layer.name)
            if record.spec.explicit:
                raise MethodError(
                    f"no gradient of the decision reaches {layer.name!r}: the model cuts the graph behind it "
                    f"(no_grad, detach, or an operation without a gradient); {REMEDY}"
                )
    return names


def _forward_maps(
    records: Sequence[Record], layers: Sequence[Layer], plan: Plan, k: int
) -> dict[tuple[str, str], Tensor]:
    """Maps that need no gradient; they are the same for every target."""
    return {
        (layer.name, name): _unfolded(reduction(Pair.of(record)).detach()[:, None], layer).expand(
            -1, k, *[-1] * len(layer.grid)
        )
        for record, layer in zip(records, layers, strict=True)
        for name, reduction in plan.reductions.items()
        if name in plan.forward_only
    }


def _backward_maps(
    recorder: Recorder, layers: Sequence[Layer], plan: Plan, scores: Float[Tensor, "b k"]
) -> dict[tuple[str, str], Tensor]:
    """One backward from all k scores at once; each layer's gradient is reduced and dropped as it arrives."""
    records = recorder.records
    starts = [(record, record.leaf) for record in records if record.leaf is not None]
    if not starts or not scores.requires_grad:
        raise LayerError("the decision does not depend on any layer that was asked for; ask for earlier layers")
    reductions = {name: fn for name, fn in plan.reductions.items() if name not in plan.forward_only}

    def backward(direction: Float[Tensor, " k"], keep: bool) -> list[Tensor]:
        """Maps of the decision `scores @ direction`, one per record and reduction."""
        gatherer = Gatherer(list(reductions.values()))
        recorder.arrive = gatherer.add
        # Only the leaves are asked for: layers further up hand over their gradient by a hook as it passes by.
        gradients = torch.autograd.grad(
            scores,
            [leaf for _, leaf in starts],
            grad_outputs=direction.to(scores.dtype).expand_as(scores),
            allow_unused=True,
            retain_graph=keep,
        )
        for (record, _), gradient in zip(starts, gradients, strict=True):
            if gradient is not None:
                gatherer.add(record, gradient)
        maps = gatherer.maps()
        recorder.reached.update(maps)
        return [m for record in records for m in maps.get(record) or _zero_maps(record, len(reductions))]

    directions = torch.eye(scores.shape[1], dtype=torch.float32, device=scores.device)
    keys = [(layer, name) for layer in layers for name in reductions]
    maps = zip(keys, _for_each(backward, directions), strict=True)
    return {(layer.name, name): _unfolded(values, layer) for (layer, name), values in maps}


def _unfolded(maps: Float[Tensor, "b k h w"], layer: Layer) -> Float[Tensor, "b k *places"]:
    """Maps with all their axes of places again."""
    return maps if len(layer.grid) == 2 else maps.reshape(*maps.shape[:2], *layer.grid)


def _for_each(backward: Backward, directions: Float[Tensor, "k k"]) -> list[Float[Tensor, "b k h w"]]:
    """`backward` for each of k directions, as one batched call; one by one where an operation cannot be batched."""
    k = len(directions)
    if k == 1:
        return [maps[:, None] for maps in backward(directions[0], False)]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")
            return [maps.movedim(0, 1) for maps in torch.func.vmap(lambda d: backward(d, True))(directions)]
    except RuntimeError as problem:
        if "vmap" not in str(problem) and "batching rule" not in str(problem):
            raise
        log.info("the backward cannot be batched (%s); the targets are taken one by one", problem)
    each = [backward(direction, i + 1 < k) for i, direction in enumerate(directions)]
    return [torch.stack(maps, 1) for maps in zip(*each, strict=True)]


def _zero_maps(record: Record, count: int) -> list[Tensor]:
    """Zero maps for a layer that no path connects with the decision: its gradient is zero."""
    batch = record.batch
    size = (record.layout.height, record.layout.width)
    return [torch.zeros(batch, *size, dtype=torch.float32, device=record.activation.device)] * count


def _detached_readout(readout: Readout) -> Readout:
    if not readout.scores.isfinite().all():
        log.warning("the model returned scores that are not finite")
    if not readout.scores.numel():
        raise TargetError("the target read no score off the model's output")
    return replace(readout, scores=readout.scores.detach().float())
