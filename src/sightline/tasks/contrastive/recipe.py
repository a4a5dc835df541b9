"""`ContrastiveRecipe`: how the image encoder is trained. Numbers and words only; it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.common.settings import setting
from sightline.training.recipe import EpochConfig, MachineConfig, OptimConfig, Part, Recipe


@dataclass(frozen=True, kw_only=True)
class DataConfig(Part):
    """Scenes of the aviary."""

    PANEL = "Data"

    scenes: int = setting(2_000, "Number of training scenes.", low=40)
    held_out: int = setting(600, "Number of scenes for retrieval: half of them ask, half are the gallery.", low=2)
    size: int = setting(96, "Side of the scenes in pixels.", above=0)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Part):
    """The encoder."""

    PANEL = "Network"

    widths: tuple[int, ...] = setting((16, 32, 48, 64), "Channels of the four stages.", hidden=True)
    blocks: tuple[int, ...] = setting((1, 1, 2, 2), "Residual blocks of the four stages.", hidden=True)
    dimensions: int = setting(64, "Numbers in the embedding.", "--width", above=0)


@dataclass(frozen=True, kw_only=True)
class LossConfig(Part):
    """InfoNCE."""

    PANEL = "Loss"

    temperature: float = setting(0.1, "Temperature of the loss.", above=0)


@dataclass(frozen=True, kw_only=True)
class ContrastiveRecipe(Recipe):
    """How the encoder is trained; a step sees two scenes of every species."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig(lr=3e-3, weight_decay=0.03)
    loop: EpochConfig = EpochConfig(epochs=40)
    machine: MachineConfig = MachineConfig()

    def toy(self) -> ContrastiveRecipe:
        """A few-second configuration for smoke tests."""
        tiny = self.but(widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), dimensions=8, size=32)
        return tiny.but(scenes=80, held_out=80, epochs=1, workers=1)
