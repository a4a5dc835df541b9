"""The file of a network of clicks: its weights, how it is built, and how a log becomes numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from sightline.common.records import restored
from sightline.errors import ModelError
from sightline.models.architectures import BuiltNetwork, architecture, read_spec, write_network
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.data.prepare import encoder_of, encoder_record
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec

ARCHITECTURE = "clicks"
ENCODER = "encoder.json"
"""The tensor that holds the encoder as bytes of JSON: a vocabulary may be longer than a header may be."""


def save_clicks(net: ClickNet, encoder: Encoder, path: Path) -> None:
    """Write a network, whole or not at all."""
    content = torch.frombuffer(bytearray(json.dumps(encoder_record(encoder)).encode()), dtype=torch.uint8)
    tensors = {**net.state_dict(), ENCODER: content}
    write_network(path, tensors, ARCHITECTURE, json.dumps(asdict(net.spec)))


def load_clicks(path: Path) -> tuple[ClickNet, Encoder]:
    """A network in eval mode, and how its log becomes numbers.

    Raises:
        ModelError: it is another network's file, or a damaged one.
    """
    weights = read_weights(path)
    if ENCODER not in weights.tensors and weights.metadata.get("architecture") == ARCHITECTURE:
        raise ModelError(f"the weights file {str(path)!r} does not say how a log is read; train it again")
    return _net(weights), encoder_of(json.loads(bytes(weights.tensors[ENCODER].tolist())))


@architecture(ARCHITECTURE)
def _built(weights: Weights) -> BuiltNetwork:
    """The network alone; it reads rows of a log, so that its picture's size means nothing."""
    return BuiltNetwork(_net(weights), None, Preprocess((1, 1), None, (0.0,), (1.0,)))


def _net(weights: Weights) -> ClickNet:
    by = "sightline train clicks"
    spec = read_spec(weights, ARCHITECTURE, lambda text: restored(ClickSpec, json.loads(text)), by)
    net = ClickNet(spec)
    own = {name: tensor for name, tensor in weights.tensors.items() if name != ENCODER}
    fit_weights(net, replace(weights, tensors=own), name=f"a network of clicks ({spec.model})")
    return net.eval()
