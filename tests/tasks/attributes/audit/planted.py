"""Synthetic observations of a network that is known to the last number, into which faults are planted."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as fn

from sightline.tasks.attributes.audit import Observations, Redrawn
from sightline.tasks.attributes.data import Attribute, Vocabulary

SIZES = (4, 3, 5, 4, 3)
PARTS = ("crown", "wing", "tail", "leg", "body")
FREE = 4
"""Position of the group that says nothing of the class."""


def words(exclusive=True):
    made = [
        Attribute(f"{part}::{value}", part, str(value), part, "part")
        for part, size in zip(PARTS, SIZES, strict=True)
        for value in range(size)
    ]
    return Vocabulary(tuple(made), PARTS if exclusive else ())


def codes(classes, seed=0):
    """Values that make a class; no two classes agree in more than two of the four."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    while len(found) < classes:
        code = [int(torch.randint(size, (1,), generator=draw)) for size in SIZES[:FREE]]
        if all(sum(a != b for a, b in zip(code, other, strict=True)) >= 2 for other in found):
            found.append(code)
    return torch.tensor(found)


def hot(values):
    return torch.cat([fn.one_hot(values[:, g], size) for g, size in enumerate(SIZES)], dim=1).float()


def observations(count=600, classes=6, *, sharp=4.0, seed=0, variation=0.05, misread=0.0, flips=0.0, exclusive=True):
    """A bottleneck network that reads what is there with some noise, and its pictures.

    `misread`: how often crown is read wrongly. `flips`: how often a label is written wrongly.
    """
    draw = torch.Generator().manual_seed(seed)
    code, labels = codes(classes, seed), torch.arange(count) % classes
    values = torch.cat([code[labels], torch.randint(SIZES[FREE], (count, 1), generator=draw)], dim=1)
    for g, size in enumerate(SIZES[:FREE]):
        other = torch.rand(count, generator=draw) < variation
        values[:, g] = torch.where(other, torch.randint(size, (count,), generator=draw), values[:, g])
    read = values.clone()
    wrong = torch.rand(count, generator=draw) < misread
    read[:, 0] = torch.where(wrong, (read[:, 0] + 1) % SIZES[0], read[:, 0])
    logits = sharp * hot(read) + torch.randn(count, sum(SIZES), generator=draw)
    said = torch.cat([part.softmax(1) for part in logits.split(SIZES, dim=1)], dim=1)
    head = hot(torch.cat([code, torch.zeros(classes, 1, dtype=torch.long)], dim=1)) * 4
    head[:, -SIZES[FREE] :] = 0
    noted, flipped = values.clone(), torch.zeros(count, len(SIZES), dtype=torch.bool)
    for g, size in enumerate(SIZES):
        flipped[:, g] = torch.rand(count, generator=draw) < flips
        shift = torch.randint(1, size, (count,), generator=draw)
        noted[:, g] = torch.where(flipped[:, g], (noted[:, g] + shift) % size, noted[:, g])
    seen = Observations(
        vocabulary=words(exclusive),
        classes=tuple(f"class {y}" for y in range(classes)),
        join="bottleneck",
        class_logits=said @ head.T,
        probabilities=said,
        targets=hot(noted),
        weights=torch.ones(count, sum(SIZES)),
        labels=labels,
        names=tuple(f"{i:05d}.jpg" for i in range(count)),
        head=head,
        features=logits,
    )
    return seen, flipped


def with_contributions(seen):
    top = seen.class_logits.topk(2, dim=1).indices
    rows = seen.head[top[:, 0]] - seen.head[top[:, 1]]
    return replace(seen, contributions=rows * (seen.probabilities - seen.probabilities.mean(0)))


def redrawn(count=200, classes=6, *, by_background=0.0, fragile=0.0, seed=0, moves=None, stays=None):
    """Scenes drawn again: `by_background` of the decisions follow it, `fragile` flip to any class with any change."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    donors = (labels[:, None] + torch.randint(1, classes, (count, 3), generator=draw)) % classes

    def any_flip():
        elsewhere = (labels[:, None] + torch.randint(1, classes, (count, 3), generator=draw)) % classes
        return torch.where(torch.rand(count, 3, generator=draw) < fragile, elsewhere, labels[:, None])

    swapped = torch.where(torch.rand(count, 3, generator=draw) < by_background, donors, any_flip())
    groups = len(SIZES)
    own = 0.8 * torch.eye(groups) if moves is None else moves
    jitter = 0.02 * torch.rand(count, groups, groups, generator=draw)
    held = torch.zeros(groups) if stays is None else stays
    kept = (torch.rand(count, groups, generator=draw) < held).float()
    usual = torch.full((count, groups), 0.9)
    usual[:, FREE] = 0.3
    return Redrawn(labels, labels.clone(), swapped, donors, any_flip(), own + jitter, usual, 1 - kept, kept)
