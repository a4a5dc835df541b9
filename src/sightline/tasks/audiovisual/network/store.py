"""How a network of events is written, read and registered: `load_model` knows it by its weights file alone."""

from __future__ import annotations

from pathlib import Path

from sightline.models.architectures import (
    BuiltNetwork,
    architecture,
    build_network,
    read_spec,
    write_network,
)
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec

ARCHITECTURE = "event-net"
"""What its weights files say they are of."""


def save_net(net: EventNet, path: str | Path) -> Path:
    """Write a network with all that is needed to load it, whole or not at all."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    return write_network(path, tensors, ARCHITECTURE, net.spec.to_json())


def load_net(path: str | Path) -> EventNet:
    """A network that `sightline train events` wrote, in eval mode, on the CPU.

    Raises:
        ModelError: the file is missing, or is not a network of events.
    """
    return _net(read_weights(path))


@architecture(ARCHITECTURE)
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file."""
    net = _net(weights)
    size = (net.spec.size, net.spec.size)
    return BuiltNetwork(net, net.spec.names, Preprocess(size, mean=(0.0,) * 3, std=(1.0,) * 3, fit="stretch"))


def network_of(spec: EventSpec) -> EventNet:
    """The network of a specification, before it has learned."""
    from sightline.tasks.audiovisual.network.avel import AvelNet

    return AvelNet(spec) if spec.form == "avel" else EventNet(spec)


def _net(weights: Weights) -> EventNet:
    spec = read_spec(weights, ARCHITECTURE, EventSpec.from_json, "sightline train events")
    net = build_network(weights, lambda: network_of(spec), sized=True)
    fit_weights(net, weights, name=ARCHITECTURE)
    return net.eval()
