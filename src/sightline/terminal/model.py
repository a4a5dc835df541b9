"""`ModelOptions`: which model a verb is about, asked for in the same way by every verb."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.settings import Settings, setting
from sightline.terminal.options import device_of


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Settings):
    """Which model, and where it runs."""

    PANEL = "Model"

    model: str | None = setting(None, "resnet50, timm:resnet50, module:build, FOLDER, birdnet; imagenet if none.")
    weights: str | None = setting(None, "A weights file, or 'random'; the published weights if none.")
    model_args: dict[str, Any] = setting(
        dict, "NAME=VALUE for the network's builder; repeat for more.", "--model-arg"
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps.")

    def arguments(self) -> dict[str, Any]:
        """What `load_model` takes beside the name and the seed."""
        return {"weights": self.weights, "model_args": self.model_args, "device": device_of(self.device)}


@dataclass(frozen=True, kw_only=True)
class LabelledModelOptions(ModelOptions):
    """The same, with names for its classes."""

    labels: Path | None = setting(None, "Class names: .txt with one per line, .csv or .json.")

    def arguments(self) -> dict[str, Any]:
        """What `load_model` takes beside the name and the seed."""
        return {**super().arguments(), "labels": self.labels}
