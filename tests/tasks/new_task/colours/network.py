"""The network, and how its weights file is read."""

from torch import nn

from sightline.models.architectures import BuiltNetwork, architecture
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights

NAMES = ("red", "green", "blue")


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@architecture("colours")
def built(weights: Weights) -> BuiltNetwork:
    net = network()
    fit_weights(net, weights, name="colours")
    return BuiltNetwork(net.eval(), NAMES, Preprocess((32, 32)))
