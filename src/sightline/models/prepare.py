"""How images are preprocessed, from whatever says it: a model's configuration, weights, a processor, a transform.

All become one function: a photo in, what the network takes and what it sees of the photo out. This file does not know
how the model is looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from sightline.common.text import clipped
from sightline.data.openers import Input
from sightline.data.photos import Photo
from sightline.errors import InputError, SightlineError
from sightline.models.adapter.unwrap import unwrap
from sightline.models.preprocess import Preprocess, from_timm, from_torchvision
from sightline.models.processor import from_processor, processor_of


class Ready(NamedTuple):
    """A photo, preprocessed.

    Args:
        inputs: what the network takes: `[c, h, w]`.
        view: what it sees of the photo: `[c, h, w]` in 0..1; None where that cannot be told.
    """

    inputs: Float[Tensor, "c h w"]
    view: Float[Tensor, "c h w"] | None


class Preparation(NamedTuple):
    """How photos are preprocessed.

    Args:
        prepare: photo in, what the network takes out.
        record: the settings, or a name for them, to keep with a result.
        settings: the settings themselves, where they are known.
    """

    prepare: Callable[[Input], Ready]
    record: Any
    settings: Preprocess | None = None


def preparation(source: Any) -> Preparation:
    """How photos are preprocessed, from what the user gives.

    Args:
        source: a `Preprocess`; torchvision's weights (`ResNet50_Weights.DEFAULT`) or their preset; a processor of
            Hugging Face, or the folder that holds its configuration; a model whose preprocessing is known; or any
            callable that makes a tensor of a PIL image.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(source, Preparation):
        return source
    own = getattr(source, "preprocess", None)
    if isinstance(own, Preprocess):
        source = own
    if isinstance(source, Preprocess):
        return Preparation(_of_settings(source), source.record(), source)
    if isinstance(source, str | Path):
        source = processor_of(source)
    if hasattr(source, "transforms") and hasattr(source, "meta"):  # torchvision's weights
        source = source.transforms()
    if hasattr(source, "crop_size") and hasattr(source, "resize_size") and hasattr(source, "mean"):
        return preparation(from_torchvision(source))
    if isinstance(source, nn.Module) and next(source.parameters(), None) is not None:  # a transform has no weights
        return _of_module(source)
    if hasattr(source, "image_processor"):  # a processor of pictures and texts
        source = source.image_processor
    if hasattr(source, "preprocess") and hasattr(source, "to_dict"):
        settings = from_processor(source.to_dict())
        return preparation(settings) if settings is not None else _of_callable(source)
    if not callable(source):
        raise InputError(
            f"preprocess= is a {type(source).__name__}; give a Preprocess, torchvision's weights, an image processor "
            "of Hugging Face, or a callable that makes a tensor [channels, height, width] of a PIL image"
        )
    return _of_callable(source)


def own_preparation(model: nn.Module) -> Preparation | None:
    """How photos are preprocessed for a model, as far as the model itself says; None where it does not.

    timm's models carry their configuration, those of Hugging Face the folder that they came from, and torchvision's
    have as many weights as the published ones of their class.
    """
    plain = unwrap(model)
    own = getattr(plain, "preprocess", None)
    if isinstance(own, Preprocess):
        return preparation(own)
    for find in (_of_timm, _of_transformers, _of_torchvision):
        settings = find(plain)
        if settings is not None:
            return settings
    return None


def _of_module(model: nn.Module) -> Preparation:
    found = own_preparation(model)
    if found is None:
        raise InputError(
            f"preprocess= is a {type(model).__name__} that has no preprocessing for photos; give a "
            "Preprocess or a callable"
        )
    return found


def _of_timm(model: nn.Module) -> Preparation | None:
    if not isinstance(getattr(model, "pretrained_cfg", None), Mapping) or not type(model).__module__.startswith(
        "timm."
    ):
        return None
    from timm.data import resolve_model_data_config

    return preparation(from_timm(resolve_model_data_config(model)))


def _of_transformers(model: nn.Module) -> Preparation | None:
    config = getattr(model, "config", None)
    place = getattr(config, "_name_or_path", "") or getattr(model, "name_or_path", "")
    if not isinstance(place, str) or not place or not (Path(place) / "preprocessor_config.json").is_file():
        return None
    return preparation(processor_of(place))


def _of_torchvision(model: nn.Module) -> Preparation | None:
    """The preset of torchvision's weights that are of this class and have as many numbers as the model."""
    if not type(model).__module__.startswith("torchvision.models."):
        return None
    import torchvision

    size = sum(parameter.numel() for parameter in model.parameters())
    for name in torchvision.models.list_models(module=torchvision.models):
        versions: Any = torchvision.models.get_model_weights(name)
        if versions.__module__ != type(model).__module__ or not len(versions):
            continue
        if versions.DEFAULT.meta.get("num_params") == size:
            settings = from_torchvision(versions.DEFAULT.transforms())
            return Preparation(_of_settings(settings), {**settings.record(), "of": str(versions.DEFAULT)}, settings)
    return None


def _of_settings(settings: Preprocess) -> Callable[[Input], Ready]:
    def prepare(photo: Input) -> Ready:
        prepared = settings(photo)
        return Ready(prepared.inputs, prepared.view)

    return prepare


def _of_callable(function: Callable[..., Any]) -> Preparation:
    """A transform or a processor that is called with a PIL image."""
    means, deviations = _statistics(function)

    def prepare(photo: Input) -> Ready:
        if not isinstance(photo, Photo):
            raise InputError(f"{photo.path} is an input over {photo.domain!r}, but this preprocessing takes pictures")
        inputs = _called(function, photo.image)
        return Ready(inputs, _view(inputs, means, deviations))

    return Preparation(prepare, clipped(repr(function)))


def _called(function: Callable[..., Any], image: Image.Image) -> Float[Tensor, "c h w"]:
    """What a transform makes of a picture.

    Raises:
        InputError: it fails, or makes something else than a tensor of floats.
    """
    try:
        is_processor = hasattr(function, "image_mean") or hasattr(function, "model_input_names")
        made = function(images=image, return_tensors="pt") if is_processor else function(image)
    except SightlineError:
        raise
    except Exception as problem:  # a transform may raise anything
        reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise InputError(
            f"preprocess= failed on a picture of {image.size[0]} x {image.size[1]} pixels ({reason}); it is called "
            "with a PIL image in RGB"
        ) from problem
    made = made.get("pixel_values", made) if isinstance(made, Mapping) else made
    if isinstance(made, np.ndarray):
        made = torch.from_numpy(made)
    if isinstance(made, Tensor) and made.ndim == 4 and len(made) == 1:
        made = made[0]
    if not isinstance(made, Tensor) or made.ndim != 3 or not made.is_floating_point():
        kind = f"{tuple(made.shape)} of {made.dtype}" if isinstance(made, Tensor) else type(made).__name__
        raise InputError(f"preprocess= has to make a tensor of floats [channels, height, width], but made {kind}")
    return made


def _statistics(function: Any) -> tuple[Any, Any]:
    """Mean and deviation by which a transform normalises last; None where it does not say."""
    steps = getattr(function, "transforms", None)
    for step in reversed(steps if isinstance(steps, list | tuple) else [function]):
        if getattr(step, "mean", None) is not None and getattr(step, "std", None) is not None:
            return step.mean, step.std
    if getattr(function, "do_normalize", False):
        return getattr(function, "image_mean", None), getattr(function, "image_std", None)
    return None, None


def _view(inputs: Float[Tensor, "c h w"], means: Any, deviations: Any) -> Float[Tensor, "c h w"] | None:
    """What the network sees of a picture, 0..1; None where that cannot be told."""
    view = inputs
    if means is not None and deviations is not None:
        mean, deviation = torch.as_tensor(means).float(), torch.as_tensor(deviations).float()
        if mean.numel() not in (1, len(inputs)):
            return None
        view = inputs.float() * deviation.reshape(-1, 1, 1) + mean.reshape(-1, 1, 1)
    if len(view) not in (1, 3) or not -0.01 <= float(view.min()) <= float(view.max()) <= 1.01:
        return None
    return view.float().clamp(0, 1)
