"""Where networks end that declare nothing: the layer of the logits, the last places, layers that nothing uses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.errors import ModelError
from sightline.models.ends import last_places, maker_of
from sightline.models.trunk import Trunk
from sightline.models.unused import drop_unused

SIZE = (16, 16)


class HeadFirst(nn.Module):
    """Its head comes first in the tree, and its output is a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict = nn.Linear(6, 3)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.features = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.more = nn.Sequential(nn.Conv2d(4, 5, 3, padding=1), nn.ReLU())
        self.neck = nn.Linear(5, 6)

    def grid(self, x: Tensor) -> Tensor:
        out: Tensor = self.more(self.features(self.stem(x)))
        return out

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.verdict(self.neck(self.grid(x).mean((2, 3))).relu())}


class ScoredPlaces(nn.Module):
    """It ends in a 1 x 1 convolution whose scores pass a ReLU before their mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.score = nn.Conv2d(4, 3, 1)

    def grid(self, x: Tensor) -> Tensor:
        out: Tensor = self.stem(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        return fn.adaptive_avg_pool2d(self.score(self.grid(x)).relu(), 1).flatten(1)


class Inside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = HeadFirst()

    def grid(self, x: Tensor) -> Tensor:
        return self.model.grid(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)["logits"]  # type: ignore[no-any-return]


ENDS = {HeadFirst: "verdict", ScoredPlaces: "score", Inside: "model.verdict"}


@pytest.mark.parametrize("kind", ENDS)
def test_the_layer_of_the_logits_is_read_off_what_ran(kind: type[nn.Module]) -> None:
    net = kind().eval()
    assert maker_of(net, SIZE) == ENDS[kind]
    assert maker_of(nn.Sequential(nn.Flatten(), nn.Softmax(1), nn.Conv1d(1, 1, 1)), SIZE) is None


@pytest.mark.parametrize("kind", ENDS)
def test_a_trunk_gives_all_that_comes_before_the_head(kind: type[nn.Module]) -> None:
    net, x = kind().eval(), torch.randn(2, 3, *SIZE)
    wanted = net.grid(x)  # type: ignore[operator]
    assert torch.equal(Trunk(net, SIZE)(x), wanted)


def test_a_network_without_places_or_for_other_pictures_is_refused() -> None:
    with pytest.raises(ModelError, match="no part of Sequential has places"):
        last_places(nn.Sequential(nn.Flatten(), nn.Linear(768, 4), nn.Linear(4, 2)), SIZE)
    with pytest.raises(ModelError, match="takes no pictures of 16 x 16 pixels"):
        last_places(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(8, 2)), SIZE)


class Mixing(nn.Module):
    """Its second layer never runs: a function takes its weights, as in an attention."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 2)

    def grid(self, x: Tensor) -> Tensor:
        grid = self.first(x).permute(0, 2, 3, 1)
        return fn.linear(grid, self.second.weight, self.second.bias).permute(0, 3, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.pool(self.grid(x)).flatten(1))
        return out


def test_only_layers_that_nothing_uses_are_taken_away() -> None:
    net, x = Mixing().eval(), torch.randn(1, 3, *SIZE)
    for weight in net.second.parameters():
        weight.requires_grad_(False)
    wanted = net.grid(x)
    trunk = drop_unused(Trunk(net, SIZE), SIZE)
    assert torch.equal(trunk(x), wanted)
    assert isinstance(trunk.body.head, nn.Identity)
    assert [weight.requires_grad for weight in trunk.parameters()] == [True, True, False, False]
