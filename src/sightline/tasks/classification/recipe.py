"""`ClassifyRecipe`: all that decides what comes out of `sightline train classify`, beside the data.

Numbers and words only; it imports no torch, so that the command line can show every default.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.numbers import whole
from sightline.common.settings import setting
from sightline.common.text import clipped
from sightline.errors import TrainingError
from sightline.training.recipe import DeviceConfig, LoopConfig, OptimConfig, Part, Recipe

CONFIGS = Path(__file__).parent / "configs"
"""Recipes by name, each a TOML file of options."""


def milestones_of(text: str) -> tuple[int, ...] | None:
    """`60,120` as epochs.

    Raises:
        TrainingError: it is no list of whole numbers from 1.

    Example:
        >>> milestones_of("60,120")
        (60, 120)
    """
    parts = [part.strip() for part in text.strip("[]() ").split(",") if part.strip()]
    epochs = tuple(epoch for part in parts if (epoch := whole(part)) is not None and epoch > 0)
    if len(epochs) < len(parts):
        raise TrainingError(f"--lr-milestones {clipped(text)} is not understood; write epochs such as 60,120")
    return epochs or None


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Part):
    """The network before it has gates.

    Raises:
        TrainingError: weights are to be read and to be drawn.
    """

    PANEL = "Network"

    model: str = setting(
        "cifar-resnet8", "A name of `sightline models`, or cifar-resnet20, cifar-wrn-16-4 and the like."
    )
    weights: str = setting("random", "Its weights: random, published, or a file.")
    model_args: dict[str, Any] = setting(dict, "NAME=VALUE for the network's builder.", "--model-arg")
    skip: bool = setting(True, "Shortcuts (CIFAR networks).")
    norm: bool = setting(True, "BatchNorm (CIFAR networks).")
    init: str = setting(
        "default",
        "How the convolutions are drawn: default (the network's own), fan_out.",
        words=("default", "fan_out"),
    )

    def __post_init__(self) -> None:
        """Check numbers and words before any work."""
        super().__post_init__()
        if self.init == "fan_out" and self.weights != "random":
            raise TrainingError(
                f"--init fan_out would draw anew what --weights {self.weights} brings; leave one of them out"
            )


@dataclass(frozen=True, kw_only=True)
class GateConfig(Part):
    """The attention module that is built in."""

    PANEL = "Gate"

    gate: str = setting("none", "A name of `sightline gates list`, or none.")
    share: str = setting("stage", "Which blocks share a gate: block (none), stage or width.")
    scheme: str = setting("dense", "Which blocks have it: dense, empty, every-2, 110|0011, 6,3.")
    start: str = setting("default", "How a gate begins: default, or identity for trained weights.")
    reduction: int | None = setting(None, "Reduction of the gate's inner width. Default: the gate's own.")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Part):
    """What is learnt from."""

    PANEL = "Data"

    size: int = setting(32, "Side of the pictures in pixels.", above=0)
    augment: str = setting("crop-flip", "crop-flip, or none.", words=("crop-flip", "none"))
    held_out: float = setting(
        1 / 3,
        "Share of each class that is tested on where the data has no test pictures.",
        above=0,
        below=1,
    )
    scenes: int = setting(1_500, "Training scenes of the aviary; a third as many are tested on.", above=0)


@dataclass(frozen=True, kw_only=True)
class SGDConfig(OptimConfig):
    """Stochastic gradient descent with momentum, as published without Nesterov's correction.

    Source:
        0.1, two milestones, decay 1e-4 and momentum 0.9 are those of he2016deep; huang2020dianet trains so.
    """

    lr: float = setting(0.1, "Learning rate at the start.", above=0)
    weight_decay: float = setting(1e-4, "Weight decay.", low=0)
    momentum: float = setting(0.9, "Momentum of stochastic gradient descent.", low=0)
    lr_milestones: tuple[int, ...] | None = setting(
        None,
        "Epochs after which the learning rate falls: 60,120. Default: a half and three quarters.",
        parse=milestones_of,
    )
    lr_gamma: float = setting(0.1, "Factor by which it falls.", above=0)

    def milestones(self, epochs: int) -> tuple[int, ...]:
        """Epochs after which the rate falls, in a training of so many."""
        if self.lr_milestones is None:
            return tuple(sorted({max(1, epochs // 2), max(1, epochs * 3 // 4)}))
        return tuple(sorted(self.lr_milestones))


@dataclass(frozen=True, kw_only=True)
class ClassifyRecipe(Recipe):
    """How a classifier is trained.

    Raises:
        TrainingError: a number or word makes no sense.
    """

    network: NetworkConfig = NetworkConfig()
    gating: GateConfig = GateConfig()
    data: DataConfig = DataConfig()
    optim: SGDConfig = SGDConfig()
    loop: LoopConfig = LoopConfig(epochs=30, batch_size=64)
    machine: DeviceConfig = DeviceConfig()

    def toy(self) -> ClassifyRecipe:
        """A few-second configuration for smoke tests; the network stays if it is not the default."""
        own = self.network
        narrow = {"widths": (8, 8, 8)} if own.model == NetworkConfig.model else {}
        return self.but(
            model_args={**narrow, **own.model_args},
            size=min(self.data.size, 16),
            scenes=60,
            epochs=min(self.loop.epochs, 2),
            lr_milestones=None,
            batch_size=20,
            precision="32",
            workers=1,
        )
