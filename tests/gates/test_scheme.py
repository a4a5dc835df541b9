"""A scheme is bits and integers at once, and refuses what does not fit."""

import itertools

import pytest
import torch

from sightline.errors import GateError
from sightline.gates import Scheme
from sightline.gates.scheme import scheme_of

RESNET50 = (3, 4, 6, 3)


@pytest.mark.parametrize(
    ("ints", "bits", "plugged"),
    [
        ((6, 3, 50, 3), "110|0011|110010|011", 9),
        ((4, 11, 19, 3), "100|1011|010011|011", 9),
        ((2, 2, 51, 1), "010|0010|110011|001", 7),
        ((7, 15, 63, 7), "111|1111|111111|111", 16),
        ((0, 0, 0, 0), "000|0000|000000|000", 0),
    ],
)
def test_the_authors_integers_are_read_and_written(ints, bits, plugged):
    scheme = Scheme.from_ints(ints, RESNET50)
    assert str(scheme) == bits
    assert scheme.ints == ints
    assert sum(scheme.flat()) == plugged
    assert scheme.density == plugged / 16


def test_every_scheme_of_a_small_net_goes_there_and_back():
    lengths = (2, 1, 3)
    seen = set()
    for ints in itertools.product(range(4), range(2), range(8)):
        scheme = Scheme.from_ints(ints, lengths)
        assert scheme.ints == ints
        assert Scheme.parse(str(scheme), lengths) == Scheme.parse(",".join(map(str, ints)), lengths) == scheme
        assert scheme.lengths == lengths
        seen.add(scheme)
    assert len(seen) == 64


def test_words_stand_for_schemes():
    assert scheme_of(None, RESNET50) == Scheme.parse("dense", RESNET50) == Scheme.dense(RESNET50)
    assert scheme_of("empty", RESNET50).ints == (0, 0, 0, 0)
    assert str(scheme_of("every-2", RESNET50)) == "101|1010|101010|101"
    assert str(Scheme.every(3, RESNET50)) == "100|1001|100100|100"
    assert scheme_of((6, 3, 50, 3), RESNET50) == scheme_of(" (6, 3, 50, 3) ", RESNET50)


def test_numbers_and_truth_values_make_the_same_scheme():
    assert Scheme(((1, 0), (1,))) == Scheme(((True, False), (True,)))
    assert hash(Scheme(((1, 0),))) == hash(Scheme(((True, False),)))


def test_random_schemes_repeat_with_their_seed():
    draw = [Scheme.random((50, 50), torch.Generator().manual_seed(3)) for _ in range(2)]
    assert draw[0] == draw[1]
    assert 0.3 < draw[0].density < 0.7


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((8, 3, 50, 3), "stage 1 has 3 blocks, so its number is 0 to 7, but is 8"),
        ((-1, 3, 50, 3), "stage 1 has 3 blocks"),
        ((6, 3, 50), "has 3 stages, the network 4, with \\(3, 4, 6, 3\\) blocks"),
        ("110|0011|11001|011", "stage 3 has 6 blocks, but the scheme has 5 bits"),
        ("thick", "is not understood; write dense"),
        ("every-0", "every k-th block"),
        ("110|0012|110010|011", "is not understood"),
        (Scheme.dense((2, 2)), "has 2 stages, the network 4"),
    ],
)
def test_a_scheme_that_does_not_fit_is_refused_with_one_that_does(given, says):
    with pytest.raises(GateError, match=says):
        scheme_of(given, RESNET50)


def test_bits_are_zero_and_one():
    with pytest.raises(GateError, match="bits of a scheme are 0 and 1, not 2"):
        Scheme(((1, 2),))
