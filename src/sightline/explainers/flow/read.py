"""One forward on a tape, with the layers of the model found on it, ready for a walk back from a decision."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sightline.capture.cut import describe_cut
from sightline.capture.engine import Plan
from sightline.capture.forward import run_forward
from sightline.capture.record import Record, Recorder
from sightline.common.modes import leave_as_found
from sightline.common.nested import mapped, parts_of
from sightline.errors import LayerError, ModelError
from sightline.explainers.flow.affine import Step, fused
from sightline.explainers.flow.facts import Facts
from sightline.explainers.flow.tape import Node, Tape, recording, usable
from sightline.explainers.flow.walk import plainly
from sightline.explainers.method import Request
from sightline.models import Adapter, Layer
from sightline.targets import Readout


@dataclass(frozen=True, eq=False)
class Reading:
    """A forward pass, ready to be walked back.

    Args:
        tape: the recorded operations and their values.
        steps: its calls, affine maps fused.
        facts: what is known of its nodes.
        layers: the places that are read, in forward order.
        nodes: node of each layer.
        readout: the scores, detached.
        starts: gradient of the score at each output node, for each of the k decisions.
        moved: names of layers that are read behind the batch norm that follows, being one map with it.
    """

    tape: Tape
    steps: list[Step]
    facts: Facts
    layers: tuple[Layer, ...]
    nodes: tuple[Node, ...]
    readout: Readout
    starts: tuple[dict[Node, Tensor], ...]
    moved: tuple[str, ...]


def read(request: Request) -> Reading:
    """Run the model once, in eval mode and out of place, and write down what it does.

    Raises:
        ModelError: the model's output does not depend on its input, or not in a way that can be followed.
        LayerError: a layer that was named did not run or holds no grid.
    """
    plan = Plan(request.target, output=request.output, labels=request.labels)
    structure = request.adapter.structure(request.inputs)
    specs = structure.layers(None if request.layers in (None, "all", "last") else request.layers)
    with leave_as_found(request.adapter.model):
        inputs = request.inputs.detach().clone()
        recorder = Recorder(request.adapter, structure, specs, inputs, gradients=False)
        with recorder.listening(), recording(inputs) as tape:
            raw = run_forward(request.adapter, inputs)
        layers = recorder.layers()
    with plainly(inputs.device):
        readout, starts = decision_starts(tape, plan, raw, inputs, request.adapter)
        nodes = [_node(tape, record, layer) for record, layer in zip(recorder.records, layers, strict=True)]
        tape.leave_inference()
        steps, inside = fused(tape)
    if request.layers == "last":
        layers, nodes = layers[-1:], nodes[-1:]
    moved = tuple(layer.name for layer, node in zip(layers, nodes, strict=True) if node in inside)
    nodes = [inside.get(node, node) for node in nodes]
    return Reading(
        tape, steps, Facts(steps, len(request.inputs)), tuple(layers), tuple(nodes), readout, starts, moved
    )


def _node(tape: Tape, record: Record, layer: Layer) -> Node:
    node = tape.node_then(record.activation, record.version)
    if node is None:
        raise LayerError(f"the layer {layer.name!r} does not depend on the input, or was overwritten; leave it out")
    return node


def decision_starts(
    tape: Tape, plan: Plan, raw: object, inputs: Tensor, adapter: Adapter
) -> tuple[Readout, tuple[dict[Node, Tensor], ...]]:
    """The scores, and the gradient of each with respect to what the model returned.

    Raises:
        ModelError: the scores do not depend on the input, as far as can be followed.
    """
    leaves: dict[Node, Tensor] = {}

    def leaf(output: Tensor) -> Tensor:
        node = tape.node(output) if output.is_floating_point() else None
        return output if node is None else leaves.setdefault(node, usable(output).detach().requires_grad_())

    with torch.enable_grad():
        readout = plan.read(mapped(raw, leaf, parts_of), len(inputs))
        differentiable = bool(leaves) and readout.scores.requires_grad
        starts = []
        for k in range(readout.scores.shape[1] if differentiable else 0):
            gradients = torch.autograd.grad(
                readout.scores[:, k].sum(), list(leaves.values()), retain_graph=True, allow_unused=True
            )
            starts.append({n: g for n, g in zip(leaves, gradients, strict=True) if g is not None})
    if not all(starts) or not differentiable:
        cut = describe_cut(adapter, inputs)
        why = f": {cut}; keep to operations of torch there" if cut else ""
        raise ModelError(f"the decision does not depend on the input, so there is nothing to follow{why}")
    return replace(readout, scores=readout.scores.detach().float()), tuple(starts)
