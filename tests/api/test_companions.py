"""Models of several inputs: one is explained, the others go with it, cut and repeated as the batch is."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import InputError


class TwoInputs(nn.Module):
    """A picture and a row of numbers for each sample, and a mask and a scale for all."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.head, self.table = nn.Linear(6, 4), nn.Linear(5, 6)

    def forward(self, pixel_values: Tensor, table: Tensor, ids: Tensor | None = None, scale: float = 1.0) -> Tensor:
        features = self.body(pixel_values).mean((2, 3)) * self.table(table).sigmoid() * scale
        if ids is not None:
            features = features * ids[:, None]
        return self.head(features)


class Bound(nn.Module):
    """The same with its other inputs fixed: what plain use gives."""

    def __init__(self, model: TwoInputs, **others: Any) -> None:
        super().__init__()
        self.inner, self.others = model, others

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, **self.others)


X, TABLE, IDS = torch.rand(3, 3, 8, 8), torch.rand(3, 5), torch.tensor([1, 2, 3])
METHODS = ["gradcam", "lrp", "naflow", "scorecam", "ablationcam", "occlusion", "saliency", "eigencam"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("wrap", [dict, UserDict])
def test_the_others_go_with_the_part_that_is_explained(
    method: str, batch_size: int | None, wrap: Callable[[Any], Any]
) -> None:
    model = TwoInputs().eval()
    inputs = wrap({"pixel_values": X, "ids": IDS, "table": TABLE, "scale": 2.0})
    results = sightline.explain(model, inputs, explained="pixel_values", target=1, method=method,
                                batch_size=batch_size)  # fmt: skip
    for i, item in enumerate(results):
        alone = Bound(model, table=TABLE[i : i + 1], ids=IDS[i : i + 1], scale=2.0)
        wanted = sightline.explain(alone, X[i : i + 1], target=1, method=method).one()
        assert item.decision.score == pytest.approx(wanted.decision.score, rel=1e-5)
        assert [f"inner.{name}" if name != "input" else name for name in item.flow] == list(wanted.flow)
        for map_, other in zip(item.flow.maps, wanted.flow.maps, strict=True):
            # Occlusion takes scores of about 1 from each other: their rounding is what is left of small differences.
            assert torch.allclose(map_.values, other.values, atol=2e-7 + 1e-5 * float(other.values.abs().max()))


def test_each_part_that_holds_floats_is_explained_when_all_are_asked_for() -> None:
    class TwoPictures(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)
            self.head = nn.Linear(4, 3)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return self.head((self.left(left).relu() * 2).mean((2, 3)) + self.right(right).relu().mean((2, 3)))

    model, pair = TwoPictures().eval(), (torch.rand(2, 3, 8, 8), torch.rand(2, 1, 12, 6))
    results = sightline.explain(model, pair, explained="all", method="gradcam", layers="convs")
    assert [item.provenance["input"] for item in results] == ["0", "0", "1", "1"]
    assert results[0].flow.layers == ("left",)
    assert results[2].flow.layers == ("right",)
    assert results[2].flow[0].shape == (10, 4)
    with pytest.raises(InputError, match=r"several parts .* hold floats: 0, 1"):
        sightline.explain(model, pair, method="gradcam")


def test_a_part_that_is_not_there_is_named_with_those_that_are() -> None:
    model = TwoInputs().eval()
    with pytest.raises(InputError, match=r"no part 'pixels' of floats; they hold 'pixel_values' \(3, 3, 8, 8\)"):
        sightline.explain(model, {"pixel_values": X, "table": TABLE}, explained="pixels")
    with pytest.raises(InputError, match="no part of the inputs holds floats"):
        sightline.explain(model, {"ids": IDS})
    with pytest.raises(InputError, match="one tensor"):
        sightline.explain(model, X, explained="pixel_values")
