"""Which neurons are abandoned: rules from a node's gradient and back-projected activation to the set that is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import MethodError
from sightline.explainers.flow.affine import Convolution, Diagonal, Step
from sightline.explainers.flow.facts import ACTIVATIONS, MAX_POOLS, POOLING, Facts
from sightline.explainers.flow.samples import Samples
from sightline.explainers.flow.tape import Call, Node, Tape
from sightline.explainers.flow.walk import inputs_of, outputs_of

RuleName = Literal["auto", "zero", "threshold", "contribution", "mass"]
RULES: tuple[RuleName, ...] = ("auto", "zero", "threshold", "contribution", "mass")

PIECEWISE = frozenset({"_prelu_kernel", "hardtanh", "leaky_relu", "relu", "relu6"})
"""Activations that are straight on either side of their kinks; all others are smooth and abandon nobody exactly."""

Kept = Float[Tensor, "..."]
"""1 for a neuron that is kept, 0 for one that is abandoned: floats, as selecting by booleans is slow on a CPU."""


def zero(B: Tensor, G: Tensor, level: float) -> Kept:
    """Kept where the gradient is not exactly zero: the published rule [liao2026naflow]."""
    return G.sign().abs_()


def threshold(B: Tensor, G: Tensor, level: float) -> Kept:
    """Kept where the gradient's size is above a share of the sample's largest."""
    return _above(G.abs(), level)


def contribution(B: Tensor, G: Tensor, level: float) -> Kept:
    """Kept where the contribution `B G` is above a share of the sample's largest: supporting evidence only."""
    return _above((B * G).relu_(), level)


def mass(B: Tensor, G: Tensor, level: float) -> Kept:
    """Kept is the smallest set that holds all but a share `level` of the supporting evidence `relu(B G)`."""
    evidence = (B * G).relu_().flatten(1)
    ordered = evidence.sort(1, descending=True).values
    sums = ordered.cumsum(1)
    needed = (sums < (1 - level) * sums[:, -1:]).sum(1, keepdim=True).clamp_max(evidence.shape[1] - 1)
    edge = ordered.gather(1, needed)
    return ((evidence >= edge) & (evidence > 0)).to(G.dtype).view_as(G)


def _above(size: Tensor, level: float) -> Kept:
    """Where a size is above a share of each sample's largest."""
    peak = size.flatten(1).amax(1).reshape(-1, *[1] * (size.ndim - 1))
    return (size - level * peak).sign_().relu_()


KEEPS: dict[str, Callable[[Tensor, Tensor, float], Kept]] = {
    "zero": zero, "threshold": threshold, "contribution": contribution, "mass": mass,
}  # fmt: skip
LEVELS = {"zero": 0.0, "threshold": 1e-2, "contribution": 0.0, "mass": 0.05}
"""What `threshold` means to each rule, where it is not given."""


@dataclass(eq=False)
class Abandoning:
    """Where neurons are abandoned, and by which rule.

    It happens before activations, so that a neuron that was switched off is abandoned, and at what max-pools read.
    Elsewhere an exact zero comes from one of these, or makes no difference; so only rules that can abandon neurons of
    another gradient are used at every convolution, batch norm, activation, sum, concatenation and pool besides.

    Args:
        tape: the forward pass.
        facts: what is known of its nodes.
        samples: whose each row is.
        rule: name of the rule; `auto` is `zero`, and `threshold` before smooth activations.
        level: threshold of the rule; None is the rule's default.
    """

    tape: Tape
    facts: Facts
    samples: Samples
    rule: RuleName = "auto"
    level: float | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise MethodError(f"there is no rule {self.rule!r} for abandoning; the rules are {', '.join(RULES)}")
        candidates = [node for step in self.facts.steps for node in self._candidates(step)]
        self.nodes = frozenset(node for node in candidates if self._has_space(self.tape.value(node)))

    def _candidates(self, step: Step) -> list[Node]:
        result = [node for node in outputs_of(step)[:1] if node is not None]
        if isinstance(step, Call) and step.name in ACTIVATIONS:
            return [*inputs_of(step), *(result if self.rule not in ("auto", "zero") else ())]
        if isinstance(step, Call) and step.name in MAX_POOLS:
            return [*inputs_of(step), *result]
        if self.rule in ("auto", "zero"):
            return []
        summed = isinstance(step, Call) and step.name in ("add", "sub") and len(step.inputs) > 1
        other = isinstance(step, Call) and step.name in POOLING | {"cat"}
        return result if summed or other or isinstance(step, Convolution | Diagonal) else []

    def _has_space(self, x: Tensor) -> bool:
        """Whether a sample has more than one place here; frames that were folded away are places too."""
        if x.shape[0] not in self.samples.lengths:
            return False
        x = self.samples.apart(x)
        if x.ndim < 3:
            return False
        return x.shape[1] > 1 if x.ndim == 3 else x.shape[2:].numel() > 1 and x.shape[1:-1].numel() > 1

    def keep_mask(self, node: Node, x: Tensor, delta: Tensor | None, G: Tensor) -> Kept:
        """Which neurons of a node are kept."""
        rule = self.rule_at(node)
        level = LEVELS[rule] if self.level is None else self.level
        apart, B = self.samples.apart, x if delta is None or rule in ("zero", "threshold") else x + delta
        mask = self.samples.together(KEEPS[rule](apart(B), apart(G), level), x)
        # Above the ceiling of a ReLU6 the gradient is zero though the neuron fired: it must not be abandoned.
        top = self._saturated(node)
        if top is not None and float(x.amax()) >= top:
            mask = torch.maximum(mask, torch.ge(x, top, out=torch.empty_like(x)))
        return mask

    def rule_at(self, node: Node) -> str:
        """Name of the rule that holds at a node."""
        if self.rule != "auto":
            return self.rule
        smooth = any(
            isinstance(step, Call) and step.name in ACTIVATIONS - PIECEWISE
            for step in self.facts.readers.get(node, ())
        )
        return "threshold" if smooth else "zero"

    def _saturated(self, node: Node) -> float | None:
        """The value from which on a ReLU6 that reads this node is full: such neurons fired and are kept."""
        for step in self.facts.readers.get(node, ()):
            if isinstance(step, Call) and step.name in ("hardtanh", "relu6"):
                return float(step.args[2]) if step.name == "hardtanh" and len(step.args) > 2 else 6.0
        return None
