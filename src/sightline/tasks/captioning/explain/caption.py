"""`captioned`: a caption with log-probabilities and, for each word, the weight of every region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sightline.errors import InputError
from sightline.tasks.captioning.data.regions import RegionSet
from sightline.tasks.captioning.data.vocabulary import sentence_of, unknown_words, words_of
from sightline.tasks.captioning.explain.methods import Question, sink_regions, weights_of
from sightline.tasks.captioning.network.captioner import Captioner
from sightline.tasks.captioning.network.decoding import beam, word_logs

SHOWN = 3
"""Regions that are named for a word."""
LEAST_SHOWN = 0.005
"""Share from which a region is named."""
LITTLE = 0.01
"""A word whose log-probability falls by less whichever region is left out rests on no region."""
SMALL = {
    1: "the picture has one region: a normalised query is zero then, and every word can only rest on that region",
    2: "the picture has two regions: a normalised query is plus or minus one in every channel then, so that only the "
    "sign of a difference is left",
}
"""What normalised queries come to where there are next to no elements to normalise over."""


@dataclass(frozen=True)
class Caption:
    """A caption of one picture.

    Args:
        words: without the end.
        logs: log-probability of each word.
        end: log-probability that the sentence ends there.
        weights: for each word the weight of each region; relevance may be negative.
        boxes: left, top, right, bottom of each region, as shares of the picture.
        method: how the weights were found.
        sinks: regions that all words attend to alike.
        notes: what a reader should know, in sentences.
    """

    words: tuple[str, ...]
    logs: tuple[float, ...]
    end: float
    weights: tuple[tuple[float, ...], ...]
    boxes: tuple[tuple[float, ...], ...]
    method: str
    sinks: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """Log-probability of the sentence with its end."""
        return sum(self.logs) + self.end

    def shares(self, place: int) -> tuple[float, ...]:
        """The positive weights of a word, as shares; none where leaving out any region changes next to nothing."""
        positive = [max(0.0, weight) for weight in self.weights[place]]
        total = sum(positive)
        if self.method == "left-out" and max(positive, default=0.0) < LITTLE:
            total = 0.0
        return tuple(weight / total if total else 0.0 for weight in positive)

    def most(self, place: int) -> str:
        """The regions with most weight for a word, counted from 1, with their shares."""
        shares = self.shares(place)
        order = sorted(range(len(shares)), key=lambda i: -shares[i])[:SHOWN]
        return ", ".join(f"{i + 1} ({shares[i]:.0%})" for i in order if shares[i] >= LEAST_SHOWN) or "none"


def sink_note(sinks: Sequence[int]) -> str:
    """What a reader should know of regions that all words attend to."""
    named = ", ".join(str(i + 1) for i in sinks)
    return f"all words attend to region {named} alike (attention sinks): it says little of a single word"


def captioned(
    net: Captioner, regions: RegionSet, *, sentence: str | None = None, width: int = 3, method: str = "left-out"
) -> Caption:
    """Write a caption, or take a given one, and find the regions of its words.

    Args:
        net: the captioner.
        regions: of one picture.
        sentence: a sentence to score; None writes one.
        width: sentences that are kept while writing.
        method: one of `METHODS`.

    Raises:
        InputError: the sentence has no word or is too long, or the regions do not fit the captioner.
        MethodError: the method is unknown.
    """
    batch, notes = regions.batch(), []
    if sentence is None:
        words = sentence_of(beam(net, batch, width=width).tokens[0].tolist(), net.spec.words)
    else:
        words = words_of(sentence)
        if not words:
            raise InputError(f"the sentence {sentence!r} has no word; give one such as --score 'a dog on a sofa'")
        if unknown := unknown_words(words, net.numbers):
            notes.append(f"not in the vocabulary, scored as unknown words: {', '.join(unknown)}")
    numbers = [net.numbers.get(word, net.unknown) for word in words]
    tokens = torch.tensor([[*numbers, net.end]])
    with torch.no_grad():
        logs = word_logs(net, batch, tokens)[0].tolist()
    question = Question(net, batch, tokens)
    weights = weights_of(question, method)[:-1]
    if net.spec.attention.normaliser.startswith("instance") and len(regions) in SMALL:
        notes.append(SMALL[len(regions)])
    elif len(regions) == 1:
        notes.append("the picture has one region: every word can only rest on it")
    sinks = sink_regions(question)
    if sinks:
        notes.append(sink_note(sinks))
    return Caption(
        words,
        tuple(logs[:-1]),
        logs[-1],
        tuple(map(tuple, weights.tolist())),
        tuple(map(tuple, regions.boxes.tolist())),
        method,
        tuple(sinks),
        (*notes,),
    )
