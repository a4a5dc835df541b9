"""NAFlow on every family: nothing demanded is nothing changed, in-place layers change nothing, no step is unknown."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

import sightline
from sightline.explainers.flow.naflow.abandoning import Abandoning
from sightline.explainers.flow.naflow.cascade import Cascade, DropStats
from sightline.explainers.flow.naflow.inverse import Setting
from sightline.explainers.flow.naflow.message import Message, mean
from sightline.explainers.flow.read import read
from sightline.explainers.flow.samples import Samples
from sightline.explainers.method import Request
from sightline.models import adapt
from sightline.targets import parse_target

pytest.importorskip("torchvision")


def bare(name: str, **options: object) -> nn.Module:
    """A network of torchvision without the time that its own initialisation takes, and with a small head."""
    import torchvision

    with torch.device("meta"):
        model = SMALL[name]() if name in SMALL else torchvision.models.get_model(name, **options)
        if name in ("alexnet", "vgg11"):
            model.avgpool = nn.AdaptiveAvgPool2d(1)
            model.classifier = nn.Sequential(
                nn.Linear(256 if name == "alexnet" else 512, 16), nn.ReLU(), nn.Linear(16, 5)
            )
    model = model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for buffer in model.buffers():
            buffer.zero_()
        for parameter in model.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.normal_(0, (2 / fan) ** 0.5 if parameter.ndim > 1 else 0.1, generator=generator)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.fill_(1)
                module.weight.add_(1)
    return model


def resnet(bottleneck: bool, **options: object) -> nn.Module:
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    return ResNet(Bottleneck if bottleneck else BasicBlock, [1, 1, 1, 1], num_classes=5, **options)


def densenet() -> nn.Module:
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 2, 2, 2), 16, num_classes=5)


SMALL: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: resnet(False),
    "resnext": lambda: resnet(True, groups=4, width_per_group=8),
    "densenet": densenet,
}


def regnet() -> nn.Module:
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.regnet_y_400mf(num_classes=5)


def vit() -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    return VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=3, num_heads=2, num_classes=5, init_values=0.1
    )


def torch_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
    nn.init.normal_(model.heads.head.weight)
    return model


def swin() -> nn.Module:
    from torchvision.models.swin_transformer import SwinTransformer

    torch.manual_seed(0)
    return SwinTransformer([4, 4], 16, [2, 2], [2, 2], [4, 4], num_classes=5)


def convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    torch.manual_seed(0)
    return ConvNeXt([CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 2)], num_classes=5, layer_scale=0.1)


NO_INIT = {"init_weights": False}
FAMILIES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (lambda: bare("alexnet"), 63),
    "vgg11": (lambda: bare("vgg11"), 32),
    "resnet": (lambda: bare("resnet"), 32),
    "resnext": (lambda: bare("resnext"), 32),
    "googlenet": (lambda: bare("googlenet", **NO_INIT), 32),
    "inception_v3": (lambda: bare("inception_v3", **NO_INIT), 75),
    "densenet": (lambda: bare("densenet"), 32),
    "mobilenet_v2": (lambda: bare("mobilenet_v2"), 32),
    "mobilenet_v3_small": (lambda: bare("mobilenet_v3_small"), 32),
    "efficientnet_b0": (lambda: bare("efficientnet_b0"), 32),
    "squeezenet1_0": (lambda: bare("squeezenet1_0"), 48),
    "shufflenet_v2_x0_5": (lambda: bare("shufflenet_v2_x0_5"), 32),
    "regnet": (regnet, 32),
    "convnext": (convnext, 32),
    "vit": (vit, 32),
    "torch_vit": (torch_vit, 32),
    "swin": (swin, 32),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor]:
    make, side = FAMILIES[request.param]
    with torch.random.fork_rng():
        model = make().eval()
    return model, torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_t3_a_demand_of_zero_stays_zero_through_every_inverse(
    family: tuple[nn.Module, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def zero_from_the_start(self: Cascade, node: int, message: Message) -> Message:
        delta = mean(message)
        if message.frozen:
            return Message(message.G, delta, float(message.claimed), True)
        return Message(message.G, torch.zeros_like(message.G) if delta is None else delta, 1.0)

    monkeypatch.setattr(Cascade, "_cut", zero_from_the_start)
    model, x = family
    reading = read(Request(adapt(model), x, parse_target(0)))
    at = Setting(reading.tape, reading.facts)
    seen: list[bool] = []

    def arrive(node: int, message: Message, tally: DropStats) -> None:
        if message.delta is not None:
            seen.append(not message.delta.any())

    Cascade(reading, at, Abandoning(reading.tape, reading.facts, Samples(1, frozenset({1}))), arrive).run(0)
    assert len(seen) > 10
    assert all(seen)
    assert all(iterations == 0 for iterations, _ in at.solves)


def test_t18_every_stage_has_a_map_that_says_what_was_done_and_in_place_layers_change_nothing(
    family: tuple[nn.Module, torch.Tensor],
) -> None:
    model, x = family
    own = {"iterations": 2}
    flow = sightline.explain(model, x, target=0, method="naflow", options=own)[0].flow
    assert set(flow.statuses.values()) <= {"ok", "zero"}
    assert list(flow.statuses.values()).count("ok") >= len(flow) - 2
    assert not any("No inverse is known" in remark for remark in flow.remarks), flow.remarks
    assert "mode anchored, rule auto" in flow.remarks[0]
    assert any(map_.notes["abandoned"] > 0 for map_ in flow.maps)
    assert all(map_.notes["growth"] < 3 for map_ in flow.maps), {m.layer: m.notes["growth"] for m in flow.maps}
    for map_ in flow.maps:
        assert set(map_.notes) == {
            "abandoned", "kept", "growth", "carried", "drift", "iterations", "residual", "damping"
        }  # fmt: skip
    if any(getattr(module, "inplace", False) for module in model.modules()):
        apart = copy.deepcopy(model)
        for module in apart.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        other = sightline.explain(apart, x, target=0, method="naflow", options=own)[0].flow
        for layer in flow:
            assert torch.allclose(flow[layer].values, other[layer].values, rtol=1e-6, atol=1e-12)
