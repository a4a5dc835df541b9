"""A model read at its embedding: the right place, the same weights, and the model left as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.errors import ModelError
from sightline.models import adapt
from sightline.models.adapter.embedded import embedded, place_of
from tests.tiny import TINY, build, picture

NAMES = {
    "resnet18": ("fc", 512),
    "alexnet": ("classifier.6", 4096),
    "squeezenet1_1": ("classifier.1", 512),
    "mobilenet_v3_small": ("classifier.3", 1024),
    "shufflenet_v2_x0_5": ("fc", 1024),
    "swin_t": ("head", 768),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_input_of_the_classifier_is_found(name: str) -> None:
    from torchvision.models import get_model

    path, width = NAMES[name]
    model = get_model(name).eval()
    seen = []
    model.get_submodule(path).register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        model(x)
        found = embedded(model)(x)
    assert place_of(model) == f"input of {path!r}"
    assert found.shape == (2, width)
    if seen[0].ndim == 2:
        assert torch.equal(found, seen[0])


def test_timm_says_where_its_classifiers_are() -> None:
    import timm

    both = timm.create_model("deit_tiny_distilled_patch16_224", depth=1).eval()
    assert place_of(both) == "input of 'head' and 'head_dist'"
    assert embedded(both)(torch.rand(1, 3, 224, 224)).shape == (1, 192)
    none = timm.create_model("test_convnext", num_classes=0)
    assert place_of(none) == "output of the model"
    assert embedded(none)(torch.rand(1, 3, 160, 160)).shape == (1, none.num_features)


def test_an_encoder_is_read_at_its_output() -> None:
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert embedded(encoder)(picture()).shape == (2, 4)
    assert embedded(encoder, "none") is encoder


@pytest.mark.parametrize("where", ["auto", "4"])
def test_the_model_is_shared_and_not_changed(where: str) -> None:
    model = build("plain_inplace").train()
    before = dict(model.named_modules())
    after = embedded(model, where)
    assert dict(model.named_modules()) == before
    assert type(model) is nn.Sequential
    own = {id(p) for p in model.parameters()}
    assert all(id(p) in own for p in after.parameters())
    after.eval()(picture())
    assert model.training
    assert type(after).__name__ == "Sequential"
    assert not model.get_submodule("4")._forward_hooks


def test_a_module_that_is_named_ends_the_forward_there() -> None:
    model = build("plain_inplace").eval()
    x = picture()
    assert torch.equal(embedded(model, "6")(x), model[:7](x))
    assert place_of(model, "6") == "output of '6'"


@pytest.mark.parametrize("name", TINY)
def test_every_tiny_model_keeps_its_stages(name: str) -> None:
    model = build(name)
    found = adapt(model).encoder()
    assert found.layers(picture()) == adapt(model).layers(picture())
    assert found.classes is None


def test_a_path_that_does_not_exist_lists_near_ones() -> None:
    with pytest.raises(ModelError, match="near names: 'layers'"):
        embedded(build("residual"), "layer")


def test_a_module_that_does_not_run_is_told() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x).mean((2, 3))

    with pytest.raises(ModelError, match="did not run"):
        embedded(Idle(), "idle")(picture())
