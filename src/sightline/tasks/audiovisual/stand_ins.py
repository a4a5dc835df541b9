"""What stands for a missing picture or sound is learned last, in the finished network, so that nothing else changes.

Attention that learns from scenes without picture or sound spreads over all that is left, and points less well in
whole scenes.
"""

from __future__ import annotations

import math

import torch
from torch.utils.data import TensorDataset

from sightline.tasks.audiovisual.module import EventTask

SCENES = 32
RATE = 0.02
"""Learning rate of the first step; it falls to zero as half a cosine."""


def learn_stand_ins(task: EventTask, train: TensorDataset, *, steps: int, seed: int) -> None:
    """Fit `no_picture` and `no_sound` of a network; all else stays bit for bit.

    Args:
        task: the network and its loss.
        train: frames, spectra and labels to learn from.
        steps: steps; 0 leaves the stand-ins as they are.
        seed: of the choice of scenes.
    """
    net, draw = task.net, torch.Generator().manual_seed(seed)
    if not steps:
        return
    frames, spectra, *_ = train[torch.randperm(len(train), generator=draw)[:100]]
    with torch.no_grad():
        net.no_picture.copy_(net.picture_tokens(task.pictures(frames))[0].mean((0, 1)))
        net.no_sound.copy_(net.sound_tokens(spectra.float()).mean((0, 1)))
    optimiser = torch.optim.Adam([net.no_picture, net.no_sound], RATE)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        frames, spectra, labels, *masks = train[torch.randint(len(train), (SCENES,), generator=draw)]
        optimiser.zero_grad()
        torch.autograd.backward(task.missing(frames, spectra, labels, *masks))
        optimiser.step()
