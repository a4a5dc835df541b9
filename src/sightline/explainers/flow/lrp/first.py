"""The last steps of the walk back: from the first layer to the picture, where messages are relevance itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from sightline.explainers.flow.affine import Affine, Step
from sightline.explainers.flow.lrp.bounded import bounded_rule, exact, flat_rule, squared_rule
from sightline.explainers.flow.lrp.gamma import gamma_rule
from sightline.explainers.flow.lrp.messages import Message, Relevance, over, relevance
from sightline.explainers.flow.lrp.pixels import Pixels
from sightline.explainers.flow.lrp.rules import Rules
from sightline.explainers.flow.walk import inputs_of

BY_WEIGHTS = {"flat": flat_rule, "squared": squared_rule}
FIRST = ("bounded", *BY_WEIGHTS, "gamma")
"""Rules of the first layer, by name; a number is a gamma of its own."""


@dataclass(frozen=True, eq=False)
class PixelRules:
    """The rules of the flow, with those of pixels at its end.

    Args:
        rules: the rules of all other steps.
        pixels: nodes that are pixels.
        first: rule of the layer that reads them: one of `FIRST`, or a gamma.
    """

    rules: Rules
    pixels: Pixels
    first: str | float

    def __call__(self, step: Step, messages: Sequence[Message | None]) -> Sequence[Message | None]:
        """Messages at a step's inputs."""
        if self.pixels.holds(step):
            return _relevances(self.pixels.back(step, [m.R if isinstance(m, Relevance) else None for m in messages]))
        if isinstance(step, Affine) and step.input in self.pixels.ranges:
            return [Relevance(self._weighed(step, cast(Message, messages[0])))]
        results = self.rules(step, messages)
        pairs = zip(inputs_of(step), results, strict=True)
        return [Relevance(relevance(self.rules.tape, n, G)) if G is not None and n in self.pixels.ranges else G
                for n, G in pairs]  # fmt: skip

    def _weighed(self, step: Affine, message: Message) -> Tensor:
        """Relevance of the pixels that a layer reads."""
        tape, node = self.rules.tape, step.input
        x, z = exact(tape.value(node)), exact(tape.value(step.output))
        R = relevance(tape, step.output, message)
        if self.first == "bounded":
            ends = self.pixels.ranges[node]
            return bounded_rule(step, x, exact(ends.low), exact(ends.high), R)
        if isinstance(self.first, str) and self.first in BY_WEIGHTS:
            return BY_WEIGHTS[self.first](step, x, R)
        recipe = self.rules.recipe
        gamma = recipe.gamma if isinstance(self.first, str) else self.first
        return x * gamma_rule(step, x, z, exact(over(message, z)), gamma, epsilon=recipe.epsilon)


def _relevances(parts: Sequence[Tensor | None]) -> list[Relevance | None]:
    return [None if part is None else Relevance(part) for part in parts]
