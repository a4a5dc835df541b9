"""A model in a folder of Hugging Face: `config.json` and weights in safetensors. Nothing is fetched, no code is run.

The package `transformers` is imported only here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.common.reading import parse_json, read_text
from sightline.errors import InputError, MissingExtraError, ModelError, near
from sightline.models.order import RANDOM, first_line
from sightline.models.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from sightline.models.processor import CONFIGURATION, RESAMPLING, from_processor, sides_of

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def is_folder(name: str) -> bool:
    """Whether a model's name is a folder with a configuration of Hugging Face."""
    return (Path(name) / CONFIG).is_file()


def build_from_folder(place: str, arguments: Mapping[str, Any], weights: str | Path | None, seed: int) -> nn.Module:
    """The model that a folder holds.

    Args:
        place: the folder.
        arguments: entries of the configuration that are set otherwise.
        weights: None for those in the folder, `random` for none.
        seed: seed of random weights.

    Raises:
        ModelError: the configuration is of another kind, the weights are missing, pickled or do not fit.
        MissingExtraError: the package transformers is not installed.
    """
    folder = Path(place)
    try:
        import transformers
    except ImportError as problem:
        raise MissingExtraError("transformers", "hub", f"the model in {place!r}") from problem
    kind = _class_of(transformers, folder)
    with _quietly(transformers), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            if weights is not None and str(weights) == RANDOM:
                config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, **arguments)
                return _as_module(kind(config))
            _check_weights(folder)
            return _as_module(kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, **arguments))
        except ModelError:
            raise
        except Exception as problem:  # the package may raise anything on files that it does not like
            raise ModelError(f"the model in {place!r} cannot be loaded: {first_line(problem)}") from problem


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Without the package's progress bars and remarks; what goes wrong is raised all the same."""
    talk = transformers.utils.logging
    level, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        talk.set_verbosity(level)
        if bars:
            talk.enable_progress_bar()


def processing_of(place: str) -> tuple[Preprocess, str]:
    """How photos are preprocessed for the model in a folder, and a note where that is not what its processor does.

    Raises:
        ModelError: the processor's configuration is damaged.
    """
    file = Path(place) / CONFIGURATION
    if not file.is_file():
        side = _image_size(Path(place))
        return Preprocess((side, side)), (
            f"{place!r} holds no {CONFIGURATION}: photos are cut to {side}x{side} and normalised as for ImageNet; "
            "say --size, --mean and --std where that is not right"
        )
    try:
        settings = parse_json(read_text(file, "configuration"))
        own = from_processor(settings)
    except (ValueError, TypeError, AttributeError, InputError) as problem:
        raise ModelError(f"the configuration {str(file)!r} cannot be understood: {problem}") from problem
    return (own, "") if own is not None else _nearest(settings)


def _nearest(settings: Mapping[str, Any]) -> tuple[Preprocess, str]:
    """The nearest that a `Preprocess` can do to a processor that does more."""
    size = settings.get("size")
    short = size.get("shortest_edge") if isinstance(size, Mapping) else None
    sides = sides_of(size) or ((int(short), int(short)) if isinstance(short, int) else (224, 224))
    own = Preprocess(
        sides,
        mean=tuple(settings.get("image_mean") or IMAGENET_MEAN),
        std=tuple(settings.get("image_std") or IMAGENET_STD),
        interpolation=RESAMPLING.get(settings.get("resample", 2), "bilinear"),
        fit="stretch",
    )
    kind = settings.get("image_processor_type", "image processor")
    return own, (
        f"the {kind} of this model does more than resizing, cutting and normalising (its size may depend on the "
        f"photo): here photos are stretched to {sides[0]}x{sides[1]}; --size says another size, and "
        "sightline.explain(model, photo, preprocess=processor) runs the processor itself"
    )


def _class_of(transformers: Any, folder: Path) -> Any:
    """The class that the configuration names.

    Raises:
        ModelError: it names none, or one that this version does not have.
    """
    try:
        config = parse_json(read_text(folder / CONFIG, "configuration"))
        names = config.get("architectures") or []
    except (ValueError, AttributeError, InputError) as problem:
        raise ModelError(f"the configuration {str(folder / CONFIG)!r} cannot be understood: {problem}") from problem
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ModelError(
            f"the configuration {str(folder / CONFIG)!r} names no architecture (ViTForImageClassification, say); "
            "save the model by model.save_pretrained(folder)"
        )
    kind = getattr(transformers, names[0], None)
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise ModelError(
            f"transformers {transformers.__version__} has no {names[0]!r}, which {str(folder)!r} needs; "
            f"{near(names[0], [one for one in dir(transformers) if 'For' in one])}"
        )
    return kind


def _check_weights(folder: Path) -> None:
    """Refuse a folder without weights, or with pickled ones alone.

    Raises:
        ModelError: it is one of these.
    """
    if any(folder.glob("model*.safetensors")):
        return
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    what = f"pickled weights alone ({pickled[0]}), which could run code" if pickled else "no weights"
    raise ModelError(
        f"{str(folder)!r} holds {what}; save the model by model.save_pretrained(folder), which writes {WEIGHTS}, "
        "or add --weights random"
    )


def _image_size(folder: Path) -> int:
    """The size that the configuration names, or the usual one."""
    config = parse_json(read_text(folder / CONFIG, "configuration"))
    side = config.get("image_size") if isinstance(config, Mapping) else None
    return side if isinstance(side, int) and not isinstance(side, bool) and side > 0 else 224


def _as_module(model: Any) -> nn.Module:
    plain: nn.Module = model.float().eval()
    return plain
