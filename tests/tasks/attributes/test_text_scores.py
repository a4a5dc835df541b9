import math

import pytest
import torch

from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.metrics.texts import (
    blind_mentions,
    class_mentions,
    mention_table,
    text_counts,
)

GROUPS = (3, 2, 1, 1)


def birds():
    return Vocabulary(
        tuple(Attribute(f"g{g}::{v}", f"g{g}", str(v)) for g, size in enumerate(GROUPS) for v in range(size))
    )


def table(*rows):
    return torch.tensor(rows).bool()


def random_world(seed=0, b=40):
    g = torch.Generator().manual_seed(seed)
    draw = lambda share: torch.rand(b, 7, generator=g) < share  # noqa: E731
    return draw(0.4), draw(0.3).float(), draw(0.7)


def naive(mentions, truth, known):
    """Every count one by one, as the definitions have them."""
    words, rows = birds(), []
    for i in range(len(mentions)):
        named = [k for k in range(7) if mentions[i, k]]
        judged = [k for k in named if known[i, k]]
        there = [k for k in range(7) if known[i, k] and truth[i, k]]
        wrong = [k for k in judged if k not in there]
        flips = [k for k in wrong if any(words.group_of[k] == words.group_of[other] for other in there)]
        rows.append([len(named), len(judged), len(set(judged) & set(there)), len(flips), len(there)])
    return torch.tensor(rows).double()


def test_counts_equal_counting_one_by_one():
    mentions, truth, known = random_world()
    found = text_counts(mentions, truth, known, birds())
    counts = torch.stack([found.mentioned, found.judged, found.hits, found.flips, found.present], 1)
    assert torch.equal(counts, naive(mentions, truth, known))
    assert found.flips.sum() > 5


def test_scores_are_what_their_definitions_say():
    mentions, truth, known = random_world()
    found, n = text_counts(mentions, truth, known, birds()), naive(mentions, truth, known).sum(0)
    precision, recall = float(n[2] / n[1]), float(n[2] / n[4])
    assert found.precision().mean == pytest.approx(precision)
    assert found.recall().mean == pytest.approx(recall)
    assert found.value_flips().mean == pytest.approx(float(n[3] / n[1]))
    assert found.not_visible().mean == pytest.approx(float((n[0] - n[1]) / n[0]))
    assert recall != pytest.approx(precision)


def test_a_perfect_text_and_a_wrong_one():
    truth, known = table([1, 0, 0, 1, 0, 1, 0]).float(), torch.ones(1, 7).bool()
    right = text_counts(truth.bool(), truth, known, birds())
    assert (right.precision().mean, right.recall().mean) == (1, 1)
    flipped = text_counts(table([0, 1, 0, 0, 1, 0, 0]), truth, known, birds())
    assert (flipped.precision().mean, flipped.value_flips().mean) == (0, 1)
    elsewhere = text_counts(table([0, 0, 0, 0, 0, 0, 1]), truth, known, birds())
    assert (elsewhere.precision().mean, elsewhere.value_flips().mean) == (0, 0)


def test_what_cannot_be_seen_counts_neither_for_nor_against():
    mentions, truth = table([1, 0, 0, 0, 1, 0, 0]), table([1, 0, 0, 0, 0, 1, 0]).float()
    known = table([1, 1, 1, 0, 0, 0, 1])
    truth[~known] = math.nan
    found = text_counts(mentions, truth, known, birds())
    assert found.precision().mean == 1
    assert found.recall().mean == 1
    assert found.not_visible().mean == 0.5


def test_silence_is_counted_and_has_no_precision():
    nothing = torch.zeros(3, 7).bool()
    found = text_counts(nothing, torch.ones(3, 7), torch.ones(3, 7).bool(), birds())
    assert math.isnan(found.precision().mean)
    assert (found.recall().mean, found.silent().mean) == (0, 1)


def test_the_blind_null_says_the_same_of_every_picture():
    found = blind_mentions(torch.tensor([0.2, 0.9, 0.5, 0.9]), 2, 3)
    assert found.tolist() == [[False, True, False, True]] * 3


def test_the_class_null_says_what_the_class_has():
    prototypes, predicted = torch.tensor([[0.9, 0.8, 0.1], [0.9, 0.0, 0.2]]), torch.tensor([1, 0, 0])
    assert class_mentions(prototypes, predicted, 1).int().argmax(1).tolist() == [0, 0, 0]


def test_lists_become_a_table():
    assert torch.equal(mention_table([[2, 0], []], 3), table([1, 0, 1], [0, 0, 0]))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: text_counts(torch.ones(2, 7).bool(), torch.ones(2, 6), torch.ones(2, 7).bool(), birds()),
        lambda: text_counts(torch.ones(2, 7).bool(), torch.full((2, 7), 50.0), torch.ones(2, 7).bool(), birds()),
        lambda: blind_mentions(torch.ones(3), 4, 1),
    ],
)
def test_what_does_not_fit_is_refused(ask):
    with pytest.raises(InputError, match="got"):
        ask()


FEWER = {
    3: 58, 5: 44, 6: 41, 7: 53, 8: 48, 9: 59, 12: 56, 15: 58, 16: 58, 17: 57, 18: 45, 19: 59, 20: 59, 22: 56, 23: 59,
    24: 52, 28: 59, 32: 53, 33: 59, 34: 59, 37: 59, 39: 59, 43: 59, 58: 58, 60: 59, 65: 50, 75: 57, 78: 59, 84: 53,
    97: 59, 101: 50, 105: 49, 107: 59, 113: 50, 115: 59, 117: 59, 119: 59, 124: 59, 125: 59, 126: 59, 135: 59,
    141: 58, 149: 59, 151: 51, 153: 59, 157: 59, 160: 59, 166: 59, 168: 59, 169: 59, 178: 56, 179: 59, 181: 59,
    187: 50, 190: 58, 196: 59,
}  # fmt: skip
"""Pictures of each class of CUB-200-2011 that has not 60."""


@pytest.fixture(scope="module")
def cub(pack):
    file = pack / "cub_200_2011_subset" / "CUB_200_2011" / "attributes" / "class_attribute_labels_continuous.txt"
    rows = [[float(value) / 100 for value in line.split()] for line in file.read_text().splitlines()]
    sizes = torch.tensor([FEWER.get(y + 1, 60) for y in range(200)])
    assert sizes.sum() == 11788
    words = Vocabulary(tuple(Attribute(str(k), str(k), "") for k in range(312)))
    return words, torch.tensor(rows, dtype=torch.float64), torch.arange(200).repeat_interleave(sizes)


@pytest.mark.parametrize(
    ("most", "blind", "named"),
    [(3, 0.717, 0.902), (5, 0.649, 0.869), (10, 0.562, 0.813)],
)
def test_the_nulls_on_all_pictures_of_cub_reach_what_was_measured(cub, most, blind, named):
    words, prototypes, labels = cub
    truth, known = prototypes[labels], torch.ones(len(labels), 312, dtype=torch.bool)
    controls = {
        blind: blind_mentions(truth.mean(0), most, len(labels)),
        named: class_mentions(prototypes, labels, most),
    }
    for want, mentions in controls.items():
        counts = text_counts(mentions, truth, known, words)
        assert round(float(counts.hits.sum() / counts.judged.sum()), 3) == want
