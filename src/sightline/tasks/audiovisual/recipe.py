"""`EventRecipe`: how the network of events is trained. Numbers and words only; it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.common.settings import setting
from sightline.training.recipe import DeviceConfig, LoopConfig, OptimConfig, Part, Recipe


@dataclass(frozen=True, kw_only=True)
class DataConfig(Part):
    """Drawn scenes: moving shapes and tones."""

    PANEL = "Data"

    scenes: int = setting(6_000, "Number of training scenes.", low=20)
    held_out: int = setting(600, "Number of scenes that figures are measured on.", low=10)
    frames: int = setting(6, "Pictures of a scene, and segments of its sound.", low=4, high=64)
    side: int = setting(24, "Side of the pictures in pixels, a multiple of 4.", "--size", low=16)
    shapes: int = setting(2, "Shapes in the picture; all but one are silent movers.", low=1, high=5)
    tones: int = setting(2, "Tones in the sound; all but one are of things off the screen.", low=1, high=5)
    noise: float = setting(0.02, "Noise in the picture, as a standard deviation of 0..1.", low=0)
    sound_noise: float = setting(0.003, "Noise in the sound, as a standard deviation.", low=0)
    lag: int | None = setting(
        None, "Segments from a shape's appearance to its tone. Default: shapes are there all the time.", low=0
    )
    negatives: float = setting(
        0.2, "Share of training scenes without an event: tones of things off the screen, or silence.", low=0, high=0.9
    )


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Part):
    """The network."""

    PANEL = "Network"

    form: str = setting(
        "joint",
        "Attention over all triples: joint or factorised; or avel, the ancestor as a baseline.",
        words=("joint", "factorised", "avel"),
    )
    queries: str = setting(
        "class", "Queries of the attention: of each class, or shared by all.", words=("class", "shared")
    )
    field: str = setting(
        "patch", "How much a token of the picture sees: its patch, or wide.", words=("patch", "wide")
    )
    patch: int = setting(
        4, "Sides of a patch of the picture in pixels, an even number; a token sees twice as far.", low=2, high=256
    )
    width: int = setting(32, "Channels of the tokens.", low=2, high=1024)
    mixing: str = setting(
        "none",
        "Self-attention within each modality: none, or with its normalisation before (pre) or behind (post).",
        words=("none", "pre", "post"),
    )
    reach: int = setting(
        0, "Largest offset of picture and sound, in segments, with a bias of its own.", low=0, high=64
    )


@dataclass(frozen=True, kw_only=True)
class LossConfig(Part):
    """What is learned beside the events."""

    PANEL = "Loss"

    even_weight: float = setting(
        0.3, "Weight of even attention in scenes without an event, so that a map goes away with its sound.", low=0
    )
    match_weight: float = setting(
        1.0,
        "Weight of naming the event by the attention's scores alone, so that a class attends to what speaks for it.",
        low=0,
    )
    entropy_weight: float = setting(0.0, "Weight of narrow attention in scenes with an event.", low=0)
    missing_steps: int = setting(
        300,
        "Steps at the end in which only the stand-ins for a missing picture or sound learn.",
        low=0,
    )
    modality_dropout: float = setting(
        0.0,
        "Share of training scenes whose picture or sound is missing; the attention learns from these too.",
        low=0,
        below=1,
    )


@dataclass(frozen=True, kw_only=True)
class EventRecipe(Recipe):
    """How the network of events is trained."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig(lr=5e-3, weight_decay=0.01)
    loop: LoopConfig = LoopConfig(epochs=12, batch_size=50)
    machine: DeviceConfig = DeviceConfig(device="cpu")

    def toy(self) -> EventRecipe:
        """A few-second configuration for smoke tests."""
        return self.but(scenes=100, held_out=40, epochs=2, batch_size=20, width=8, workers=1, missing_steps=10)
