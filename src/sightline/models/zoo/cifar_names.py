"""CIFAR networks by name, and what can be left out of one: its shortcuts, its norms.

It knows nothing of gates or weights files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import ModelError, near
from sightline.models.zoo.cifar import (
    CifarResNet,
    cifar_preresnet,
    cifar_resnet,
    cifar_resnext,
    wide_resnet,
    with_biases,
)

PREFIX = "cifar-"
FAMILIES: dict[str, Callable[..., CifarResNet]] = {
    r"resnet(\d+)": cifar_resnet,
    r"resnet(\d+)bn": lambda depth, classes, **more: cifar_resnet(depth, classes, bottleneck=True, **more),
    r"preresnet(\d+)": cifar_preresnet,
    r"preresnet(\d+)bn": lambda depth, classes, **more: cifar_preresnet(depth, classes, bottleneck=True, **more),
    r"wrn-(\d+)-(\d+)": wide_resnet,
    r"resnext(\d+)-(\d+)x(\d+)d": cifar_resnext,
}
"""What a name looks like behind `cifar-`; its numbers are the first arguments of the builder."""

EXAMPLES = (
    "cifar-resnet8", "cifar-resnet20", "cifar-resnet56", "cifar-resnet110", "cifar-resnet164bn", "cifar-preresnet20",
    "cifar-preresnet164bn", "cifar-wrn-16-4", "cifar-wrn-52-4", "cifar-resnext29-8x32d", "cifar-resnext101-8x32d",
)  # fmt: skip
"""Names that a wrong one is compared with."""


def is_cifar(name: str) -> bool:
    """Whether a name is meant to be one of these."""
    return name.startswith(PREFIX)


def cifar_net(name: str, classes: int, *, skip: bool = True, norm: bool = True, **options: Any) -> CifarResNet:
    """A CIFAR network by its name.

    Args:
        name: `cifar-resnet20`, `cifar-resnet164bn` (of bottlenecks), `cifar-preresnet110`, `cifar-wrn-52-4`,
            `cifar-resnext101-8x32d`.
        classes: number of classes.
        skip: whether blocks have their shortcuts.
        norm: whether there are norms; without, every convolution has a bias.
        options: keyword arguments of the family's builder, such as `widths`, `dropout` or `last_norm`.

    Raises:
        ModelError: there is no such name, depth or option.

    Example:
        >>> sum(p.numel() for p in cifar_net("cifar-resnet20", 10).parameters())
        272474
    """
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    for pattern, build in FAMILIES.items():
        if hit := re.fullmatch(PREFIX + pattern, name):
            try:
                net = build(*map(int, hit.groups()), classes, **arguments)
            except (TypeError, ValueError, IndexError, RuntimeError) as problem:
                listed = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
                raise ModelError(f"{name} cannot be built with {listed}: {problem}; check --model-arg") from problem
            net = net if norm else without_norms(net)
            return net if skip else without_skips(net)
    raise ModelError(f"there is no CIFAR network {name!r}; {near(name, EXAMPLES)}")


class Nothing(nn.Module):
    """A shortcut that adds nothing.

    Args:
        stride: stride of the block.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 p q"]:
        """Zeros in the block's size."""
        return torch.zeros_like(x[:, :1, :: self.stride, :: self.stride])


def without_skips(net: CifarResNet) -> CifarResNet:
    """Take all shortcuts away, in place: a block gives its branch alone."""
    for stage in (net.layer1, net.layer2, net.layer3):
        for block in stage:
            strides = [layer.stride[0] for layer in block.modules() if isinstance(layer, nn.Conv2d)]
            block.shortcut = Nothing(max(strides))
    return net


def without_norms(net: CifarResNet) -> CifarResNet:
    """Take all BatchNorms away, in place, and give every convolution a bias."""
    for part in list(net.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, nn.Identity())
    with_biases(net)
    return net
