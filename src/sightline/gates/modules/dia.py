"""The DIA unit: a small recurrent cell that gates one block after another, and remembers the blocks before.

It knows nothing of blocks or stages; its state comes in and goes out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.gates.validation import check_reduction, choice

Cells = list[tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]]
"""Output h and memory c of each cell."""

SQUASH: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


class DIA(nn.Module):
    """Gates a sequence of blocks by an LSTM that reads their pooled maps [huang2020dianet].

        y = mean over places of x
        [i f g o] = W2x relu(W1x y + b1x) + b2x + W2h relu(W1h h + b1h) + b2h
        c' = sigmoid(f) c + sigmoid(i) tanh(g);   h' = sigmoid(o) sigmoid(c');   out = x h'

    A plain LSTM has tanh(c') in the last line; the sigmoid keeps the gate between 0 and 1. At its start the gate is
    about 0.25: it scales every branch to a quarter.

    Args:
        channels: number of channels of the maps.
        reduction: the bottlenecks W1x and W1h have `channels // reduction` channels.
        cells: how many cells stand on one another; further ones are full and see the output of the one before.
        squash: function of the outgoing memory: `sigmoid` as published, `tanh` or `relu` to compare with.

    Raises:
        GateError: the reduction is larger than the channels, or an option is none of those known.

    Example:
        >>> unit = DIA(64)
        >>> out, state = unit(torch.ones(2, 64, 7, 7), None)
        >>> again, state = unit(out, state)
        >>> sum(p.numel() for p in unit.parameters())
        10784
    """

    recurrent = True

    def __init__(self, channels: int, *, reduction: int = 4, cells: int = 1, squash: str = "sigmoid") -> None:
        super().__init__()
        middle = check_reduction("dia", channels, reduction)
        self.squash = choice("squash", squash, SQUASH)
        self.read = nn.ModuleList([_bottleneck(channels, middle)])
        self.recall = nn.ModuleList([_bottleneck(channels, middle)])
        for _ in range(cells - 1):
            self.read.append(nn.Sequential(nn.Dropout(0.1), nn.Linear(channels, 4 * channels)))
            self.recall.append(nn.Linear(channels, 4 * channels))

    def forward(self, x: Float[Tensor, "b c h w"], state: Cells | None) -> tuple[Float[Tensor, "b c h w"], Cells]:
        """The gated maps and the new state; None is the state before the first block: zeros."""
        factor, after = self.factor(x, state)
        return x * factor, after

    def factor(self, x: Float[Tensor, "b c h w"], state: Cells | None) -> tuple[Float[Tensor, "b c 1 1"], Cells]:
        """The gate h' and the new state."""
        summary = x.mean((2, 3))
        before = state or self._zeros(summary)
        after = []
        for read, recall, (h, c) in zip(self.read, self.recall, before, strict=True):
            i, f, g, o = (read(summary) + recall(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            summary = (torch.sigmoid(o) * SQUASH[self.squash](c)).to(x.dtype)
            after.append((summary, c))
        return summary[:, :, None, None], after

    def _zeros(self, like: Float[Tensor, "b c"]) -> Cells:
        """The state before the first block; the memory is kept in float32 at least."""
        h, c = torch.zeros_like(like), torch.zeros_like(like, dtype=torch.promote_types(like.dtype, torch.float32))
        return [(h, c) for _ in self.read]


def _bottleneck(channels: int, middle: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels, middle), nn.ReLU(), nn.Linear(middle, 4 * channels))
