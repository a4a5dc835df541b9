"""Finding attention on a tape: shares of a soft-max that are multiplied with values, whatever the module is called.

Nothing is read off a name or a class: a node is a share if a soft-max or sigmoid made it, and stays one while it is
moved, scaled, masked or mixed over heads. Where a batched product takes such a node, that is an attention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.explainers.flow.affine import Affine, Convolution, Diagonal, Step
from sightline.explainers.flow.facts import MOVING, SQUASHING
from sightline.explainers.flow.tape import Call, Node, Tape
from sightline.explainers.flow.walk import inputs_of, outputs_of


@dataclass(frozen=True, eq=False)
class Product:
    """One attention on a tape: `out = weights @ values`, all three batched over samples and heads.

    Args:
        source: index of the step that made the shares.
        index: index of the step that multiplies them with the values.
        weights: node of the shares as they are multiplied.
        values: node of the values.
        out: node of the result.
        turned: whether the tape holds the transposes, `out^T = values^T weights^T`.
    """

    source: int
    index: int
    weights: Node
    values: Node
    out: Node
    turned: bool

    def rows(self, x: Float[Tensor, "bh i j"]) -> Float[Tensor, "bh i j"]:
        """A tensor of any of the three nodes with its rows as the equation has them."""
        return x.mT if self.turned else x


def products(tape: Tape, steps: Sequence[Step]) -> list[Product]:
    """Every attention, in forward order.

    Args:
        tape: the forward pass.
        steps: its calls, affine maps fused.
    """
    makers = makers_of(steps)
    origins: dict[Node, int] = {}
    attentions = []
    for index, step in enumerate(steps):
        shares = [node in origins for node in inputs_of(step)]
        if isinstance(step, Call) and step.name == "bmm":
            if len(step.inputs) == 2 and sum(shares) == 1 and step.outputs[0] is not None:
                turned = shares[1]
                values, weights = step.inputs if turned else reversed(step.inputs)
                attentions.append(Product(origins[weights], index, weights, values, step.outputs[0], turned))
            continue
        origin = index if _makes_shares(step, steps, makers) else _origin(tape, step, origins)
        if origin is not None:
            origins.update((node, origin) for node in outputs_of(step) if node is not None)
    return attentions


def makers_of(steps: Sequence[Step]) -> dict[Node, int]:
    """By node, the index of the step that made it."""
    return {node: i for i, step in enumerate(steps) for node in outputs_of(step) if node is not None}


def _makes_shares(step: Step, steps: Sequence[Step], makers: dict[Node, int]) -> bool:
    """Whether a step is a soft-max or a sigmoid, or a soft-max written out: `exp(x) / sum(exp(x))`."""
    if not isinstance(step, Call):
        return False
    if step.name in SQUASHING:
        return True
    if step.name != "div" or len(step.inputs) != 2 or step.inputs[0] not in makers:
        return False
    above, below = step.inputs
    total = steps[makers[below]] if below in makers else None
    exponent = steps[makers[above]]
    named = isinstance(exponent, Call) and exponent.name == "exp" and isinstance(total, Call) and total.name == "sum"
    return named and inputs_of(total) == (above,)  # type: ignore[arg-type]


def _origin(tape: Tape, step: Step, origins: dict[Node, int]) -> int | None:
    """The step whose shares this one hands on: moved, or changed one by one, or mixed over heads."""
    node = next((node for node in inputs_of(step) if node in origins), None)
    outputs = outputs_of(step)
    if node is None or outputs[0] is None:
        return None
    moves = isinstance(step, Call) and step.name in MOVING
    same = tape.value(outputs[0]).shape == tape.value(node).shape
    mixes = isinstance(step, Affine) or same
    return origins[node] if moves or (mixes and same) else None


def reads_all_tokens(
    tape: Tape, steps: Sequence[Step], makers: Mapping[Node, int], product: Product, batch: int
) -> bool:
    """Whether the values of an attention are all tokens of a sample: no window of them, and no channels.

    Known from the layer that made the values: how many tokens it made, and where its channels went from there.
    """
    path: list[Call] = []
    node, tokens = product.values, product.rows(tape.value(product.weights)).shape[-1]
    while node in makers:
        step, value = steps[makers[node]], tape.value(node)
        if isinstance(step, Affine) or (step.name == "bmm" and len(step.inputs) == 1):
            axis = 1 if isinstance(step, Convolution | Diagonal) else value.ndim - 1
            if value.numel() != tokens * value.shape[axis] * batch:
                return False
            channels = torch.arange(value.shape[axis], device=value.device, dtype=value.dtype)
            moved = _moved(path, channels.reshape(-1, *[1] * (value.ndim - 1 - axis)).expand(value.shape))
            return moved is None or bool((product.rows(moved) == product.rows(moved)[:, :1]).all())
        if len(step.inputs) != 1 or step.name == "cat":
            break
        path.append(step)
        node = step.inputs[0]
    return True


def _moved(path: Sequence[Call], numbers: Tensor) -> Tensor | None:
    """What becomes of numbers that are moved as the values were; None where more than moving was done."""
    for call in reversed(path):
        if call.name not in MOVING:
            continue
        results = call.run([numbers])
        if not isinstance(results, Tensor):
            return None
        numbers = results
    return numbers
