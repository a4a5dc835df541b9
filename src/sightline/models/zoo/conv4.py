"""Conv4: the four-block network of few-shot learning, which ends in its embedding. It knows no episodes."""

from __future__ import annotations

from torch import nn

from sightline.models.architectures import BuiltNetwork, architecture
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights

ARCHITECTURE = "conv4"
WIDTH = 64


class Conv4(nn.Sequential):
    """Four blocks of convolution, BatchNorm, ReLU and max-pooling, flattened [snell2017prototypical].

    The names of its parts are those of the usual weights files: `0.0` is the first convolution, `0.1` its BatchNorm.

    Args:
        channels: number of channels of the input.
        width: channels of every block.

    Example:
        >>> import torch
        >>> Conv4()(torch.zeros(2, 3, 84, 84)).shape
        torch.Size([2, 1600])
    """

    def __init__(self, channels: int = 3, width: int = WIDTH) -> None:
        blocks = [_block(channels if i == 0 else width, width) for i in range(4)]
        super().__init__(*blocks, nn.Flatten())


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(), nn.MaxPool2d(2)
    )


@architecture(ARCHITECTURE, random=lambda: _built(Conv4()))
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file, with its preprocessing."""
    net = Conv4()
    fit_weights(net, weights, name=ARCHITECTURE)
    return _built(net)


def _built(net: Conv4) -> BuiltNetwork:
    """It takes 84 x 84 pixels in 0..1 as they are."""
    return BuiltNetwork(net.eval(), None, Preprocess((84, 84), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
