"""An attribute network and its calibration in one safetensors file, and back.

Registers how such a file is read, so that `load_model(weights=FILE)` and every command line take it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from sightline.errors import InputError, ModelError
from sightline.models.architectures import BuiltNetwork, architecture, build_network, read_spec, write_network
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.tasks.attributes.data.kept_reading import KeptReading
from sightline.tasks.attributes.network import labelled
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet, LabelledSpec, labelled_net
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.network.skill import Skill

ARCHITECTURE = "attributes"
KNOWN = "knowledge."
"""The calibration's name in files, which stays."""
SKILL = f"{KNOWN}skill."
VERSION = f"{KNOWN}version"
"""Files with it hold skill and prior correction; files without are of version 1, whose skill nobody measured."""
NOW = 2.0
READING = "reading"
"""Entry of the file that says how the data of the training was read."""
Tensors = dict[str, Tensor]
Net = TypeVar("Net", bound=AttributeNet)


def save_attribute_net(net: AttributeNet, path: str | Path) -> Path:
    """Write net, calibration and spec under another name, then rename.

    Args:
        net: the network; its `calibration` is written along.
        path: a safetensors file, which also says how the data of the training was read, where that is known.
    """
    calibration = replace(net.calibration, **_correction(net.calibration))
    known = {f"{KNOWN}{name}": value for name, value in calibration.tensors().items()}
    skill = {f"{SKILL}{name}": value for name, value in net.skill.tensors().items()}
    tensors = {**net.state_dict(), **known, **skill, VERSION: torch.tensor([NOW])}
    more = {} if net.kept_reading is None else {READING: net.kept_reading.to_json()}
    if isinstance(net, LabelledAttributeNet):
        spec = LabelledSpec(net.spec, net.points).to_json()
        return write_network(path, tensors, labelled.ARCHITECTURE, spec, **more)
    return write_network(path, tensors, ARCHITECTURE, net.spec.to_json(), **more)


def _correction(calibration: Calibration) -> Tensors:
    """The prior correction; one that changes nothing where there is none."""
    if calibration.prior is not None and calibration.choice is not None:
        return {"prior": calibration.prior, "choice": calibration.choice}
    return {"prior": torch.zeros_like(calibration.slope), "choice": torch.full_like(calibration.slope, -1.0)}


def load_attribute_net(path: str | Path) -> AttributeNet:
    """Read what `save_attribute_net` wrote, in eval mode.

    Raises:
        ModelError: the file is missing, damaged, or holds another network.
    """
    weights = read_weights(path)
    if weights.metadata.get("architecture") == labelled.ARCHITECTURE:
        return labelled_net(weights)
    return _net(weights)


@architecture(ARCHITECTURE)
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file, with its labels and preprocessing."""
    net = _net(weights)
    return BuiltNetwork(net, net.spec.classes, Preprocess.from_record(net.spec.preprocess))


def _net(weights: Weights) -> AttributeNet:
    spec = read_spec(weights, ARCHITECTURE, AttributeSpec.from_json, "sightline train eat")
    return filled(build_network(weights, lambda: AttributeNet(spec)), weights)


def filled(net: Net, weights: Weights) -> Net:
    """A network with the weights and the calibration of a file, in eval mode.

    Raises:
        ModelError: something is not there, or of another shape.
    """
    tensors = {name: value for name, value in weights.tensors.items() if not name.startswith(KNOWN)}
    fit_weights(net, replace(weights, tensors=tensors), name=ARCHITECTURE)
    old = VERSION not in weights.tensors
    empty = net.calibration.tensors() | ({} if old else _correction(net.calibration))
    net.calibration = Calibration(**_named(weights, KNOWN, empty))
    if not old:
        net.skill = Skill(**_named(weights, SKILL, net.skill.tensors()))
    net.kept_reading = _kept_reading(weights)
    return net.float().eval()


def _kept_reading(weights: Weights) -> KeptReading | None:
    """How the data of the training was read; None for older files.

    Raises:
        ModelError: what the file says is damaged.
    """
    if READING not in weights.metadata:
        return None
    try:
        return KeptReading.from_json(weights.metadata[READING])
    except (ValueError, InputError) as problem:
        raise ModelError(
            f"{str(weights.path)!r} does not say how the data of its training was read ({problem}); copy or write it "
            "again"
        ) from problem


def _named(weights: Weights, prefix: str, expected: Tensors) -> Tensors:
    """Tensors of a file by their names without a prefix.

    Raises:
        ModelError: one of them is not there, or of another shape.
    """
    parts: Tensors = {}
    for name, value in expected.items():
        part = weights.tensors.get(f"{prefix}{name}")
        if part is None or part.shape != value.shape or not part.is_floating_point():
            raise ModelError(
                f"the weights in {str(weights.path)!r} lack {prefix}{name} in the shape {tuple(value.shape)}, "
                "without which the network cannot speak; copy or write the file again"
            )
        parts[name] = part
    return parts
