"""An attribute network and its calibration in one safetensors file, and back.

Registers how such a file is read, so that `load_model(weights=FILE)` and every command line take it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sightline.errors import ModelError
from sightline.models.architectures import BuiltNetwork, architecture, build_network, read_spec, write_network
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec

ARCHITECTURE = "attributes"
KNOWN = "knowledge."
"""The calibration's name in files, which stays."""


def save_attribute_net(net: AttributeNet, path: str | Path) -> Path:
    """Write net, calibration and spec under another name, then rename.

    Args:
        net: the network; its `calibration` is written along.
        path: a safetensors file.
    """
    calibration = {f"{KNOWN}{name}": value for name, value in net.calibration.tensors().items()}
    return write_network(path, {**net.state_dict(), **calibration}, ARCHITECTURE, net.spec.to_json())


def load_attribute_net(path: str | Path) -> AttributeNet:
    """Read what `save_attribute_net` wrote, in eval mode.

    Raises:
        ModelError: the file is missing, damaged, or holds another network.
    """
    return _net(read_weights(path))


@architecture(ARCHITECTURE)
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file, with its labels and preprocessing."""
    net = _net(weights)
    return BuiltNetwork(net, net.spec.classes, Preprocess.from_record(net.spec.preprocess))


def _net(weights: Weights) -> AttributeNet:
    spec = read_spec(weights, ARCHITECTURE, AttributeSpec.from_json, "sightline train eat")
    net = build_network(weights, lambda: AttributeNet(spec))
    tensors = {name: value for name, value in weights.tensors.items() if not name.startswith(KNOWN)}
    fit_weights(net, replace(weights, tensors=tensors), name=ARCHITECTURE)
    net.calibration = _calibration(weights, net.calibration)
    return net.float().eval()


def _calibration(weights: Weights, empty: Calibration) -> Calibration:
    """What the file knows.

    Raises:
        ModelError: a part of it is not there, or of another shape.
    """
    parts = {name: weights.tensors.get(f"{KNOWN}{name}") for name in empty.tensors()}
    for name, value in empty.tensors().items():
        part = parts[name]
        if part is None or part.shape != value.shape or not part.is_floating_point():
            raise ModelError(
                f"the weights in {str(weights.path)!r} lack {KNOWN}{name} in the shape {tuple(value.shape)}, without "
                "which the network cannot speak; copy or write the file again"
            )
    return Calibration(**parts)  # type: ignore[arg-type]
