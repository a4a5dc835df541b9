"""Tables of scores with a known optimum, as scores of schemes."""

from __future__ import annotations

from itertools import product

import torch

from sightline.gates import Scheme
from sightline.tasks.gate_search.searchers.base import shaped

LENGTHS = (2, 3, 3)


def every(lengths=LENGTHS):
    return [shaped(flat, lengths) for flat in product((False, True), repeat=sum(lengths))]


class Table:
    """Additive effects of blocks with a little interplay of neighbours; counts how often it was asked."""

    def __init__(self, lengths=LENGTHS, seed: int = 0, interplay: float = 0.002) -> None:
        generator = torch.Generator().manual_seed(seed)
        bits = sum(lengths)
        self.effects = 0.02 * torch.randn(bits, generator=generator, dtype=torch.float64)
        pairs = interplay * torch.randn(bits - 1, generator=generator, dtype=torch.float64)
        self.scores: dict[Scheme, float] = {}
        for scheme in every(lengths):
            flat = torch.tensor(scheme.flat()).double()
            self.scores[scheme] = float(0.7 + self.effects @ flat + pairs @ (flat[1:] * flat[:-1]))
        self.asked: list[Scheme] = []

    def __call__(self, scheme: Scheme) -> float:
        self.asked.append(scheme)
        return self.scores[scheme]

    def best(self, sparsity: float = 0.0) -> float:
        return max(score + sparsity * (1 - scheme.density) for scheme, score in self.scores.items())
