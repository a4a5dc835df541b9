"""Methods are judged by the probabilities that the model means, and on outputs of any shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.compare.measure import Settings, measure
from sightline.compare.samples import Batch


class Net(nn.Module):
    def __init__(self, end: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(6, 4)
        self.end = end

    def forward(self, x: Tensor) -> Any:
        return self.end(self.fc(self.body(x).mean((2, 3))) * 10)


X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
SETTINGS = Settings(methods=("occlusion", "random"), metrics=("deletion", "average-drop"), places=("late",))


def values(end: Any) -> list[float]:
    rows = list(measure(Net(end).eval(), Batch(X, None), ["a", "b"], SETTINGS))
    return [row.value for row in rows if row.method == "random"]


@pytest.mark.parametrize(
    "end",
    [
        lambda y: {"loss": y.mean(), "logits": y},
        lambda y: y[:, :, None, None],
        lambda y: y.log_softmax(1),
        lambda y: (y.argmax(1), y, None),
    ],
)
def test_logits_in_any_output_are_judged_as_plain_logits_are(end: Any) -> None:
    assert values(end) == pytest.approx(values(lambda y: y), abs=1e-5)


@pytest.mark.parametrize("end", [lambda y: y.softmax(1), lambda y: {"scores": y.softmax(1)}])
def test_no_soft_max_is_taken_of_a_soft_max(end: Any) -> None:
    """The control knows nothing of the model, so its scores are those of the plain logits."""
    assert values(end) == pytest.approx(values(lambda y: y), abs=1e-5)
