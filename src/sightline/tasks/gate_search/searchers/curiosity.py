"""Curiosity: how new a scheme is, by how badly a small network predicts what a fixed random one makes of it."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.tasks.gate_search.searchers.adam import Adam

Layers = list[Tensor]

TARGET, PREDICTOR = (32, 32, 64), (32, 64)
"""Widths of the two networks, as published."""
SAMPLE = 64
"""Random schemes whose mean error is the unit of the bonus."""


class Curiosity:
    """Random network distillation on the bits of schemes [burda2019rnd; huang2021ean].

        bonus(b) = |predictor(b) - target(b)|^2 / mean over random b' of the same, before any training

    One bonus per scheme: about 1 for what is new, towards 0 for what came often. The published code sums the errors
    of all schemes of a step, so that its bonus cannot tell one from the other.

    Args:
        bits: number of bits of a scheme.
        generator: random numbers for both networks' weights.
        rate: learning rate of Adam, which trains the predictor. The published 0.05 is too high for a steady decrease;
            see `tests/tasks/gate_search/test_curiosity.py`.
    """

    def __init__(self, bits: int, generator: torch.Generator, *, rate: float = 0.01) -> None:
        self._target = _layers((bits, *TARGET), generator)
        self._predictor = [part.requires_grad_() for part in _layers((bits, *PREDICTOR), generator)]
        self._adam = Adam(self._predictor, rate)
        # One first, because the bonus that measures the unit is itself divided by it.
        self._unit = 1.0
        sample = (torch.rand(SAMPLE, bits, generator=generator) < 0.5).float()
        self._unit = float(self.bonus(sample).mean()) or 1.0

    def bonus(self, schemes: Float[Tensor, "n l"]) -> Float[Tensor, "n"]:
        """How new each scheme is; nothing is learnt."""
        with torch.no_grad():
            return self._errors(schemes) / self._unit

    def learn(self, schemes: Float[Tensor, "n l"]) -> None:
        """One step of the predictor on these schemes."""
        self._adam.descend(self._errors(schemes).mean())

    def _errors(self, schemes: Float[Tensor, "n l"]) -> Float[Tensor, "n"]:
        centred = 2 * schemes - 1
        return (_run(self._predictor, centred) - _run(self._target, centred).detach()).square().mean(1)


def _layers(widths: tuple[int, ...], generator: torch.Generator) -> Layers:
    """Weights and biases, uniform within one over the root of the inputs."""
    weights = []
    for inputs, outputs in pairwise(widths):
        reach = 1 / math.sqrt(inputs)
        shapes = ((outputs, inputs), (outputs,))
        weights += [(2 * torch.rand(*shape, generator=generator) - 1) * reach for shape in shapes]
    return weights


def _run(layers: Layers, x: Float[Tensor, "n l"]) -> Float[Tensor, "n k"]:
    pairs = list(zip(layers[::2], layers[1::2], strict=True))
    for number, (weight, bias) in enumerate(pairs, 1):
        x = x @ weight.T + bias
        x = torch.relu(x) if number < len(pairs) else x
    return x
