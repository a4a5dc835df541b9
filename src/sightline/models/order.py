"""A network of the catalogue - torchvision's and timm's - built as it was ordered and filled with its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.errors import ModelError
from sightline.models.weights import Weights, fit_weights, matched, read_weights
from sightline.models.zoo.catalog import ModelName
from sightline.models.zoo.dense import dense_arguments, dense_task
from sightline.models.zoo.packaged import packaged_weights
from sightline.models.zoo.published import published_timm, published_torchvision

RANDOM = "random"
"""The word that asks for random weights instead of a file."""


@dataclass(frozen=True)
class Order:
    """What is to be built.

    Args:
        full: the network in the catalogue.
        arguments: keyword arguments of its builder.
        seed: seed of random weights.
        packaged: name of the package of weights that is meant; None where the published weights are.
    """

    full: ModelName
    arguments: dict[str, Any]
    seed: int
    packaged: str | None = None

    def build(self, **more: Any) -> nn.Module:
        """The network in float32 with random weights of `seed`; the global random state stays as it was.

        Raises:
            ModelError: the builder refuses the arguments.
        """
        arguments = {**_as_published(self.full), **more, **self.arguments}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            try:
                model: nn.Module = _builder(self.full)(**arguments)
            except Exception as problem:  # a builder may raise anything on arguments that it does not know
                listed = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items()) or "no arguments"
                raise ModelError(
                    f"{self.full} cannot be built with {listed}: {first_line(problem)}; check --model-arg"
                ) from problem
        return model.float()


def _builder(full: ModelName) -> Any:
    if full.origin == "timm":
        from functools import partial

        import timm

        return partial(timm.create_model, full.name, pretrained=False)
    import torchvision

    return torchvision.models.get_model_builder(full.name)


def _as_published(full: ModelName) -> dict[str, Any]:
    """Arguments with which torchvision itself builds what its weights belong to, without the training-only heads."""
    task = dense_task(full)
    if task is not None:
        return dense_arguments(task)
    if _has_training_heads(full):
        return {"init_weights": False, "transform_input": True, "aux_logits": False}
    return {}


def _has_training_heads(full: ModelName) -> bool:
    return full.origin == "torchvision" and full.name in ("inception_v3", "googlenet")


def filled(order: Order, weights: str | Path | None) -> tuple[nn.Module, dict[str, Any], Weights | None]:
    """The network with its weights, where these came from, and the file if they came from one."""
    if weights is not None and str(weights) == RANDOM:
        return order.build(), {"weights": f"random, seed {order.seed}"}, None
    if weights is not None:
        file = read_weights(weights)
        return _from_file(order, file), {"weights": file.path.name, "sha256": file.sha256}, file
    if order.packaged is not None:
        model = order.build()
        file = packaged_weights(order.packaged, model)
        fit_weights(model, file, name=order.packaged)
        return model, {"weights": f"package: {file.path.name}", "sha256": file.sha256}, file
    if order.full.origin == "timm":
        model, record = published_timm(order.full, order.arguments)
        return model.float(), record, None
    file = read_weights(published_torchvision(order.full))
    return _from_file(order, file), {"weights": f"published: {file.path.name}", "sha256": file.sha256}, file


def _from_file(order: Order, file: Weights) -> nn.Module:
    """The network that the file's tensors fit, with as many classes as the file has."""
    if _has_training_heads(order.full) and not order.arguments.get("aux_logits"):
        file = replace(file, tensors={k: v for k, v in file.tensors.items() if not k.lower().startswith("aux")})
    task = dense_task(order.full)
    if task is not None:
        model = order.build(**dense_arguments(task, file.tensors))
        fit_weights(model, file, name=str(order.full))
        return model
    model = order.build()
    if "num_classes" not in order.arguments:
        classes = _classes_in(file, model)
        model = order.build(num_classes=classes) if classes else model
    fit_weights(model, file, name=str(order.full))
    return model


def _classes_in(file: Weights, model: nn.Module) -> int | None:
    """How many classes the file has, where that is all in which the shapes of its heads differ from the model's."""
    own = model.state_dict()
    tensors = matched(file.tensors, own)
    pairs = [(tensors[key].shape, value.shape) for key, value in own.items() if key in tensors]
    heads = {
        theirs[0]
        for theirs, mine in pairs
        if theirs != mine and theirs[1:] == mine[1:] and mine[0] == count_classes(model)
    }
    return heads.pop() if len(heads) == 1 else None


def count_classes(model: nn.Module) -> int:
    """Number of outputs: what the model says of itself (timm's do), or else the width of its last layer."""
    own = getattr(model, "num_classes", None)
    if isinstance(own, int):
        return own
    last = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    return last.out_features if isinstance(last, nn.Linear) else last.out_channels


def first_line(problem: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    return next(iter(str(problem).splitlines()), "") or type(problem).__name__
