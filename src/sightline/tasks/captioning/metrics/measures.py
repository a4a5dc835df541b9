"""What a captioner can do, measured on held-out pictures beside captions that never looked. Figures only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from sightline.common.statistics.intervals import wilson
from sightline.tasks.captioning.data.table import Part, Words
from sightline.tasks.captioning.data.vocabulary import numbers_of, sentence_of
from sightline.tasks.captioning.metrics.nearest import nearest_captions
from sightline.tasks.captioning.metrics.scores import CaptionScores, caption_scores
from sightline.tasks.captioning.network.captioner import Captioner
from sightline.tasks.captioning.network.decoding import Regions, beam, greedy
from sightline.tasks.captioning.world.scenes import KINDS, RELATIONS, Scenes

BATCH = 100


@dataclass(frozen=True)
class Hits:
    """Right answers.

    Args:
        right: how many.
        total: of how many.
        majority: share that the more frequent answer would have right; NaN where there is none.
    """

    right: int
    total: int
    majority: float = float("nan")

    @property
    def share(self) -> float:
        """Share of right answers."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson(self.right, self.total)


@dataclass(frozen=True)
class CaptionMeasures:
    """Figures of a captioner.

    Args:
        pictures: number of held-out pictures.
        scores: of its captions.
        constant: of one caption for all pictures, the most frequent one of training.
        others: of its own captions, each given to the next picture.
        nearest: of a caption of the training picture that looks most like each.
        true: captions that are true of their scene; None for pictures that are no scenes.
        true_others: the same for captions given to the next scene.
        true_nearest: the same for captions of the most similar training scene.
        relations: by kind, the relation word with all other words given; empty where there are no scenes.
    """

    pictures: int
    scores: CaptionScores
    constant: CaptionScores
    others: CaptionScores
    nearest: CaptionScores
    true: Hits | None = None
    true_others: Hits | None = None
    true_nearest: Hits | None = None
    relations: tuple[tuple[str, Hits], ...] = ()


def measure(
    net: Captioner, train: Part, held_out: Part, *, width: int = 3, kinds: Sequence[str] = KINDS
) -> CaptionMeasures:
    """Captions of held-out pictures, scored.

    Args:
        net: the captioner.
        train: what it learnt from, for the most frequent caption and those of similar pictures.
        held_out: what is captioned.
        width: of the beam.
        kinds: relations that the sentences of scenes tell.
    """
    captions = write(net, held_out, width=width)
    references = held_out.sentences
    counts = Counter(sentence for own in train.sentences for sentence in own)
    frequent = min(counts, key=lambda sentence: (-counts[sentence], sentence))
    shifted, nearest = [*captions[1:], captions[0]], nearest_captions(train, held_out)
    scenes = held_out.scenes is not None
    true, true_others, true_nearest = (
        _true(own, references) if scenes else None for own in (captions, shifted, nearest)
    )
    return CaptionMeasures(
        len(held_out),
        caption_scores(captions, references),
        caption_scores([frequent] * len(captions), references),
        caption_scores(shifted, references),
        caption_scores(nearest, references),
        true,
        true_others,
        true_nearest,
        () if held_out.scenes is None else relation_hits(net, held_out.scenes, kinds),
    )


@torch.inference_mode()
def write(net: Captioner, part: Part, *, width: int = 3) -> list[Words]:
    """A caption of each picture."""
    captions = []
    for _, regions in part.batches(BATCH):
        sentences = greedy(net, regions) if width == 1 else beam(net, regions, width=width)
        captions += [sentence_of(own, net.spec.words) for own in sentences.tokens.tolist()]
    return captions


def relation_hits(net: Captioner, scenes: Scenes, kinds: Sequence[str] = KINDS) -> tuple[tuple[str, Hits], ...]:
    """For each kind of relation, how often the right word of its two is more likely than the wrong one.

    All words before it are given; both orders of the two shapes are asked.
    """
    hits = []
    for kind in kinds:
        place = KINDS.index(kind)
        right = relation_right(net, scenes, kind)
        firsts = scenes.firsts[:, place]
        # Where a sentence is turned round its word is the other one, but for nearness, which stays.
        share = float(firsts.float().mean()) if kind == "distance" else 0.5
        hits.append((kind, Hits(int(right.sum()), right.numel(), max(share, 1 - share))))
    return tuple(hits)


@torch.inference_mode()
def relation_right(net: Captioner, scenes: Scenes, kind: str) -> Bool[Tensor, "m 2"]:
    """Whether the right word of a kind is the more likely one, for both orders of the two shapes."""
    first, second = (net.numbers[words[0]] for words in RELATIONS[kind])
    columns = []
    for turned in (False, True):
        sentences = [scenes.sentence(i, kind, turned=turned) for i in range(len(scenes))]
        rows = torch.tensor([numbers_of(own, net.numbers, net.spec.longest)[:6] for own in sentences])
        logits = net(scenes.features, scenes.boxes, rows[:, :5])[:, 4]  # behind: begin the COLOUR SHAPE is
        truth = rows[:, 5] == first
        columns.append((logits[:, first] > logits[:, second]) == truth)
    return torch.stack(columns, 1)


def _true(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> Hits:
    right = sum(caption in own for caption, own in zip(captions, references, strict=True))
    return Hits(right, len(captions))


def regions_of(scenes: Scenes) -> Regions:
    """Scenes as a batch."""
    return Regions(scenes.features, scenes.boxes)
