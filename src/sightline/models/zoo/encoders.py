"""Encoders of the house by name: `bird-encoder`, trained here, and `conv4`, the usual few-shot network.

They have an embedding and no classes. It knows nothing of what embeddings are compared with.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from sightline.errors import ModelError
from sightline.models.load import RANDOM, LoadedModel
from sightline.models.preprocess import Preprocess
from sightline.models.weights import architecture_of, digest_of, fit_weights, read_weights
from sightline.models.zoo.conv4 import Conv4
from sightline.models.zoo.encoder import ARCHITECTURE, BirdEncoder, EncoderSpec, load_encoder

CONV4 = "conv4"
ENCODERS = (ARCHITECTURE, CONV4)


def encoder_of(name: str | None, weights: str | Path | None) -> str | None:
    """The encoder that is meant by name, or that a weights file without a name says that it is of; else None."""
    if name in ENCODERS:
        return name
    if name is not None or weights is None or str(weights) == RANDOM:
        return None
    said = architecture_of(weights)
    return said if said in ENCODERS else None


def load_encoder_model(name: str, weights: str | Path | None, place: torch.device, seed: int) -> LoadedModel:
    """An encoder with its preprocessing.

    Raises:
        ModelError: no weights are named, or they do not fit.
    """
    if weights is None:
        raise ModelError(f"{name} comes without weights; give a file with --weights FILE, or --weights random")
    if str(weights) == RANDOM:
        model, source = _random(name, seed), {"weights": f"random, seed {seed}"}
    else:
        model = load_encoder(weights) if name == ARCHITECTURE else _conv4(weights)
        source = {"weights": Path(weights).name, "sha256": digest_of(Path(weights))}
    preprocess = _preprocess(model)
    provenance = {"model": name, **source, "preprocess": preprocess.record()}
    return LoadedModel(model.eval().to(place), name, None, preprocess, provenance)


def _random(name: str, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BirdEncoder(EncoderSpec()) if name == ARCHITECTURE else Conv4()


def _conv4(weights: str | Path) -> Conv4:
    model = Conv4()
    fit_weights(model, read_weights(weights), name=CONV4)
    return model


def _preprocess(model: nn.Module) -> Preprocess:
    """Conv4 takes 84 x 84 pixels in 0..1 as they are."""
    if isinstance(model, BirdEncoder):
        spec = model.spec
        return Preprocess((spec.size, spec.size), mean=tuple(spec.mean), std=tuple(spec.std))
    return Preprocess((84, 84), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
