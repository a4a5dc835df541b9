"""Attributes of each picture itself, mined from sentences about it: colours and patterns of parts.

Agreement among the sentences of a picture is the certainty. Knows no file format; `captions` reads the sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError
from sightline.tasks.attributes.data.lexicon import BIRDS, Lexicon
from sightline.tasks.attributes.data.mining import mentions
from sightline.tasks.attributes.data.table import AttributeData, class_means
from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary

AGREE = 2
"""So many sentences have to say something before it counts as there; with fewer sentences each of them has to."""
RARE = 0.05
"""An attribute of fewer training pictures than this share, or of more than its complement, is left out."""
SILENCE = 0.5
"""Weight of "not there" where no sentence speaks of the part: people do not mention everything."""


@dataclass(frozen=True, eq=False)
class Counts:
    """How many sentences say what of every picture.

    Args:
        names: part, kind and value of every attribute, in alphabetical order.
        yes: sentences that say it, [n, a].
        no: sentences that deny it, [n, a].
        spoken: sentences that say anything of the part, [n, a].
        sentences: sentences of every picture, [n].
    """

    names: tuple[tuple[str, str, str], ...]
    yes: NDArray[np.int64]
    no: NDArray[np.int64]
    spoken: NDArray[np.int64]
    sentences: NDArray[np.int64]


def count_mentions(captions: Sequence[Sequence[str]], words: Lexicon = BIRDS) -> Counts:
    """Count the sentences of every picture that say something of a colour or pattern of a part.

    Args:
        captions: sentences of every picture.
        words: words to look for.
    """
    said = [[mentions(sentence, words) for sentence in sentences] for sentences in captions]
    keys = {(one.part, one.kind, one.value) for picture in said for sentence in picture for one in sentence}
    names = tuple(sorted(keys))
    yes, no, spoken = np.zeros((3, len(said), len(names)), np.int64)
    place = {name: at for at, name in enumerate(names)}
    for row, picture in enumerate(said):
        for sentence in picture:
            for one in sentence:
                (no if one.denied else yes)[row, place[one.part, one.kind, one.value]] += 1
            parts = {one.part for one in sentence}
            spoken[row, [at for at, (part, _, _) in enumerate(names) if part in parts]] += 1
    return Counts(names, yes, no, spoken, np.array([len(sentences) for sentences in captions], np.int64))


def mined(data: AttributeData, captions: Sequence[Sequence[str]], words: Lexicon = BIRDS) -> AttributeData:
    """The same pictures with attributes of their own, mined from their sentences.

    An attribute is there where `AGREE` sentences say so (all of them, where there are fewer) and more than deny it.
    One sentence alone leaves it unknown. Where no sentence says so it is taken as missing: with weight 1 where the
    part is spoken of, else `SILENCE`. A picture without sentences is unknown.

    Args:
        data: pictures, classes and splits; its own attributes are replaced.
        captions: sentences of every picture.
        words: words to look for.

    Raises:
        DataError: no attribute is common enough among the training pictures.
    """
    counts = count_mentions(captions, words)
    targets, weights = answers(counts)
    train = (data.split == 0) & (counts.sentences > 0)
    share = targets[train].mean(0) if train.any() else np.zeros(len(counts.names))
    kept = np.flatnonzero((share >= RARE) & (share <= 1 - RARE))
    if not len(kept):
        raise DataError(
            f"no colour or pattern of a part is common enough in the sentences of {data.root} ({len(counts.names)} "
            "were found); write more sentences, or give a word list of your own"
        )
    targets, weights = targets[:, kept], weights[:, kept]
    labelled = weights * (data.split == 0)[:, None]
    note = (
        f"attributes are mined from {int(counts.sentences.sum())} sentences: {len(kept)} of {len(counts.names)} "
        "pairs of part and value are common enough"
    )
    return replace(
        data,
        vocabulary=_vocabulary([counts.names[at] for at in kept], words),
        targets=targets,
        weights=weights,
        prototypes=class_means(targets, labelled, data.labels, len(data.classes)),
        level="image",
        notes=(*(text for text in data.notes if "attribute" not in text and "prototypes" not in text), note),
    )


def answers(counts: Counts) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What counts of sentences mean: targets and weights of every picture."""
    least = np.minimum(AGREE, np.maximum(1, counts.sentences))[:, None]
    there = (counts.yes >= least) & (counts.yes > counts.no)
    silent = np.where((counts.spoken > 0) | (counts.no > 0), 1.0, SILENCE)
    unsure = (counts.yes > 0) & ~there & (counts.no == 0)
    weights = np.where(there, 1.0, np.where(unsure, 0.0, silent)) * (counts.sentences > 0)[:, None]
    return there.astype(np.float32), weights.astype(np.float32)


def _vocabulary(names: Sequence[tuple[str, str, str]], words: Lexicon) -> Vocabulary:
    """Attributes named as CUB names them, so that they read alike: `has_wing_color::red`."""
    return Vocabulary(
        tuple(
            Attribute(
                f"has_{_plain(part)}_{kind}::{value}",
                f"has_{_plain(part)}_{kind}",
                value,
                "" if part == words.whole else part,
                "object" if part == words.whole else "part",
            )
            for part, kind, value in names
        )
    )


def _plain(part: str) -> str:
    return part.replace(" ", "_")
