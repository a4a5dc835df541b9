"""Tiny worlds whose scores can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from sightline.metrics import Probe


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _one_core() -> Iterator[None]:
    """Tiny tensors are slower on many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def total() -> Callable[[Tensor, Tensor], Tensor]:
    """A reader: the decision's score is the sum of everything that is left of the input."""
    return lambda output, samples: output.flatten(1).sum(1)


@pytest.fixture
def adder(total: Callable[[Tensor, Tensor], Tensor]) -> Probe:
    """A probe of the sum of the inputs; the score of an element is its value."""
    return Probe(lambda x: x, total)


@pytest.fixture
def network() -> nn.Module:
    """A small convolutional classifier with dropout and batch norm, in training mode."""
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(24, 4),
    )
    with torch.no_grad():
        model[6].weight.mul_(6)
    return model.train()
