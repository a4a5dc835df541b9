"""The choice model: shares, availability, and what the binary case is of it."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare
from torch.nn import functional as F

from sightline.errors import DataError
from sightline.tasks.clicks.network.choice import choice_log_shares, choice_loss, click_loss

V = torch.tensor([[0.3, -1.0, 1.2, 0.0]], dtype=torch.float64)


def test_the_best_of_utilities_with_gumbel_noise_is_chosen_by_softmax() -> None:
    draw = torch.Generator().manual_seed(0)
    noise = -(-torch.rand(40_000, 4, generator=draw, dtype=torch.float64).log()).log()
    counts = torch.bincount((V + noise).argmax(1), minlength=4)
    expected = choice_log_shares(V)[0].exp() * len(noise)
    assert chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-3


def test_a_click_against_nothing_is_the_sigmoid_of_the_difference() -> None:
    two = torch.tensor([[0.7, 0.0], [-0.4, 0.0]], dtype=torch.float64)
    assert torch.allclose(choice_log_shares(two)[:, 0].exp(), torch.sigmoid(two[:, 0]))
    clicked = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert torch.allclose(choice_loss(two, (1 - clicked).long()), click_loss(two[:, 0], clicked))


def test_what_is_added_to_all_utilities_does_not_matter() -> None:
    assert torch.allclose(choice_log_shares(V + 3), choice_log_shares(V))


def test_ratios_stay_when_an_alternative_goes() -> None:
    available = torch.tensor([[True, True, False, True]])
    whole, rest = choice_log_shares(V).exp()[0], choice_log_shares(V, available).exp()[0]
    assert rest[2] == 0
    assert torch.allclose(rest[0] / rest[1], whole[0] / whole[1])
    assert torch.allclose(rest.sum(), torch.tensor(1.0, dtype=torch.float64))
    assert torch.allclose(rest[[0, 1, 3]], F.softmax(V[0, [0, 1, 3]], 0))


def test_a_choice_of_what_was_not_available_is_refused() -> None:
    available = torch.tensor([[True, False, True, True]])
    with pytest.raises(DataError, match="row 0 chose alternative 1, which was not available"):
        choice_loss(V, torch.tensor([1]), available)
    with pytest.raises(DataError, match="row 0 has no alternative that is available"):
        choice_log_shares(V, torch.zeros(1, 4, dtype=torch.bool))
