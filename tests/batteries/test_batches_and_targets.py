"""Contracts 2 and 3: a batch gives the maps of single images, k targets those of each, layers keep their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sightline
from sightline.explainers import METHODS
from sightline.results import Explanations
from tests.batteries.test_model_comes_back import FAST
from tests.tiny import CLASSES, TINY, build, output_of, picture

SHARED = [name for name, method in METHODS.items() if method.run is None]
OWN = [name for name, method in METHODS.items() if method.run is not None]


def close(a: Explanations, b: Explanations, tolerance: float = 1e-5) -> None:
    """Relative difference of every map; a map of zeros must be zeros."""
    assert len(a) == len(b) > 0
    for one, other in zip(a, b, strict=True):
        assert one.flow.layers == other.flow.layers
        assert one.decision.label == other.decision.label
        for left, right in zip(one.flow.maps, other.flow.maps, strict=True):
            difference = (left.values - right.values).abs().max()
            assert difference <= tolerance * left.values.abs().max() + 1e-9, (one.method, left.layer)


@pytest.mark.parametrize("name", TINY)
def test_a_batch_gives_the_maps_of_single_images(name: str) -> None:
    model, x = build(name), picture(3)
    together = sightline.explain(model, x, method=SHARED, output=output_of(name))
    apart = [sightline.explain(model, x[i : i + 1], method=SHARED, output=output_of(name)) for i in range(3)]
    close(together, Explanations(tuple(item for found in apart for item in found)))


@pytest.mark.parametrize("method", OWN)
def test_a_batch_gives_the_maps_of_single_images_for_methods_with_a_pass_of_their_own(method: str) -> None:
    name = "vit_token" if METHODS[method].needs == "attention" else "plain_inplace"
    model, x = build(name), picture(3)
    together = sightline.explain(model, x, method=method, options=FAST.get(method))
    apart = [sightline.explain(model, x[i : i + 1], method=method, options=FAST.get(method)) for i in range(3)]
    close(together, Explanations(tuple(item for found in apart for item in found)), 1e-4)


@pytest.mark.parametrize("name", TINY)
def test_several_targets_at_once_give_the_maps_of_each(name: str) -> None:
    model, x = build(name), picture()
    together = sightline.explain(model, x, target=[0, 3, 4], method=["gradcam", "layercam"], output=output_of(name))
    for number, target in enumerate((0, 3, 4)):
        alone = sightline.explain(model, x, target=target, method=["gradcam", "layercam"], output=output_of(name))
        picked = [item for item in together if item.decision.index == target]
        close(Explanations(tuple(picked)), alone, 1e-4)
        assert number < len(together)


@pytest.mark.parametrize("method", OWN)
def test_several_targets_at_once_for_methods_with_a_pass_of_their_own(method: str) -> None:
    name = "vit_token" if METHODS[method].needs == "attention" else "plain_inplace"
    together = sightline.explain(build(name), picture(), target=[1, 2], method=method, options=FAST.get(method))
    for target in (1, 2):
        alone = sightline.explain(build(name), picture(), target=target, method=method, options=FAST.get(method))
        close(Explanations(tuple(i for i in together if i.decision.index == target)), alone, 1e-4)


def test_a_backward_that_cannot_be_batched_is_done_target_by_target() -> None:
    class Rigid(torch.autograd.Function):
        """A custom operation without a batching rule."""

        @staticmethod
        def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: object, g: torch.Tensor) -> torch.Tensor:
            if bool(g.sum() == 123456.0):  # reads data, which batching cannot
                return g
            return g * 2

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
            self.fc = nn.Linear(4, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(Rigid.apply(self.body(x)).mean((2, 3)))

    torch.manual_seed(0)
    model = Net()
    together = sightline.explain(model, picture(1), target=[0, 1])
    for target in (0, 1):
        close(Explanations((together[target],)), sightline.explain(model, picture(1), target=target))


@pytest.mark.parametrize("name", ["residual", "vit_token", "windows"])
def test_stages_asked_for_out_of_order_keep_their_own_maps(name: str) -> None:
    model = build(name)
    layers = sightline.explain(model, picture(), target=0)[0].flow.layers
    right = sightline.explain(model, picture(), target=0, layers=list(layers))
    turned = sightline.explain(model, picture(), target=0, layers=list(reversed(layers)))
    close(right, turned)
    for layer in layers:
        alone = sightline.explain(model, picture(), target=0, layers=[layer])
        assert alone[0].flow.layers == (layer,)
        assert torch.allclose(alone[0].flow[0].values, right[0].flow[layer].values, rtol=1e-4, atol=1e-7)


def test_a_module_that_runs_twice_is_two_stages() -> None:
    model = build("reused")
    both = sightline.explain(model, picture(), target=0, method="gradxact")[0].flow
    assert both.layers == ("stem", "shared:1", "shared:2")
    assert not torch.allclose(both["shared:1"].values, both["shared:2"].values)
    second = sightline.explain(model, picture(), target=0, method="gradxact", layers="shared:2")[0].flow
    assert torch.allclose(second[0].values, both["shared:2"].values)


@pytest.mark.parametrize("name", ["plain_inplace", "residual", "depthwise", "dense"])
def test_in_place_operations_after_a_stage_change_nothing(name: str) -> None:
    out_of_place = build(name)
    for module in out_of_place.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    paths = [path for path, module in out_of_place.named_modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    paths = [path for path in paths if "se." not in path]
    methods = ["gradcam", "gradxact", "eigencam"]
    close(
        sightline.explain(build(name), picture(), target=0, method=methods, layers=paths),
        sightline.explain(out_of_place, picture(), target=0, method=methods, layers=paths),
    )


def test_a_sum_in_place_is_noticed_and_the_stage_read_again() -> None:
    model = build("residual")
    kept: list[torch.Tensor] = []
    handle = model.layers[0].bn2.register_forward_hook(lambda m, a, out: kept.append(out.clone()))
    with torch.no_grad():
        model(picture())
    handle.remove()
    found = sightline.explain(model, picture(), target=0, method="eigencam", layers="layers.0.bn2")
    x = kept[0].flatten(2).mT
    along = x @ torch.linalg.svd(x, full_matrices=False)[2][:, :1].mT
    along = along[..., 0] * torch.where(along.sum(1) < 0, -1.0, 1.0)
    assert torch.allclose(
        found[0].flow[0].values.flatten(), along[0, :, 0] if along.ndim == 3 else along[0], atol=1e-4
    )


def test_all_shared_methods_come_from_one_forward() -> None:
    model, calls = build("plain_inplace"), []
    sightline.explain(model, picture(), method=SHARED, target="top3")  # its structure is recorded at the first call
    model.register_forward_hook(lambda m, a, out: calls.append(1))
    sightline.explain(model, picture(), method=SHARED, target="top3")
    assert calls == [1]
