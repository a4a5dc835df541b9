"""Where the evidence lies, in words; against sums over single pixels."""

import pytest
import torch

from sightline.reports.headline import against_share, clause, sure
from sightline.reports.where import LARGEST, NINTHS, SCATTERED, SPOTS, SPREAD, fewest, part_shares, place_words
from sightline.results import AttentionMap, Decision, Domain


def naive_ninths(values):
    """Mass per part of a 3x3 grid: every cell is cut into 9 x 9 equal crumbs, and crumbs are counted."""
    height, width = values.shape
    total = sum(max(float(value), 0.0) for value in values.flatten())
    parts = [0.0] * 9
    for row in range(9 * height):
        for column in range(9 * width):
            value = max(float(values[row // 9, column // 9]), 0.0) / 81 / total
            parts[3 * int(3 * (row + 0.5) / (9 * height)) + int(3 * (column + 0.5) / (9 * width))] += value
    return parts


def naive_fewest(shares):
    """The smallest set of parts that holds half, by trying larger and larger ones in order of mass."""
    order = sorted(range(len(shares)), key=lambda place: (-round(shares[place], 9), place))
    for count in range(1, len(order) + 1):
        if sum(shares[place] for place in order[:count]) >= 0.5 - 1e-9:
            return tuple(order[:count])
    raise AssertionError


def naive_half(values):
    """Share of the cells that hold half of the mass, of which the last counts in part."""
    order, whole, held = sorted(values.flatten().tolist(), reverse=True), float(values.sum()), 0.0
    for count, value in enumerate(order):
        if held + value >= whole / 2:
            return (count + (whole / 2 - held) / value) / len(order)
        held += value
    raise AssertionError


@pytest.mark.parametrize("shape", [(3, 3), (7, 7), (5, 8), (2, 9)])
@pytest.mark.parametrize("signed", [False, True])
def test_shares_are_those_of_a_naive_count(shape, signed):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    map_ = AttentionMap(values if signed else values.relu(), "s", signed=signed)
    assert part_shares(map_) == pytest.approx(naive_ninths(map_.values), abs=1e-6)
    if signed:
        assert part_shares(map_, against=True) == pytest.approx(naive_ninths(-values), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_the_named_parts_are_the_fewest_that_hold_half(seed):
    values = torch.rand(6, 9, generator=torch.Generator().manual_seed(seed)) ** 8
    map_ = AttentionMap(values, "s")
    shares = naive_ninths(values)
    best = naive_fewest(shares)
    assert fewest(part_shares(map_)) == best
    words = place_words(map_)
    few = naive_half(values) < SPOTS
    assert (words == SPREAD) == (len(best) > LARGEST * 9 and not few)
    assert (words == SCATTERED) == (len(best) > LARGEST * 9 and few)
    if len(best) < 3:
        assert [name for name in NINTHS if f"{name} " in f"{words} "] == [NINTHS[place] for place in sorted(best)]


@pytest.mark.parametrize("place", range(9))
def test_one_part_is_called_by_its_name(place):
    values = torch.zeros(9)
    values[place] = 1.0
    assert place_words(AttentionMap(values.reshape(3, 3), "s")) == f"mostly {NINTHS[place]}"


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ((0, 1, 2), "mostly the upper third"),
        ((2, 5, 8), "mostly the right third"),
        ((3, 4, 5), "mostly a band across the middle"),
    ],
)
def test_three_parts_in_a_line_are_one_thing(places, words):
    values = torch.full((9,), 0.07)
    values[list(places)] = 0.2  # two of the three are not half of it
    assert place_words(AttentionMap(values.reshape(3, 3), "s")) == words


def test_even_evidence_has_no_place():
    assert place_words(AttentionMap(torch.eye(9).roll(4, 1) + 1.0, "s")) == SPREAD


def test_evidence_of_which_half_lies_in_a_few_samples_of_a_signal_is_not_everywhere():
    line = torch.full((1, 900), 0.001)
    line[0, [100, 500, 505]] = 1.0
    assert place_words(AttentionMap(line, "s")) == "mostly the middle"
    line[0, 505] = 0.0
    assert place_words(AttentionMap(line, "s")) == "mostly the beginning and the middle"
    assert place_words(AttentionMap(-line, "s", signed=True), against=True) == "mostly the beginning and the middle"
    assert clause(AttentionMap(line, "s")) == "the network looked mostly at the beginning and the middle"


def test_small_spots_in_many_parts_are_called_so():
    values = torch.zeros(30, 30)
    values[5::10, 5::10] = 1.0
    assert place_words(AttentionMap(values, "s")) == SCATTERED
    assert clause(AttentionMap(values, "s")) == "the network looked mostly at small spots far apart"


def test_a_line_and_frames_have_words_of_their_own():
    line = AttentionMap(torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.1, 0.9]]), "s")
    assert place_words(line) == "mostly the end"
    frames = AttentionMap(
        torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]]), "s", Domain("image", ("0.0 s", "0.5 s", "1.0 s"))
    )
    assert place_words(frames) == "mostly 0.5 s"


def test_the_sentence_says_where_and_what_speaks_against_it():
    values = torch.zeros(3, 3)
    values[0, 0], values[2, 2] = 3.0, -1.0
    map_ = AttentionMap(values, "s", signed=True)
    assert against_share(map_) == pytest.approx(0.25)
    assert (
        clause(map_)
        == "the network looked mostly at the upper left; the evidence against it is mostly in the lower right"
    )
    values[2, 2] = -0.1
    assert clause(AttentionMap(values, "s", signed=True)) == "the network looked mostly at the upper left"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (torch.zeros(3, 3), "every value of its map is zero"),
        (torch.ones(3, 3), "every value of its map is the same"),
        (torch.tensor([[float("nan"), 1.0]]), "some values of its map are not finite"),
    ],
)
def test_a_map_without_evidence_says_why(values, reason):
    assert clause(AttentionMap(values, "s")) == f"this layer shows no evidence, because {reason}"


def test_a_map_with_evidence_against_alone_says_where_that_is():
    map_ = AttentionMap(-torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), "s", signed=True)
    assert clause(map_) == "this layer shows no evidence for it; the evidence against it is mostly in the upper right"


@pytest.mark.parametrize(
    ("probability", "words"),
    [(None, "score 1.5"), (0.87, "87 % sure"), (0.9999, "more than 99 % sure"), (0.001, "less than 1 % sure")],
)
def test_how_sure_it_is_is_said_in_whole_percent(probability, words):
    assert sure(Decision("cat", 1.5, probability=probability)) == words


def test_words_are_about_the_photo_and_not_about_bars_around_it():
    values = torch.zeros(8, 8)
    values[0, :], values[3, 1] = 3.0, 4.0
    map_, crop = AttentionMap(values, "layer"), (0.0, -0.5, 1.0, 2.0)
    assert place_words(map_, crop=crop) == "mostly the left"
    values[3, 1] = 0.0
    assert place_words(AttentionMap(values, "layer"), crop=crop) == "mostly the bars around the photo"
    assert part_shares(AttentionMap(values, "layer"), crop=crop) == (0.0,) * 9
