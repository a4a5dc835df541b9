"""`GatedSpec`: a classifier with its gates in words; built from them, kept in one safetensors file, and read back.

Registers how such a file is read, so that `load_model(weights=FILE)` and every command line take it. It knows nothing
of training.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from sightline.common.reading import parse_json
from sightline.common.records import restored
from sightline.errors import ModelError
from sightline.gates.surgery.plug import plug, plugged
from sightline.models.adapter.embedded import classifiers
from sightline.models.architectures import BuiltNetwork, architecture, build_network, read_spec, write_network
from sightline.models.ends import maker_of
from sightline.models.huggingface import is_folder
from sightline.models.load import LoadedModel, load_model
from sightline.models.order import count_classes
from sightline.models.own_code import is_own_code
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.models.zoo.cifar_names import cifar_net, is_cifar

ARCHITECTURE = "gated"
LIBRARIES = ("timm.", "torchvision.", "sightline.")
"""Modules of networks whose last layers have usual names."""


@dataclass(frozen=True)
class GatedSpec:
    """What is needed to build a classifier with gates, and what its outputs mean.

    Args:
        model: a name of `sightline models`, or of a CIFAR network such as `cifar-resnet20`.
        classes: names of the classes.
        model_args: arguments of the network's builder.
        skip: whether a CIFAR network has its shortcuts.
        norm: whether a CIFAR network has its norms.
        gate: a name of `GATES`; None for the plain network.
        share: which blocks share one: `block`, `stage`, `width`.
        scheme: at which blocks, in any form that `plug` takes as text.
        start: `default` or `identity`.
        options: keyword arguments of the gate.
        preprocess: how a photo is preprocessed, as `Preprocess.record` writes it.

    Example:
        >>> net = gated_net(GatedSpec("cifar-resnet8", ("cat", "dog"), gate="se"))
        >>> str(plugged(net).scheme)
        '1|1|1'
    """

    model: str
    classes: tuple[str, ...]
    model_args: dict[str, Any] = field(default_factory=dict)
    skip: bool = True
    norm: bool = True
    gate: str | None = None
    share: str = "stage"
    scheme: str = "dense"
    start: str = "default"
    options: dict[str, Any] = field(default_factory=dict)
    preprocess: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> GatedSpec:
        """Read what `to_json` wrote."""
        return restored(cls, parse_json(text))


def plain_net(spec: GatedSpec, weights: str | Path | None = "random", seed: int = 0) -> nn.Module:
    """The network of a spec without its gates.

    Args:
        spec: what to build.
        weights: `random`, a file, or None for the published ones; the last layer is made anew where these have
            other classes.
        seed: random seed of the initial weights.

    Raises:
        ModelError: there is no such network, or no linear last layer to make anew.
    """
    if not is_cifar(spec.model):
        if not (spec.skip and spec.norm):
            raise ModelError(
                f"only CIFAR networks are built without shortcuts or norms, not {spec.model}; try cifar-resnet20"
            )
        ours = not (is_own_code(spec.model) or is_folder(spec.model))  # builders of others name their own arguments
        own = {"num_classes": len(spec.classes)} if weights == "random" and ours else {}
        loaded = load_model(spec.model, weights=weights, model_args={**own, **spec.model_args}, seed=seed)
        return _headed(loaded.model, len(spec.classes), seed, _side(spec, loaded))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = cifar_net(spec.model, len(spec.classes), skip=spec.skip, norm=spec.norm, **spec.model_args)
    if weights is None:
        raise ModelError(f"no published weights of {spec.model} are known here; give a file, or random")
    if weights != "random":
        fit_weights(net, read_weights(weights), name=spec.model)
    return net


def _side(spec: GatedSpec, loaded: LoadedModel) -> tuple[int, int]:
    """Height and width of the pictures of a network."""
    return Preprocess.from_record(spec.preprocess).size if spec.preprocess else loaded.preprocess.size


def gated_net(
    spec: GatedSpec, weights: str | Path | None = "random", seed: int = 0, *, plain: nn.Module | None = None
) -> nn.Module:
    """The network of a spec with its gates.

    Args:
        spec: what to build.
        weights: weights of the network without gates, as in `plain_net`.
        seed: random seed of the initial weights.
        plain: the network without gates, where it stands already; it is changed in place.

    Raises:
        ModelError: there is no such network.
        GateError: the gate, its options or the scheme do not fit it.
    """
    net = plain_net(spec, weights, seed) if plain is None else plain
    if spec.gate is None:
        return net
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        return plug(net, spec.gate, share=spec.share, scheme=spec.scheme, start=spec.start, **spec.options)


def save_gated(net: nn.Module, spec: GatedSpec, path: str | Path, **more: str) -> Path:
    """Write network and spec under another name, then rename; the scheme in use is the one that is kept.

    Args:
        net: the network of the spec.
        spec: how it is built.
        path: a safetensors file.
        more: further texts of the file, by name.
    """
    current = spec if spec.gate is None else replace(spec, scheme=str(plugged(net).scheme))
    return write_network(path, net.state_dict(), ARCHITECTURE, current.to_json(), **more)


def load_gated(path: str | Path) -> tuple[nn.Module, GatedSpec]:
    """Read what `save_gated` wrote, in eval mode, with its spec.

    Raises:
        ModelError: the file is missing, damaged, or holds another network.
    """
    return _net(read_weights(path))


def described(weights: Weights) -> GatedSpec | None:
    """How the network of a file is built, and what its classes are called; None where the file does not say it.

    Args:
        weights: what `read_weights` read.

    Raises:
        ModelError: what it says is damaged.
    """
    if weights.metadata.get("architecture") != ARCHITECTURE:
        return None
    return read_spec(weights, ARCHITECTURE, GatedSpec.from_json, "sightline train classify")


@architecture(ARCHITECTURE)
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file, with its labels and preprocessing."""
    net, spec = _net(weights)
    return BuiltNetwork(net, spec.classes, Preprocess.from_record(spec.preprocess))


def _net(weights: Weights) -> tuple[nn.Module, GatedSpec]:
    spec = read_spec(weights, ARCHITECTURE, GatedSpec.from_json, "sightline train classify")
    net = build_network(weights, lambda: gated_net(spec))
    fit_weights(net, weights, name=spec.model if spec.gate is None else f"{spec.model} with {spec.gate}")
    return net.float().eval(), spec


def _headed(net: nn.Module, classes: int, seed: int, size: tuple[int, int]) -> nn.Module:
    """A network with as many classes, its last layer made anew where it had others.

    Raises:
        ModelError: no linear layer and no convolution makes its logits.
    """
    known = type(net).__module__.startswith(LIBRARIES)
    if known and count_classes(net) == classes:
        return net
    paths = classifiers(net) if known else ()
    if not paths and (maker := maker_of(net, size)) is not None:
        net.logits_at, paths = maker, (maker,)  # type: ignore[assignment]
    paths = paths or classifiers(net)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if len(paths) != 1 and hasattr(net, "reset_classifier"):
            net.reset_classifier(classes)  # type: ignore[operator]
            return net
        if not paths:
            raise ModelError(
                f"{type(net).__name__} has no linear layer or convolution at its end that could be made anew for "
                f"{classes} classes; choose another network, such as resnet18"
            )
        for path in paths:
            net.set_submodule(path, _layer(net.get_submodule(path), classes))
    if isinstance(getattr(net, "num_classes", None), int):
        net.num_classes = classes  # type: ignore[assignment]
    return net


def _layer(last: nn.Module, classes: int) -> nn.Module:
    """A last layer of other classes; the same where it has as many."""
    if isinstance(last, nn.Linear):
        same = last.out_features == classes
        return last if same else nn.Linear(last.in_features, classes, bias=last.bias is not None)
    own = cast(Any, last)
    if own.out_channels == classes:
        return last
    shape = {name: getattr(own, name) for name in ("kernel_size", "stride", "padding", "dilation")}
    return nn.Conv2d(own.in_channels, classes, bias=own.bias is not None, **shape)
