"""Numbers as people type them."""

import pytest

from sightline.common.numbers import check_seed, real, whole
from sightline.errors import InputError

ODD = ("", "²", "½", "Ⅷ", "1_0", "0x10", "9" * 5000, "nan", "inf", "1e999", "--1", "1 2", "x")


@pytest.mark.parametrize("text", ODD)
def test_what_is_no_number_is_none(text):
    assert whole(text) is None
    assert real(text) is None or text == "9" * 5000


def test_numbers_are_read():
    assert (whole("-3"), whole("+07"), real(" 1.5e2 "), real("-0")) == (-3, 7, 150.0, 0.0)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_a_seed_that_some_generator_would_refuse_is_refused(seed):
    with pytest.raises(InputError, match=r"from 0 to 4294967295"):
        check_seed(seed)


def test_the_largest_seed_is_taken():
    assert check_seed(2**32 - 1) == 4294967295
