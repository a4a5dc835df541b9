import pytest
import torch

from sightline.errors import ResultError
from sightline.reports.scale import Scale, check_mode, own_scale, scale_of
from sightline.results import AttentionMap


def test_unsigned_scale_begins_at_zero_and_not_at_the_smallest_value():
    assert scale_of(torch.tensor([[5.0, 5.1]])) == Scale(0.0, pytest.approx(5.1))


def test_unsigned_scale_reaches_below_zero_where_values_do():
    assert scale_of(torch.tensor([-2.0, 1.0])) == Scale(-2.0, 1.0)


def test_signed_scale_is_centred_at_zero():
    scale = own_scale(AttentionMap(torch.tensor([[-1.0, 4.0]]), "s", signed=True))
    assert scale == Scale(-4.0, 4.0, signed=True)
    assert scale.positions(torch.tensor([[0.0]])).item() == 0.5


def test_values_that_are_not_finite_do_not_count():
    assert scale_of(torch.tensor([float("nan"), float("inf"), 2.0])) == Scale(0.0, 2.0)


def test_a_map_of_zeros_lies_at_the_bottom_and_is_not_stretched():
    zeros = torch.zeros(2, 2)
    assert scale_of(zeros).positions(zeros).tolist() == zeros.tolist()
    assert scale_of(zeros, signed=True).positions(zeros).unique().tolist() == [0.5]


def test_an_unknown_mode_is_refused_with_the_known_ones():
    with pytest.raises(ResultError, match="own, shared"):
        check_mode("min-max")
