"""torchvision's detectors and segmenters: how they are built, what their classes are called, what they take.

It knows nothing of how they are explained.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from sightline.models.preprocess import Preprocess
from sightline.models.zoo.catalog import ModelName

Dense = Literal["detection", "segmentation"]
SIDE = 512
"""Side of a detector's input, in pixels; it takes any, and scales it once more by itself."""


def dense_task(full: ModelName) -> Dense | None:
    """Which of the two a network does; None for a classifier.

    Example:
        >>> dense_task(ModelName("torchvision", "fcn_resnet50"))
        'segmentation'
    """
    if full.origin != "torchvision":
        return None
    import torchvision

    package = torchvision.models.get_model_builder(full.name).__module__.split(".")
    tasks: tuple[Dense, ...] = ("detection", "segmentation")
    return next((task for task in tasks if task in package), None)


def dense_arguments(task: Dense, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Arguments of the builder with which nothing is fetched.

    Args:
        task: what the network does.
        keys: names of the tensors that it is to hold; a second head is built if they are of one.
    """
    arguments: dict[str, Any] = {"weights": None, "weights_backbone": None}
    if task == "segmentation" and any(key.startswith("aux_classifier") for key in keys):
        arguments["aux_loss"] = True
    return arguments


def dense_labels(full: ModelName, arguments: dict[str, Any]) -> tuple[str, ...] | None:
    """Names of the classes of the published weights, where the network is built with as many."""
    if "num_classes" in arguments:
        return None
    import torchvision

    versions: Any = torchvision.models.get_model_weights(full.name)
    return tuple(versions.DEFAULT.meta["categories"]) if len(versions) else None


def dense_preprocess(full: ModelName, task: Dense) -> Preprocess:
    """The whole photo between bars; a detector normalises by itself, a segmenter's statistics are published."""
    if task == "detection":
        return Preprocess((SIDE, SIDE), mean=(0.0,) * 3, std=(1.0,) * 3, fit="pad")
    import torchvision

    versions: Any = torchvision.models.get_model_weights(full.name)
    preset = versions.DEFAULT.transforms()
    (side,) = preset.resize_size
    return Preprocess((side, side), mean=tuple(preset.mean), std=tuple(preset.std), fit="pad")
