"""What a captioner learns from and is measured on: regions and sentences of pictures, as batches of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

from sightline.tasks.captioning.data.regions import RegionSet, padded
from sightline.tasks.captioning.data.vocabulary import numbers_of
from sightline.tasks.captioning.network.decoding import Regions
from sightline.tasks.captioning.world.scenes import KINDS, Scenes

Words = tuple[str, ...]
Read = Callable[[int], RegionSet]


@dataclass(frozen=True, eq=False)
class Part:
    """Pictures of one split.

    Args:
        count: number of pictures.
        read: regions of a picture, by its place; called when they are needed.
        sentences: of each picture.
        scenes: the scenes that they are; None for pictures of other origin.
    """

    count: int
    read: Read
    sentences: tuple[tuple[Words, ...], ...]
    scenes: Scenes | None = None

    def __len__(self) -> int:
        return self.count

    def batches(self, size: int) -> Iterator[tuple[list[int], Regions]]:
        """Regions of all pictures in turn, with their places."""
        for at in range(0, self.count, size):
            rows = list(range(at, min(at + size, self.count)))
            yield rows, padded([self.read(row) for row in rows])


@dataclass(frozen=True, eq=False)
class CaptionData:
    """Everything that a training uses.

    Args:
        train: pictures to learn from.
        held_out: pictures to measure on.
        words: the vocabulary.
        features: numbers for each region.
        origin: what the pictures are, as the network's `regions` says it.
        notes: what was noticed, in sentences.
    """

    train: Part
    held_out: Part
    words: tuple[str, ...]
    features: int
    origin: str
    notes: tuple[str, ...] = ()


def part_of_scenes(scenes: Scenes, kinds: Sequence[str] = KINDS) -> Part:
    """Scenes with all their sentences of some kinds of relation."""

    def read(row: int) -> RegionSet:
        return RegionSet(scenes.features[row], scenes.boxes[row], f"scene {row}")

    sentences = tuple(tuple(scenes.sentences(row, kinds)) for row in range(len(scenes)))
    return Part(len(scenes), read, sentences, scenes)


class CaptionTable(Dataset[tuple[Tensor, ...]]):
    """Batches by places: features, boxes, mask, all sentences of each picture as numbers, and the places.

    Args:
        part: the pictures.
        words: the vocabulary.
        longest: most words of a sentence.
    """

    def __init__(self, part: Part, words: Sequence[str], longest: int) -> None:
        self.part = part
        numbers = {word: i for i, word in enumerate(words)}
        rows = [[numbers_of(own, numbers, longest) for own in sentences] for sentences in part.sentences]
        self.most = max(map(len, rows), default=1)
        length = max((len(own) for row in rows for own in row), default=2)
        # Pictures with fewer sentences have theirs again, so that every draw among `most` is one of theirs.
        self.tokens = torch.stack([_block(row, self.most, length) for row in rows])

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, rows: list[int]) -> tuple[Tensor, ...]:
        regions = padded([self.part.read(row) for row in rows])
        mask = torch.ones(regions.boxes.shape[:2], dtype=torch.bool) if regions.mask is None else regions.mask
        return regions.features, regions.boxes, mask, self.tokens[rows], torch.tensor(rows)


def _block(row: Sequence[Sequence[int]], most: int, length: int) -> Int[Tensor, "k t"]:
    block = torch.zeros(most, length, dtype=torch.long)
    for i in range(most):
        own = row[i % len(row)]
        block[i, : len(own)] = torch.tensor(own)
    return block
