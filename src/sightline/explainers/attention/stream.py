"""The tokens between blocks: nodes that everything from one attention to the decision goes through.

Behind a block stands one tensor of tokens; what follows reads nothing else that the block made. So it can be handed
to the end of the network in place of the last block's tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor
from torch.utils._pytree import tree_flatten

from sightline.explainers.attention.pattern import Product, makers_of
from sightline.explainers.flow.affine import Step
from sightline.explainers.flow.tape import Node, Tape
from sightline.explainers.flow.walk import inputs_of, leading_to, outputs_of


def tokens_behind(
    tape: Tape, steps: Sequence[Step], products: Sequence[Product], ends: Collection[Node]
) -> list[Node | None]:
    """The node of the tokens behind each attention's block; None where none can stand for the last one's.

    Args:
        tape: the forward pass.
        steps: its steps.
        products: attentions among the same number of tokens, in forward order.
        ends: nodes that the decision reads.
    """
    makers = makers_of(steps)
    narrow = [bottlenecks(steps, product.out, ends) for product in products]
    behind: list[Node | None] = []
    for nodes, following in zip(narrow, products[1:], strict=False):
        before = [node for node in nodes if makers[node] < following.source and _reads(steps, node, following)]
        behind.append(before[-1] if before else None)
    pattern = next((node for node in reversed(behind) if node is not None), None)
    if pattern is None:
        return [*behind, None]
    like = [node for node in narrow[-1] if _kind(tape, steps, makers, node) == _kind(tape, steps, makers, pattern)]
    last = like[-1] if like else None
    shape = None if last is None else tape.value(last).shape
    return [node if node is not None and tape.value(node).shape == shape else None for node in [*behind, last]]


def bottlenecks(steps: Sequence[Step], start: Node, ends: Collection[Node]) -> list[Node]:
    """Nodes that every path from `start` to the ends goes through, in forward order."""
    useful = _useful(steps, ends) & leading_to({start}, steps)
    last_reader: dict[Node, int] = dict.fromkeys(useful & set(ends), len(steps))
    for i, step in enumerate(steps):
        if any(node in useful for node in outputs_of(step)):
            last_reader.update((node, max(i, last_reader.get(node, 0))) for node in inputs_of(step) if node in useful)
    alive: set[Node] = set()
    nodes = []
    for i, step in enumerate(steps):
        alive -= {node for node in alive if last_reader.get(node, -1) <= i}
        alive.update(node for node in outputs_of(step) if node in useful)
        nodes += [node for node in outputs_of(step) if node is not None and alive == {node}]
    return nodes


def _useful(steps: Sequence[Step], ends: Collection[Node]) -> set[Node]:
    """Nodes from which the ends are computed."""
    useful = set(ends)
    for step in reversed(steps):
        if any(node in useful for node in outputs_of(step)):
            useful.update(inputs_of(step))
    return useful


def _reads(steps: Sequence[Step], node: Node, product: Product) -> bool:
    return product.weights in leading_to({node}, steps)


def _kind(tape: Tape, steps: Sequence[Step], makers: Mapping[Node, int], node: Node) -> tuple[object, ...]:
    """What makes a node, and of which shape: alike behind every block."""
    step = steps[makers[node]]
    return getattr(step, "name", type(step).__name__), len(inputs_of(step)), tape.value(node).shape


def replayed(tape: Tape, node: Node, value: Tensor) -> dict[Node, Tensor]:
    """What the network computes behind a node if another value stands there; only what depends on it."""
    values = {node: value}
    for call in tape.calls:
        if node in call.outputs or not any(source in values for source in call.inputs):
            continue
        results = tree_flatten(call.run([values.get(source, tape.value(source)) for source in call.inputs]))[0]
        values.update((n, r) for n, r in zip(call.outputs, results, strict=True) if n is not None)
    return values
