"""The search for the lowest point finds it, and the gradients that losses write out are theirs."""

import math

import numpy as np
import pytest
import torch

from sightline.training.descent import lowest
from sightline.training.labels import probe as labels
from sightline.training.labels.objective import label_loss
from sightline.training.probe import Features, LinearHead, fitted, linear_probe, span


def test_the_lowest_point_of_a_quadratic_is_the_solution_of_its_equations() -> None:
    draw = torch.Generator().manual_seed(0)
    root = torch.randn(6, 6, generator=draw).double()
    table, goal = root @ root.T + torch.eye(6), torch.randn(6, generator=draw).double()

    def slope(point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = point.flatten()
        return flat @ table @ flat / 2 - goal @ flat, (table @ flat - goal).reshape(point.shape)

    end = lowest(slope, torch.zeros(2, 3).double(), 200)
    assert torch.allclose(end.flatten(), torch.linalg.solve(table, goal), atol=1e-4)
    assert float(slope(lowest(slope, end, 0))[0]) == float(slope(end)[0])
    assert float(slope(lowest(slope, torch.zeros(2, 3).double(), 1))[0]) > float(slope(end)[0]) + 1e-3


def marks(unknown: bool) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(50, 7, generator=draw).double()
    truth = (x @ torch.randn(7, 3, generator=draw).double() + torch.randn(50, 3, generator=draw) > 0).double()
    return x, truth.masked_fill(torch.rand(50, 3, generator=draw) < 0.3, math.nan) if unknown else truth


@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_labels_are_fitted_as_scikit_learn_fits_each(strength: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, truth = marks(unknown=False)
    weight, bias = labels._fitted(x, truth, strength, None)
    for label in range(3):
        theirs = linear_model.LogisticRegression(C=1 / (strength * 50), tol=1e-10, max_iter=10_000)
        theirs.fit(x.numpy(), truth[:, label].numpy())
        assert np.allclose(weight[label].numpy(), theirs.coef_[0], atol=1e-3)
        assert float(bias[label]) == pytest.approx(float(theirs.intercept_[0]), abs=1e-3)


def test_unknown_labels_take_no_part_in_a_fit() -> None:
    x, truth = marks(unknown=True)
    weight, bias = (part.clone().requires_grad_() for part in labels._fitted(x, truth, 0.1, None))
    loss = 3 * label_loss(x @ weight.T + bias, truth) + 0.05 * weight.square().sum()
    assert all(float(part.abs().max()) < 1e-4 for part in torch.autograd.grad(loss, (weight, bias)))


def test_a_fit_to_few_pictures_lies_in_their_span() -> None:
    draw = torch.Generator().manual_seed(2)
    x, own = torch.randn(12, 40, generator=draw).double(), torch.arange(12) % 3
    directions = span(x)
    assert directions is not None
    assert directions.shape == (12, 40)
    assert torch.allclose(directions @ directions.T, torch.eye(12).double(), atol=1e-9)
    whole, _ = fitted(x, own, 3, 0.1)
    within, _ = fitted(x @ directions.T, own, 3, 0.1)
    assert torch.allclose(within @ directions, whole, atol=1e-4)
    assert span(x[:, :12]) is None


def test_the_probe_of_few_pictures_is_the_fit_in_all_directions() -> None:
    draw = torch.Generator().manual_seed(3)
    x, own = 3 * torch.randn(12, 40, generator=draw) + 1, torch.arange(12) % 3
    probe = linear_probe(Features(x, own, x, own))
    wide, mean, scale = x.double(), x.double().mean(0), x.double().std(0)
    expected = LinearHead.of(*fitted((wide - mean) / scale, own, 3, probe.strength), mean, scale)
    assert probe.head is not None
    assert torch.allclose(probe.head.weight, expected.weight, atol=1e-3)
    assert torch.allclose(probe.head.bias, expected.bias, atol=1e-3)
    assert float(expected.weight.abs().max()) > 1e-2
