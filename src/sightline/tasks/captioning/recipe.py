"""`CaptionRecipe`: how a captioner is trained. Numbers and words only; it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.common.settings import setting
from sightline.training.recipe import DeviceConfig, LoopConfig, OptimConfig, Part, Recipe


@dataclass(frozen=True, kw_only=True)
class DataConfig(Part):
    """Generated scenes, where no captions are given, and what is kept of words."""

    PANEL = "Data"

    scenes: int = setting(4_000, "Number of training scenes.", low=4)
    held_out: int = setting(800, "Number of scenes that are measured on.", low=2)
    grey: int = setting(3, "Number of grey shapes in a scene, which no sentence is about.", low=0, high=98)
    relations: tuple[str, ...] = setting(
        ("side", "height", "distance", "size"), "Kinds of relation that sentences of scenes tell, with commas."
    )
    least_count: int = setting(5, "Least number of times that a word of the vocabulary occurs.", "--min-count", low=1)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Part):
    """The captioner."""

    PANEL = "Network"

    preset: str = setting("ng-san", "san, n-san, g-san or ng-san.", words=("san", "n-san", "g-san", "ng-san"))
    signed: bool = setting(
        False, "Let the geometry tell left from right; the paper's cannot.", "--signed/--no-signed"
    )
    absolute: bool = setting(False, "Add the box itself to the features.", "--absolute/--no-absolute")
    layers: int = setting(2, "Encoder blocks, and as many decoder blocks; the paper takes 4.", "--blocks", above=0)
    width: int = setting(64, "Channels; the paper takes 512.", above=0)
    heads: int = setting(4, "Attention heads; 8 is usual.", above=0)
    inner: int = setting(128, "Channels inside the feed-forward networks; the paper takes 2048.", above=0)
    longest: int = setting(20, "Most words of a caption.", above=0)
    dropout: float = setting(0.0, "Share of numbers that are dropped in training.", low=0, below=1)
    normaliser: str = setting(
        "preset",
        "What normalises queries, instead of what the preset has.",
        words=("preset", "none", "layer", "batch", "instance-affine", "instance"),
        hidden=True,
    )
    geometry: tuple[str, ...] | None = setting(
        None, "Geometry biases, instead of what the preset has: content, query, key.", hidden=True
    )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(OptimConfig):
    """Cross-entropy: the rate rises, stays, and is halved every few epochs. Then self-critical CIDEr at its own rate.

    The paper's networks: --lr 3e-4 --lr-warm-up 3 --halve-from 3 --halve-every 3, 15 epochs; then --critical-lr 4e-5.
    """

    PANEL = "Optimiser"

    warm_up: float = setting(0.5, "Epochs in which the learning rate rises.", "--lr-warm-up", low=0)
    halve_from: int = setting(20, "Epoch from which on the learning rate is halved.", low=0)
    halve_every: int = setting(4, "Epochs between two halvings.", above=0)
    captions_per_picture: int = setting(8, "Most captions of each picture in a step.", above=0)
    critical_epochs: int = setting(0, "Further epochs of self-critical training on CIDEr-D.", low=0)
    critical_lr: float = setting(2e-4, "Learning rate of self-critical training.", above=0)
    critical_decay: float = setting(
        0.8, "Factor on that rate after each epoch of self-critical training.", above=0, high=1
    )


@dataclass(frozen=True, kw_only=True)
class CaptionRecipe(Recipe):
    """How a captioner is trained."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    optim: ScheduleConfig = ScheduleConfig(lr=2e-3, weight_decay=0.0)
    loop: LoopConfig = LoopConfig(epochs=36, batch_size=32)
    machine: DeviceConfig = DeviceConfig()

    def toy(self) -> CaptionRecipe:
        """A few-second configuration for smoke tests."""
        tiny = self.but(scenes=60, held_out=20, epochs=1, batch_size=20, critical_epochs=1, workers=1, device="cpu")
        return tiny.but(layers=1, width=8, heads=2, inner=8, captions_per_picture=2)
