"""The residual networks of the CIFAR papers: ResNet, pre-activation ResNet, wide ResNet, ResNeXt.

Three stages on 32x32 pictures. They know nothing of gates or weights files; the names of their parts are those of
the usual files of CIFAR ResNets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.errors import ModelError

Maps = Float[Tensor, "b c h w"]
Block = Callable[[int, int, int], nn.Module]


class CifarResNet(nn.Module):
    """A 3x3 convolution, three stages of blocks (strides 1, 2, 2), mean over places, a linear layer.

    Args:
        block: makes a block of channels before, channels behind, stride.
        count: blocks of a stage.
        widths: channels behind the stages.
        classes: number of classes.
        norm_first: whether blocks begin with their norm, so that one more stands at the end and none at the start.
        stem: channels behind the first convolution.
    """

    def __init__(
        self,
        block: Block,
        count: int,
        widths: tuple[int, int, int],
        classes: int,
        *,
        norm_first: bool = False,
        stem: int = 16,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[-1] if norm_first else stem)
        inside, stages = stem, []
        for stride, width in zip((1, 2, 2), widths, strict=True):
            blocks = [block(inside if i == 0 else width, width, stride if i == 0 else 1) for i in range(count)]
            stages.append(nn.Sequential(*blocks))
            inside = width
        self.layer1, self.layer2, self.layer3 = stages
        self.linear = nn.Linear(inside, classes)
        self.norm_first = norm_first
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        """Class logits."""
        x = self.conv1(x)
        x = x if self.norm_first else torch.relu(self.bn1(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = torch.relu(self.bn1(x)) if self.norm_first else x
        out: Tensor = self.linear(x.mean((2, 3)))
        return out


class Basic(nn.Module):
    """relu(bn(conv(relu(bn(conv x)))) + shortcut x) [he2016deep]."""

    def __init__(self, inside: int, outside: int, stride: int, *, pad: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.shortcut = _shortcut(inside, outside, stride, pad=pad)

    def forward(self, x: Maps) -> Maps:
        """One block."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        out: Tensor = torch.relu(y + self.shortcut(x))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions [he2016deep].

    Args:
        inside: channels before.
        outside: channels behind.
        stride: stride of the 3x3 convolution.
        middle: channels between; a quarter of those behind by default.
        groups: number of groups of the 3x3 convolution [xie2017aggregated].
    """

    def __init__(self, inside: int, outside: int, stride: int, *, middle: int | None = None, groups: int = 1) -> None:
        super().__init__()
        middle = middle or outside // 4
        self.conv1 = nn.Conv2d(inside, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.shortcut = _shortcut(inside, outside, stride)

    def forward(self, x: Maps) -> Maps:
        """One block."""
        y = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        out: Tensor = torch.relu(self.bn3(self.conv3(y)) + self.shortcut(x))
        return out


class PreBasic(nn.Module):
    """conv(relu(bn(conv(relu(bn x))))) + shortcut [he2016identity].

    A projection reads what the first convolution reads.

    Args:
        inside: channels before.
        outside: channels behind.
        stride: stride of the first convolution.
        dropout: between the convolutions, as in wide ResNets.
        last_norm: one more norm at the end of the branch, as the DIANet authors have it.
    """

    def __init__(
        self, inside: int, outside: int, stride: int, *, dropout: float = 0.0, last_norm: bool = False
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside) if last_norm else nn.Identity()
        self.shortcut = _bare_shortcut(inside, outside, stride)

    def forward(self, x: Maps) -> Maps:
        """One block."""
        ready = torch.relu(self.bn1(x))
        y = self.conv2(self.dropout(torch.relu(self.bn2(self.conv1(ready)))))
        out: Tensor = self.bn3(y) + (x if self.shortcut is None else self.shortcut(ready))
        return out


class PreBottleneck(nn.Module):
    """The bottleneck with its norms and activations before the convolutions [he2016identity].

    Args:
        inside: channels before.
        outside: channels behind.
        stride: stride of the 3x3 convolution.
        last_norm: one more norm at the end of the branch, as the DIANet authors have it.
    """

    def __init__(self, inside: int, outside: int, stride: int, *, last_norm: bool = False) -> None:
        super().__init__()
        middle = outside // 4
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, middle, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outside, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(outside) if last_norm else nn.Identity()
        self.shortcut = _bare_shortcut(inside, outside, stride)

    def forward(self, x: Maps) -> Maps:
        """One block."""
        ready = torch.relu(self.bn1(x))
        y = self.conv3(torch.relu(self.bn3(self.conv2(torch.relu(self.bn2(self.conv1(ready)))))))
        out: Tensor = self.bn4(y) + (x if self.shortcut is None else self.shortcut(ready))
        return out


class Padded(nn.Module):
    """The shortcut without parameters: every stride-th place, and empty channels around."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.before = (outside - inside) // 2
        self.behind = outside - inside - self.before
        self.stride = stride

    def forward(self, x: Maps) -> Maps:
        """The thinned map."""
        return fn.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.behind))


def _shortcut(inside: int, outside: int, stride: int, *, pad: bool = False) -> nn.Module:
    if inside == outside and stride == 1:
        return nn.Identity()
    if pad:
        return Padded(inside, outside, stride)
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))


def _bare_shortcut(inside: int, outside: int, stride: int) -> nn.Conv2d | None:
    return None if inside == outside and stride == 1 else nn.Conv2d(inside, outside, 1, stride, bias=False)


def cifar_resnet(
    depth: int,
    classes: int = 10,
    *,
    bottleneck: bool = False,
    pad: bool = False,
    widths: tuple[int, int, int] | None = None,
) -> CifarResNet:
    """ResNet-20, -56, -110 of basic blocks, or ResNet-164 of bottlenecks [he2016deep].

    Args:
        depth: 6n + 2, or 9n + 2 with bottlenecks.
        classes: number of classes.
        bottleneck: whether blocks are bottlenecks of 64, 128 and 256 channels.
        pad: whether shortcuts that change the width have no parameters; basic blocks only.
        widths: channels of the stages, where others are wanted; the first convolution has at most 16.

    Raises:
        ModelError: there is no network of this depth.

    Example:
        >>> sum(p.numel() for p in cifar_resnet(20).parameters())
        272474
    """
    count = _count(depth, 9 if bottleneck else 6, 2)
    block: Block = Bottleneck if bottleneck else partial(Basic, pad=pad)
    widths = widths or ((64, 128, 256) if bottleneck else (16, 32, 64))
    return CifarResNet(block, count, widths, classes, stem=min(16, widths[0]))


def cifar_preresnet(
    depth: int, classes: int = 10, *, bottleneck: bool = False, last_norm: bool = False
) -> CifarResNet:
    """The pre-activation form [he2016identity]; arguments as of `cifar_resnet`.

    Args:
        depth: 6n + 2, or 9n + 2 with bottlenecks.
        classes: number of classes.
        bottleneck: whether blocks are bottlenecks of 64, 128 and 256 channels.
        last_norm: one more norm at the end of every branch, as the DIANet authors have it.

    Raises:
        ModelError: there is no network of this depth.
    """
    count = _count(depth, 9 if bottleneck else 6, 2)
    if bottleneck:
        return CifarResNet(
            partial(PreBottleneck, last_norm=last_norm), count, (64, 128, 256), classes, norm_first=True
        )
    return CifarResNet(partial(PreBasic, last_norm=last_norm), count, (16, 32, 64), classes, norm_first=True)


def wide_resnet(
    depth: int, width: int, classes: int = 10, *, dropout: float = 0.0, last_norm: bool = False
) -> CifarResNet:
    """WRN-depth-width: pre-activation basic blocks of 16, 32 and 64 times `width` channels [zagoruyko2016wide].

    Args:
        depth: 6n + 4.
        width: the factor.
        classes: number of classes.
        dropout: between the convolutions of a block.
        last_norm: one more norm at the end of every branch, as the DIANet authors have it.

    Raises:
        ModelError: there is no network of this depth.
    """
    block = partial(PreBasic, dropout=dropout, last_norm=last_norm)
    return CifarResNet(block, _count(depth, 6, 4), (16 * width, 32 * width, 64 * width), classes, norm_first=True)


def cifar_resnext(depth: int, groups: int, width: int, classes: int = 10) -> CifarResNet:
    """ResNeXt of `groups` groups of `width` channels in the first stage, twice as many in each further one.

    The DIANet authors' variant has 128, 256 and 512 channels behind its stages. The 32 behind the first convolution
    are deduced: with them ResNeXt-101, 8x32d, has the 32.14 million parameters of their table on CIFAR-100.

    Args:
        depth: 9n + 2.
        groups: cardinality.
        width: channels of a group.
        classes: number of classes.

    Raises:
        ModelError: there is no network of this depth.

    Source:
        xie2017aggregated, huang2020dianet.
    """

    def block(inside: int, outside: int, stride: int) -> nn.Module:
        return Bottleneck(inside, outside, stride, middle=groups * width * outside // 128, groups=groups)

    return CifarResNet(block, _count(depth, 9, 2), (128, 256, 512), classes, stem=32)


def with_biases(model: nn.Module) -> nn.Module:
    """Give every convolution of a model a bias of zeros, in place: a torchvision ResNet becomes the `fbresnet`."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros_like(layer.weight[:, 0, 0, 0]))
    return model


def _count(depth: int, step: int, rest: int) -> int:
    """Blocks of a stage."""
    if depth <= rest or (depth - rest) % step:
        raise ModelError(
            f"there is no network of depth {depth} in this family: the depth is {step}n + {rest}, "
            f"such as {step * 3 + rest} or {step * 9 + rest}"
        )
    return (depth - rest) // step
