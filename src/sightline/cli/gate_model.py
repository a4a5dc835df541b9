"""The network that `sightline gates show` is about: named, or described by the file of its gated weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import GateError

if TYPE_CHECKING:
    from sightline.cli.gates import GateOptions
    from sightline.models.load import LoadedModel
    from sightline.terminal.model import LabelledModelOptions


def opened(model: LabelledModelOptions, gates: GateOptions, *, seed: int) -> tuple[LoadedModel, bool]:
    """The network with its gates, and whether these hold trained weights.

    Where no model is named, the file of gated weights says which network it is of, with which gates and classes.

    Args:
        model: which network.
        gates: which gates.
        seed: seed of weights that are random.

    Raises:
        ModelError: the file does not say which network it is of, or does not fit.
        GateError: the gates cannot be plugged.
    """
    from sightline.models.load import default_model, load_model

    file = gates.gated_weights
    if file is not None and model.model is None and model.weights is None:
        loaded = load_model(None, **{**model.arguments(), "weights": file}, seed=seed)
        with_gates(loaded, gates.gate, share=gates.share, scheme=gates.scheme, weights=None, seed=seed)
        return loaded, True
    loaded = load_model(default_model(model.model, model.weights), **model.arguments(), seed=seed)
    trained = with_gates(loaded, gates.gate, share=gates.share, scheme=gates.scheme, weights=file, seed=seed)
    return (loaded if file is None or loaded.labels is not None else _named(loaded, file)), trained


def _named(loaded: LoadedModel, file: Path) -> LoadedModel:
    """The network with the class names of the file, where it has some."""
    from sightline.gates.store import described
    from sightline.models.weights import read_weights

    spec = described(read_weights(file))
    return loaded if spec is None else replace(loaded, labels=spec.classes)


def with_gates(
    loaded: LoadedModel, gate: str, *, share: str, scheme: str | None, weights: Path | None, seed: int
) -> bool:
    """Plug gates into the model, unless it came with some; whether its gates hold trained weights.

    Args:
        loaded: the model; changed in place.
        gate: name, of a model that comes without.
        share: which blocks share one.
        scheme: at which sites; of a model that came with gates, those in use.
        weights: file of the weights of the model with its gates, a supernet's for example.
        seed: seed of the weights of gates that have no trained ones.
    """
    import torch

    from sightline.gates import plug, plugged, use_scheme
    from sightline.models.weights import fit_weights, read_weights

    try:
        plugged(loaded.model)
        trained = True
    except GateError:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            plug(loaded.model, gate, share=share)
        trained = weights is not None
    if weights is not None:
        fit_weights(loaded.model, read_weights(weights), name="the model with its gates")
    if scheme is not None:
        use_scheme(loaded.model, scheme)
    return trained
