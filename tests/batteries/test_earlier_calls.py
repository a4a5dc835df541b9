"""Contract 3: what a call gives never depends on earlier calls - for every tiny model, and every change of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

import sightline
from sightline.errors import SightlineError
from tests.tiny import TINY, build, output_of, picture

Maps = dict[str, torch.Tensor] | str


def maps(model: nn.Module, x: torch.Tensor, name: str = "", **more: Any) -> Maps:
    """The maps of the first picture by layer, or the refusal."""
    try:
        item = sightline.explain(model, x, target=1, output=output_of(name) if name else None, **more)[0]
    except SightlineError as problem:
        return f"{type(problem).__name__}: {problem}"
    return {map_.layer: map_.values for map_ in item.flow.maps}


def same(a: Maps, b: Maps) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return a.keys() == b.keys() and all(torch.equal(a[layer], b[layer]) for layer in a)


def silent(model: nn.Module) -> None:
    """Weights change behind torch's back: no version counter moves, and most values stay."""
    for parameter in model.parameters():
        flat = parameter.detach().numpy().reshape(-1)
        flat[[1, -1]] = flat[[-1, 1]] * 3 + 0.1


def loaded(model: nn.Module) -> None:
    model.load_state_dict({name: value * 1.5 for name, value in model.state_dict().items()})


def stepped(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.SGD(model.parameters(), lr=0.05).step()


def trained(model: nn.Module) -> None:
    model.train()


def frozen(model: nn.Module) -> None:
    model.requires_grad_(False)


def hooked(model: nn.Module) -> None:
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_hook(lambda module, args, output: output * 2)


def out_of_place(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = not module.inplace


def widened(model: nn.Module) -> None:
    """Every convolution but depthwise ones is another object with other weights."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d:
                setattr(parent, name, copy.deepcopy(child))
                torch.manual_seed(3)
                getattr(parent, name).reset_parameters()


CHANGES: tuple[Callable[[nn.Module], None], ...] = (
    silent, loaded, stepped, trained, frozen, hooked, out_of_place, widened
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("how", [{"method": "gradcam", "layers": "last"}, {"method": "naflow"}, {"method": "lrp"}],
                         ids=["gradcam", "naflow", "lrp"])  # fmt: skip
def test_a_changed_model_gives_what_a_fresh_copy_of_it_gives(
    name: str, change: Callable[[nn.Module], None], how: dict[str, Any]
) -> None:
    model, x = build(name), picture()
    maps(model, x, name, **how)
    change(model)
    assert same(maps(model, x, name, **how), maps(copy.deepcopy(model), x, name, **how))


@pytest.mark.parametrize("name", TINY)
def test_another_size_and_another_precision_give_what_a_fresh_copy_gives(name: str) -> None:
    model = build(name)
    asked = [picture(), picture(1, 3, 8, 8), picture(1, 3, 32, 32), picture(3)]
    for layers in ("last", None):
        for x in (*asked, *asked[::-1]):
            assert same(
                maps(model, x, name, method="gradcam", layers=layers),
                maps(copy.deepcopy(model), x, name, method="gradcam", layers=layers),
            )
    for dtype in (torch.float64, torch.bfloat16, torch.float32):
        model.to(dtype)
        x = picture().to(dtype)
        for method in ("gradcam", "lrp"):
            assert same(maps(model, x, name, method=method), maps(copy.deepcopy(model), x, name, method=method))


def test_the_last_layer_is_that_of_the_picture_at_hand() -> None:
    model = resnet18(num_classes=3).eval()
    small, large = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 96, 96)
    for method in ("gradcam", "scorecam"):
        how = {"method": method, "layers": "last"} | ({"options": {"groups": 2}} if method == "scorecam" else {})
        layers = [list(maps(model, x, **how)) for x in (small, large, small, large)]
        assert layers == [["layer3.1"], ["layer4.1"]] * 2


def test_the_last_layer_is_that_of_the_model_as_it_is_now() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    ).eval()  # fmt: skip
    last = lambda: list(maps(net, picture(), method="gradcam", layers="last"))  # noqa: E731
    assert last() == ["3"]
    net.insert(4, nn.Conv2d(4, 4, 3, padding=1))
    net.insert(5, nn.ReLU())
    assert last() == ["5"]
    for at in (5, 4, 3, 2):
        del net[at]
    assert last() == ["1"]


class Tokens(nn.Module):
    """Patches as tokens, with registers before them."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.ones(1, 1, 6))
        self.register_tokens = nn.Parameter(torch.ones(1, 1, 6))
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.blocks = nn.Sequential(*[nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.LayerNorm(6)) for _ in range(3)])
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = torch.cat([self.cls_token, self.register_tokens], 1).expand(len(x), -1, -1)
        return self.head(self.blocks(torch.cat([before, self.patches(x).flatten(2).mT], 1)).mean(1))


def test_tokens_before_the_grid_are_counted_anew() -> None:
    model, x = Tokens().eval(), torch.rand(1, 3, 16, 16)
    first = maps(model, x, method="gradcam", layers=["blocks.*"])
    model.register_tokens = nn.Parameter(torch.ones(1, 4, 6))
    second = maps(model, x, method="gradcam", layers=["blocks.*"])
    assert not isinstance(first, str)
    assert not isinstance(second, str)
    assert all(values.shape == (4, 4) for found in (first, second) for values in found.values())
