"""Small networks of every family that has sites, with seeded weights that look trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec
from sightline.models.zoo.cifar import cifar_preresnet, cifar_resnet, wide_resnet
from tests.tiny import Residual, ResidualBlock, lively


def tv(name: str, **wishes) -> nn.Module:
    import torchvision

    return torchvision.models.get_model(name, num_classes=5, **wishes)


def timm(name: str, **wishes) -> nn.Module:
    import timm

    return timm.create_model(name, num_classes=5, **wishes)


def resnet(block: str, **wishes) -> nn.Module:
    from torchvision.models import resnet

    return resnet.ResNet(getattr(resnet, block), [2, 2, 1, 1], num_classes=5, **wishes)


def convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt([CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 3)], stochastic_depth_prob=0.2, num_classes=5)


def densenet() -> nn.Module:
    from torchvision.models import DenseNet

    return DenseNet(4, (2, 3), 8, num_classes=5)


class Listed(nn.Module):
    """Blocks in a list that the model's own code walks through."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.blocks = nn.ModuleList([ResidualBlock(8) for _ in range(3)])
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


class Alone(nn.Module):
    """One addition in the model's own code, and no block at all."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.conv = nn.Conv2d(8, 8, 3, 1, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + torch.relu(self.conv(x))
        return self.fc(x.mean((2, 3)))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "torchvision resnet basic": (partial(resnet, "BasicBlock"), (2, 2, 1, 1)),
    "torchvision resnext": (partial(resnet, "Bottleneck", groups=2, width_per_group=4), (2, 2, 1, 1)),
    "torchvision wide resnet": (partial(resnet, "Bottleneck", width_per_group=96), (2, 2, 1, 1)),
    "torchvision mobilenet_v2": (partial(tv, "mobilenet_v2", width_mult=0.25), (4, 3, 2, 2)),
    "torchvision mobilenet_v3": (partial(tv, "mobilenet_v3_small"), (1, 2, 1, 2)),
    "torchvision efficientnet": (partial(tv, "efficientnet_b0"), (1, 1, 2, 2, 3)),
    "torchvision convnext": (convnext, (2, 3)),
    "torchvision densenet": (densenet, (2, 3)),
    "torchvision regnet": (partial(tv, "regnet_x_400mf"), (1, 2, 7, 12)),
    "timm resnet": (partial(timm, "resnet10t", drop_path_rate=0.2), (1, 1, 1, 1)),
    "timm resnet with se": (partial(timm, "seresnext26d_32x4d"), (2, 2, 2, 2)),
    "timm resnetv2": (partial(timm, "resnetv2_18"), (2, 2, 2, 2)),
    "timm mobilenetv2": (partial(timm, "mobilenetv2_035"), (1, 2, 3, 2, 2)),
    "timm mobilenetv3": (partial(timm, "mobilenetv3_small_050"), (1, 2, 2, 2)),
    "timm efficientnet": (partial(timm, "efficientnet_lite0", drop_path_rate=0.2), (1, 1, 2, 2, 3)),
    "timm convnext": (partial(timm, "convnext_atto"), (2, 2, 6, 2)),
    "timm densenet": (partial(timm, "densenet121", growth_rate=4, block_config=(2, 3)), (2, 3)),
    "timm regnet": (partial(timm, "regnety_002"), (1, 1, 4, 7)),
    "cifar resnet": (partial(cifar_resnet, 14), (2, 2, 2)),
    "cifar resnet padded": (partial(cifar_resnet, 14, pad=True), (2, 2, 2)),
    "cifar resnet bottleneck": (partial(cifar_resnet, 20, bottleneck=True), (2, 2, 2)),
    "cifar preresnet": (partial(cifar_preresnet, 14), (2, 2, 2)),
    "cifar preresnet bottleneck": (partial(cifar_preresnet, 20, bottleneck=True, last_norm=True), (2, 2, 2)),
    "wide resnet": (partial(wide_resnet, 10, 1, dropout=0.3), (1, 1, 1)),
    "birdnet": (
        lambda: BirdNet(BirdNetSpec(labels=tuple("abcde"), attributes=("has_x::y",), widths=(8, 8, 12, 16))),
        (2, 2, 3, 3),
    ),
    "tiny residual": (Residual, (3,)),
    "blocks in a list": (Listed, (3,)),
    "no block": (Alone, (1,)),
}
"""Name: builder, blocks per stage."""

FEW = ("cifar resnet", "torchvision mobilenet_v2", "torchvision densenet", "timm convnext", "blocks in a list")
"""One for each way of reaching a block: a chain, a chain of stages, a dense block, timm's stage, a list."""


def build(name: str, seed: int = 0) -> nn.Module:
    """A network in evaluation mode whose norms and biases are not as they were born."""
    return lively(NETS[name][0], seed, 0.5)


def picture(batch: int = 2, seed: int = 1, side: int = 32) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))
