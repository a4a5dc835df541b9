"""Whether what is said of pictures is true: counts of named attributes against what each picture shows, and controls.

Mentions are a table [b, k] of yes and no. Every score is two sums per picture, so that intervals come from resampling
pictures. Precision alone rewards the banal: a text that never looks at the picture reaches much of it, hence the two
controls, whose scores stand beside every other. Knows no words and no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, ratio
from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class TextCounts:
    """Sums per picture.

    Args:
        mentioned: attributes named, [b].
        judged: of those, how many are known of the picture: the part is visible, somebody said, [b].
        hits: of those, how much is true (a share where truth is a share), [b].
        flips: of those judged, how many have the right part and the wrong value, [b].
        present: attributes that are known and true, named or not, [b].
    """

    mentioned: Float[Tensor, "b"]
    judged: Float[Tensor, "b"]
    hits: Float[Tensor, "b"]
    flips: Float[Tensor, "b"]
    present: Float[Tensor, "b"]

    def precision(self) -> Interval:
        """Share of what was said and can be judged that is true."""
        return ratio(self.hits, self.judged)

    def recall(self) -> Interval:
        """Share of what is there that was said."""
        return ratio(self.hits, self.present)

    def value_flips(self) -> Interval:
        """Share of what was said and can be judged that names the right part with a wrong value."""
        return ratio(self.flips, self.judged)

    def not_visible(self) -> Interval:
        """Share of what was said that speaks of something not visible, or unknown."""
        return ratio(self.mentioned - self.judged, self.mentioned)

    def silent(self) -> Interval:
        """Share of pictures of which nothing is said."""
        return ratio((self.mentioned == 0).double(), torch.ones_like(self.mentioned))


def text_counts(
    mentions: Bool[Tensor, "b k"],
    truth: Float[Tensor, "b k"],
    knowable: Bool[Tensor, "b k"],
    vocabulary: Vocabulary,
) -> TextCounts:
    """Count what was said against what is there.

    Args:
        mentions: attributes that a text names.
        truth: whether each is there, or its share among annotators, 0..1; read only where known.
        knowable: whether that can be said: the part is visible.
        vocabulary: attributes, whose groups tell a wrong value from a wrong part.

    Raises:
        InputError: shapes differ, or a truth that is known lies outside 0..1.
    """
    shape = (len(mentions), len(vocabulary))
    if not mentions.shape == truth.shape == knowable.shape == shape:
        shapes = [tuple(tensor.shape) for tensor in (mentions, truth, knowable)]
        raise InputError(f"mentions, truth and what is known were asked for as tables of {shape}; got {shapes}")
    judged, real = mentions & knowable, torch.where(knowable, truth.double(), 0.0)
    if bool(((real < 0) | (real > 1) | real.isnan()).any()):
        raise InputError(f"truth lies between 0 and 1; got {float(real.min()):.3g} to {float(real.max()):.3g}")
    flips = judged & (real < 0.5) & _answered_otherwise(real >= 0.5, vocabulary)
    return TextCounts(
        mentioned=mentions.double().sum(1),
        judged=judged.double().sum(1),
        hits=(real * judged).sum(1),
        flips=flips.double().sum(1),
        present=real.sum(1),
    )


def mention_table(lists: Sequence[Iterable[int]], attributes: int) -> Bool[Tensor, "b k"]:
    """The table of what each of several texts names.

    Example:
        >>> mention_table([[0, 2], []], 3).tolist()
        [[True, False, True], [False, False, False]]
    """
    table = torch.zeros(len(lists), attributes, dtype=torch.bool)
    for row, named in zip(table, lists, strict=True):
        row[list(named)] = True
    return table


def blind_mentions(frequency: Float[Tensor, "k"], most: int, pictures: int) -> Bool[Tensor, "b k"]:
    """The control that never looks: the most frequent attributes of the training pictures, of every picture."""
    return _top(torch.nan_to_num(frequency)[None], most).expand(pictures, -1).clone()


def class_mentions(prototypes: Float[Tensor, "c k"], predicted: Int[Tensor, "b"], most: int) -> Bool[Tensor, "b k"]:
    """The control that knows the class only: what most pictures of the predicted class have."""
    return _top(torch.nan_to_num(prototypes), most)[predicted]


def _top(scores: Tensor, most: int) -> Tensor:
    """The `most` highest of every row; of equal ones the first."""
    if not 1 <= most <= scores.shape[1]:
        raise InputError(f"a text may name 1 to {scores.shape[1]} attributes; got {most}")
    order = torch.argsort(scores, dim=1, descending=True, stable=True)[:, :most]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, torch.ones_like(order, dtype=torch.bool))


def _answered_otherwise(real: Bool[Tensor, "b k"], vocabulary: Vocabulary) -> Bool[Tensor, "b k"]:
    """Whether the question of an attribute is answered, by whichever of its values."""
    answered = torch.zeros_like(real)
    for group in vocabulary.groups:
        members = list(group.members)
        answered[:, members] = real[:, members].any(1, keepdim=True)
    return answered
