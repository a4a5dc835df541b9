"""A network that learned in seconds: coloured squares and bands of sound; the event is the class that has both."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec

COUNT, FRAMES, SEGMENTS = 3, 2, 4


def squares(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Frames of two coloured cells of 4 x 4 pixels, spectra with two loud bands, and the class that has both."""
    draw = torch.Generator().manual_seed(seed)
    frames = 0.2 * torch.rand(count, FRAMES, 3, 16, 16, generator=draw)
    spectra = -4.0 + 0.2 * torch.rand(count, SEGMENTS, 6, 64, generator=draw)
    labels = torch.randint(COUNT, (count,), generator=draw)
    for n in range(count):
        a, b, c = (int(labels[n]) + k for k in (0, *(torch.randperm(2, generator=draw) + 1).tolist()))
        cells, times = torch.randperm(16, generator=draw)[:2], torch.randperm(SEGMENTS, generator=draw)[:2]
        for colour, cell, band, time in zip((a, b), cells.tolist(), (a, c), times.tolist(), strict=True):
            row, column = 4 * (cell // 4), 4 * (cell % 4)
            frames[n, :, colour % COUNT, row : row + 4, column : column + 4] = 1.0
            spectra[n, time, :, 20 * (band % COUNT) : 20 * (band % COUNT) + 20] = 1.0
    return frames, spectra, labels


def trained_toy() -> EventNet:
    """A network after a few seconds; a copy for each caller."""
    return deepcopy(_trained())


@cache
def _trained(steps: int = 200) -> EventNet:
    torch.manual_seed(0)
    net = EventNet(EventSpec(("red", "green", "blue"), width=16, queries="class", nothing=False))
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    frames, spectra, labels = squares(640, 1)
    for step in range(steps):
        rows = torch.arange(32) + 32 * (step % 20)
        loss = fn.cross_entropy(net(frames[rows], spectra[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()
