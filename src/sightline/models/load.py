"""A model by name: built, filled with weights, put into eval mode, with its labels, preprocessing and provenance.

It knows nothing of layers or of how the model is looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.common.numbers import check_seed
from sightline.common.reading import parse_json
from sightline.common.records import as_kind
from sightline.errors import ModelError
from sightline.models.architectures import ARCHITECTURES, BuiltNetwork
from sightline.models.huggingface import build_from_folder, is_folder, processing_of
from sightline.models.labels import class_labels, distinct, label_names, read_labels
from sightline.models.order import RANDOM, Order, count_classes, filled, first_line
from sightline.models.outputs import declarations_of, labels_of
from sightline.models.own_code import build_own, is_own_code
from sightline.models.prepare import own_preparation
from sightline.models.preprocess import Preprocess, from_timm, from_torchvision
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.models.zoo import birdnet, conv4, encoder  # noqa: F401 - each registers its network
from sightline.models.zoo.catalog import find_model
from sightline.models.zoo.dense import dense_labels, dense_preprocess, dense_task
from sightline.models.zoo.packaged import PACKAGED, PHOTOS

BUNDLED = "birdnet"
"""Name of the model that comes with the package."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be asked.

    Args:
        model: in eval mode, on its device, in float32.
        name: full name, `torchvision:resnet50`.
        labels: a name per class, or None where none are known.
        preprocess: how a photo is preprocessed for it.
        provenance: name, arguments, where the weights are from and their sha256, and the preprocessing.
        notes: sentences on what was assumed, as nothing said it.
    """

    model: nn.Module
    name: str
    labels: tuple[str, ...] | None
    preprocess: Preprocess
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def load_model(
    name: str | None = None,
    *,
    weights: str | Path | None = None,
    labels: str | Path | Sequence[str] | None = None,
    model_args: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> LoadedModel:
    """Load a model to look into.

    Args:
        name: a name of the catalogue (`resnet50`, `timm:vit_small_patch16_224`); `imagenet` is the network of the
            extra of that name; None or `birdnet` is the bundled bird model; `bird-encoder` and `conv4` are encoders
            without classes. Or code that builds a network (`package.module:build`, `file.py:Net`), or a folder of
            Hugging Face with `config.json`.
        weights: None for the published weights, a file (safetensors, or tensors written by `torch.save`), or
            `random` for a random initialisation. With a file, the number of classes is read off the file.
        labels: class names or a file of them; None takes what is known (ImageNet's for 1000 classes).
        model_args: keyword arguments of the network's builder.
        device: where to put it.
        seed: seed of the random initialisation.

    Raises:
        ModelError: the name is unknown, the weights cannot be had or do not fit, the device is not there.
        InputError: the labels do not fit.

    Example:
        >>> loaded = load_model("torchvision:squeezenet1_1", weights="random")
        >>> len(loaded.labels), loaded.preprocess.size
        (1000, (224, 224))
    """
    place = _device(device)
    check_seed(seed, error=ModelError)
    if name is None or name in ARCHITECTURES:
        if model_args:
            raise ModelError(
                f"the model argument {next(iter(model_args))!r} is for the builder of a network that is named; add "
                "--model NAME, or leave --model-arg out"
            )
        return _own(name, _Source.of(weights, seed), labels, place)
    if is_folder(name) or is_own_code(name):
        return _of_user(name, dict(model_args or {}), weights, labels, place, seed)
    return _of_catalogue(_order(name, dict(model_args or {}), seed), weights, labels, place)


def default_model(name: str | None, weights: str | Path | None) -> str | None:
    """The model for a user's photos: what was named, what the weights file says, or else the ImageNet network.

    Args:
        name: as `load_model` takes it; None where none was named.
        weights: as `load_model` takes them.

    Example:
        >>> default_model(None, None), default_model("resnet50", None), default_model(None, "mine.safetensors")
        ('imagenet', 'resnet50', None)
    """
    return PHOTOS if name is None and (weights is None or str(weights) == RANDOM) else name


def _order(name: str, arguments: dict[str, Any], seed: int) -> Order:
    """What is to be built under a name of the catalogue, or of a package of weights."""
    packaged = PACKAGED.get(name)
    return (
        Order(find_model(name), arguments, seed) if packaged is None else Order(packaged.full, arguments, seed, name)
    )


def _of_catalogue(
    order: Order,
    weights: str | Path | None,
    labels: str | Path | Sequence[str] | None,
    place: torch.device,
) -> LoadedModel:
    """A network of torchvision or timm, by its name there or by that of its package of weights."""
    model, came_from, file = filled(order, weights)
    preprocess = _preprocess(order, model, file)
    names = _labels(order, model, file, labels)
    network = {} if order.packaged is None else {"network": str(order.full)}
    full = order.packaged or str(order.full)
    provenance = {
        "model": full,
        **network,
        "arguments": order.arguments,
        **came_from,
        "preprocess": preprocess.record(),
    }
    return LoadedModel(model.eval().to(place), full, names, preprocess, provenance)


def _labels(
    order: Order, model: nn.Module, file: Weights | None, labels: str | Path | Sequence[str] | None
) -> tuple[str, ...] | None:
    """Names of the classes: the user's, those in the file, or the published ones."""
    own = labels if labels is not None else _own_labels(file)
    if dense_task(order.full) is None:
        return class_labels(own, count_classes(model))
    # How many classes a detector or segmenter has is seen in its output; its target checks the names against that.
    return dense_labels(order.full, order.arguments) if own is None else label_names(own)


def _of_user(
    name: str,
    arguments: dict[str, Any],
    weights: str | Path | None,
    labels: str | Path | Sequence[str] | None,
    place: torch.device,
    seed: int,
) -> LoadedModel:
    """A network of the user's: in a folder of Hugging Face, or built by code."""
    random = weights is not None and str(weights) == RANDOM
    file = None if weights is None or random else read_weights(weights)
    if is_folder(name):
        model = build_from_folder(name, arguments, RANDOM if file is not None else weights, seed)
        preprocess, note = processing_of(name)
        origin = {"weights": f"random, seed {seed}" if random else f"in {Path(name).name}"}
    else:
        model = build_own(name, arguments, seed)
        preprocess, note = _assumed(model, name)
        origin = {"weights": "as the code made them" if weights is None else f"random, seed {seed}"}
    if file is not None:
        fit_weights(model, file, name=name)
        origin = {"weights": file.path.name, "sha256": file.sha256}
    given = read_labels(labels) if isinstance(labels, str | Path) else labels
    names = distinct(given) if given is not None else labels_of(declarations_of(model), None)
    provenance = {"model": name, "arguments": arguments, **origin, "preprocess": preprocess.record()}
    if note:
        provenance["assumed"] = note
    return LoadedModel(model.eval().to(place), name, names, preprocess, provenance, (note,) if note else ())


def _assumed(model: nn.Module, name: str) -> tuple[Preprocess, str]:
    """How photos are preprocessed for a network of the user's own code, and what had to be assumed."""
    own = own_preparation(model)
    if own is not None and isinstance(own.record, Mapping):
        return Preprocess.from_record({key: value for key, value in own.record.items() if key != "of"}), ""
    first = next((part for part in model.modules() if isinstance(part, nn.Conv2d)), None)
    grey = first is not None and first.in_channels == 1
    assumed = Preprocess(mean=(0.5,), std=(0.5,)) if grey else Preprocess()
    return assumed, (
        f"how photos are preprocessed for {name} is not known: they are cut to {assumed.size[0]}x{assumed.size[1]} "
        f"and normalised {'to -1..1' if grey else 'as for ImageNet'}; say --size, --mean and --std, or give the "
        "network an attribute `preprocess`"
    )


def _preprocess(order: Order, model: nn.Module, file: Weights | None) -> Preprocess:
    """The settings in the weights file if it names them, or else those published with the network.

    The size and the number of channels for which the user had it built are kept.
    """
    if file is not None and "preprocess" in file.metadata:
        return Preprocess.from_record(_entry(file, "preprocess", dict[str, Any]))
    built = order.arguments
    if order.full.origin == "timm":
        from timm.data import resolve_model_data_config

        config: dict[str, Any] = resolve_model_data_config(model)
        channels, height, width = config["input_size"]
        config["input_size"] = (built.get("in_chans", channels), height, width)
        return from_timm(config).with_(size=_pair(built.get("img_size")))
    task = dense_task(order.full)
    if task is not None:
        return dense_preprocess(order.full, task)
    import torchvision

    versions: Any = torchvision.models.get_model_weights(order.full.name)
    named = [one for one in versions if file is not None and one.url.endswith("/" + file.path.name)]
    published = from_torchvision((named[0] if named else versions.DEFAULT).transforms())
    return published.with_(size=_pair(built.get("image_size")))


def _pair(side: Any) -> tuple[int, int] | None:
    """Height and width from one number or two."""
    if side is None:
        return None
    height, width = (side, side) if isinstance(side, int) else side
    return height, width


def _own_labels(file: Weights | None) -> list[str] | None:
    """Labels that the weights file itself carries."""
    if file is None or "labels" not in file.metadata:
        return None
    return list(_entry(file, "labels", tuple[str, ...]))


def _entry(file: Weights, name: str, kind: Any) -> Any:
    """What a weights file holds under a name, as JSON.

    Raises:
        ModelError: it is damaged, or of another kind.
    """
    try:
        return as_kind(kind, parse_json(file.metadata[name]), name)
    except ValueError as problem:
        raise ModelError(
            f"the entry {name!r} of the weights file {str(file.path)!r} is damaged: {problem}"
        ) from problem


@dataclass(frozen=True, eq=False)
class _Source:
    """Where the weights of a network of our own come from: a file, read once; a seed; or the package."""

    file: Weights | None
    seed: int | None

    @classmethod
    def of(cls, weights: str | Path | None, seed: int) -> _Source:
        """What was asked for."""
        if weights is None or str(weights) == RANDOM:
            return cls(None, None if weights is None else seed)
        return cls(read_weights(weights), None)

    def name(self) -> str:
        """The network that is meant where none is named: what the file says, or the bundled one.

        Raises:
            ModelError: the file does not say which network it is of.
        """
        name = BUNDLED if self.file is None else self.file.metadata.get("architecture", "")
        if name not in ARCHITECTURES:
            at = "" if self.file is None else str(self.file.path)
            raise ModelError(f"the weights file {at!r} does not name its network; add --model NAME")
        return name

    def build(self, name: str) -> tuple[BuiltNetwork, dict[str, str]]:
        """The network, and where its weights came from.

        Raises:
            ModelError: it has no random form, or no weights come with the package.
        """
        own = ARCHITECTURES[name]
        if self.file is not None:
            return own.build(self.file), {"weights": self.file.path.name, "sha256": self.file.sha256}
        if self.seed is None:
            with own.bundled(name) as path:
                file = read_weights(path)
            return own.build(file), {"weights": "bundled", "sha256": file.sha256}
        if own.random is None:
            raise ModelError(f"{name} has no random form; name a model, for example --model resnet18")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return own.random(), {"weights": f"random, seed {self.seed}"}


def _own(
    name: str | None, source: _Source, labels: str | Path | Sequence[str] | None, place: torch.device
) -> LoadedModel:
    """A network of our own, by name or by what its file says."""
    name = name or source.name()
    built, record = source.build(name)
    classes = built.labels
    names = None if classes is None else class_labels(labels if labels is not None else classes, len(classes))
    provenance = {"model": name, **record, "preprocess": built.preprocess.record()}
    return LoadedModel(built.model.to(place), name, names, built.preprocess, provenance)


def _device(device: str | torch.device) -> torch.device:
    """The device that was asked for.

    Raises:
        ModelError: there is no such device here.
    """
    try:
        place = torch.device(device)
    except RuntimeError as problem:
        raise ModelError(f"there is no kind of device {str(device)!r}; give cpu, cuda or cuda:1") from problem
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"the device {str(device)!r} was asked for, but {torch.cuda.device_count()} CUDA devices are there; "
            "try --device cpu"
        )
    if place.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("the device 'mps' was asked for, but this machine has none; try --device cpu")
    try:
        torch.zeros(1, device=place).item()
    except Exception as problem:  # a kind of device that torch knows by name, without memory or a driver here
        raise ModelError(
            f"the device {str(device)!r} cannot hold numbers here ({first_line(problem)}); try --device cpu"
        ) from problem
    return place
