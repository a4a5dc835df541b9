"""`BirdRecipe`: how the bundled bird model is trained. Numbers and words only; it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.common.settings import setting
from sightline.training.recipe import LoopConfig, MachineConfig, OptimConfig, Part, Recipe


@dataclass(frozen=True, kw_only=True)
class DataConfig(Part):
    """Scenes of the aviary."""

    PANEL = "Data"

    scenes: int = setting(8_000, "Number of training scenes.", low=1)
    # Without them the attribute head would only repeat the class.
    random_scenes: int = setting(
        12_000, "Number of training scenes whose attributes are random and whose class is hidden.", low=0
    )
    held_out: int = setting(2_000, "Number of scenes that it is measured on.", low=1)
    size: int = setting(128, "Side of the scenes in pixels.", above=0)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Part):
    """The network."""

    PANEL = "Network"

    widths: tuple[int, ...] = setting((32, 48, 80, 112), "Channels of the four stages.", hidden=True)
    blocks: tuple[int, ...] = setting((2, 2, 3, 3), "Blocks of the four stages.", hidden=True)
    attribute_width: int = setting(64, "Channels that the attribute head reads.", above=0)


@dataclass(frozen=True, kw_only=True)
class LossWeights(Part):
    """How much each loss counts beside the class loss."""

    PANEL = "Loss"

    attribute_weight: float = setting(4.0, "Weight of the attribute loss.", "--lambda", low=0)
    place_weight: float = setting(
        0.5, "Weight of the loss that shows each group of attributes its part; 0 leaves that to the net.", low=0
    )


@dataclass(frozen=True, kw_only=True)
class BirdLoop(LoopConfig):
    """How long is trained, and on what size."""

    small_epochs: int = setting(
        2, "Epochs at the beginning that see the scenes at five eighths of their side, which costs a third.", low=0
    )


@dataclass(frozen=True, kw_only=True)
class BirdRecipe(Recipe):
    """How the bundled model is trained."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossWeights = LossWeights()
    optim: OptimConfig = OptimConfig(lr=3e-3, weight_decay=0.03)
    loop: BirdLoop = BirdLoop(epochs=7, batch_size=64)
    machine: MachineConfig = MachineConfig()

    def toy(self) -> BirdRecipe:
        """A few-second configuration for smoke tests."""
        tiny = self.but(widths=(8, 8, 12, 16), blocks=(1, 1, 1, 1), attribute_width=8, size=48)
        return tiny.but(scenes=80, random_scenes=40, held_out=40, epochs=1, batch_size=20, workers=1)
