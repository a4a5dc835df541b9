"""Heads that answer for pictures that they have not seen, on few pictures and on many."""

import pytest
import torch

from sightline.tasks.attributes.audit.crossfit import PICTURES, WIDTH, folds, narrowed, out_of_fold
from sightline.tasks.attributes.audit.observed import Question


@pytest.mark.parametrize("count", [60, 90, 150])
def test_few_pictures_with_many_features_are_answered_out_of_fold(count: int) -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    features = torch.randn(count, 600, generator=draw) + 2 * torch.randn(3, 600, generator=draw)[labels]
    fold = folds([f"{at}.png" for at in range(count)])
    hot = torch.nn.functional.one_hot(labels, 3).float()
    question = Question("class", (0, 1, 2), exclusive=True)
    answers = out_of_fold(narrowed(features), hot, torch.ones(count, 3), (question,), fold, penalty=0.05)
    assert float((answers.argmax(1) == labels).float().mean()) > 0.9


def test_components_are_of_unit_spread_and_fewer_than_the_pictures() -> None:
    draw = torch.Generator().manual_seed(1)
    few, many, narrow = (torch.randn(*shape, generator=draw) for shape in ((90, 300), (600, 300), (90, 20)))
    assert narrowed(few).shape == (90, 90 // PICTURES)
    assert narrowed(many).shape == (600, WIDTH)
    assert narrowed(narrow).shape == (90, 20)
    assert torch.allclose(narrowed(few).std(0), torch.ones(90 // PICTURES, dtype=torch.float64))
