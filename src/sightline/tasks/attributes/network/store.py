"""An attribute network and its knowledge in one safetensors file, and back.

Registers how such a file is read, so that `load_model(weights=FILE)` and every command line take it.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from sightline.errors import ModelError
from sightline.models.architectures import ARCHITECTURES, Built, read_spec, write_network
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, read_weights
from sightline.tasks.attributes.network.calibration import Knowledge
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec

ARCHITECTURE = "attributes"
KNOWN = "knowledge."


def save_attribute_net(net: AttributeNet, path: str | Path) -> Path:
    """Write net, knowledge and spec under another name, then rename.

    Args:
        net: the network; its `knowledge` is written along.
        path: a safetensors file.
    """
    known = {f"{KNOWN}{name}": value for name, value in net.knowledge.tensors().items()}
    return write_network(path, {**net.state_dict(), **known}, ARCHITECTURE, net.spec.to_json())


def load_attribute_net(path: str | Path) -> AttributeNet:
    """Read what `save_attribute_net` wrote, in eval mode.

    Raises:
        ModelError: the file is missing, damaged, or holds another network.
    """
    return _net(read_weights(path))


@ARCHITECTURES.register(ARCHITECTURE)
def built(weights: Weights) -> Built:
    """The network of a file, with its labels and preprocessing."""
    net = _net(weights)
    return Built(net, net.spec.classes, Preprocess.from_record(net.spec.preprocess))


def _net(weights: Weights) -> AttributeNet:
    spec = read_spec(weights, ARCHITECTURE, AttributeSpec.from_json, "sightline train eat")
    net = AttributeNet(spec)
    tensors = {name: value for name, value in weights.tensors.items() if not name.startswith(KNOWN)}
    found = net.load_state_dict(tensors, strict=False)
    if found.missing_keys or found.unexpected_keys:
        wrong = ", ".join([*found.missing_keys, *found.unexpected_keys][:4])
        raise ModelError(f"the weights in {weights.path} do not fit the network they describe: {wrong}")
    net.knowledge = _knowledge(weights.tensors, net.knowledge)
    return net.float().eval()


def _knowledge(tensors: dict[str, Tensor], before: Knowledge) -> Knowledge:
    """What the file knows; what it does not say stays as it was."""
    return Knowledge(**{name: tensors.get(f"{KNOWN}{name}", value) for name, value in before.tensors().items()})
