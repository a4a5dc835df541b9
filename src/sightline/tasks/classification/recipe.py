"""`ClassifyRecipe`: all that decides what comes out of `sightline train classify`, beside the data.

Numbers and words only; it imports no torch, so that the command line can show every default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline.common.numbers import whole
from sightline.common.settings import setting
from sightline.common.text import clipped
from sightline.errors import TrainingError
from sightline.training.recipe import (
    AugmentConfig,
    DeviceConfig,
    LoopConfig,
    OperatingConfig,
    OptimConfig,
    Part,
    Recipe,
    TuningConfig,
)

SMALL, LARGE = 32, 64
"""Side of the pictures where nothing says another, and from which on they are varied as photos are."""
WITH_WEIGHTS = ("imagenet", "imagenet-lite1", "imagenet-lite2")
"""Networks that are only asked for because of their weights."""
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
    weights: str | None = setting(
        None, "Its weights: random, published, or a file. Default: random; of imagenet its own."
    )
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
        if self.init == "fan_out" and self.begins_with != "random":
            raise TrainingError(
                f"--init fan_out would draw anew what --weights {self.begins_with} brings; leave one of them out"
            )

    @property
    def begins_with(self) -> str:
        """Its weights, whether asked for or not."""
        return self.weights or ("published" if self.model in WITH_WEIGHTS else "random")


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

    size: int | None = setting(
        None,
        "Side of the pictures in pixels. Default: the network's own with given weights, 32 with random ones.",
        above=0,
    )
    augment: str = setting(
        "auto",
        "crop-flip (small pictures, as CIFAR's recipes), photo (random crops, flips, colour), none. Default: photo "
        "with given weights from 64 pixels on, else crop-flip.",
        words=("auto", "crop-flip", "photo", "none"),
    )
    held_out: float = setting(
        1 / 3,
        "Share of each class that is tested on where the data has no test pictures.",
        "--test-share",
        above=0,
        below=1,
    )
    group_by: str | None = setting(
        None, "Column of labels.csv, such as patient: no group of it is both learnt from and tested on."
    )
    validation: float = setting(
        0.2,
        "Share of each class's training pictures that choose the epoch (--keep best), and thresholds of several "
        "labels.",
        "--validation-share",
        above=0,
        below=1,
    )
    labels: tuple[str, ...] = setting(
        (),
        "Columns of labels.csv that are labels, with commas. Default: all of 0, 1 and blank, or a column labels.",
        "--label-columns",
    )
    white: float | None = setting(
        None, "Value that is white in pictures of more than 8 bits: 4095 of a 12-bit camera."
    )
    black: float | None = setting(None, "Value that is black in them: -1000 of a CT, for air.")
    scenes: int = setting(1_500, "Training scenes of the aviary; a third as many are tested on.", above=0)

    @property
    def side(self) -> int:
        """Side of the pictures, whether asked for or not."""
        return self.size or SMALL


@dataclass(frozen=True, kw_only=True)
class DescentConfig(OptimConfig):
    """AdamW on a cosine for weights that were given, stochastic gradient descent in steps for random ones.

    Source:
        0.1, two milestones, decay 1e-4 and momentum 0.9 are those of he2016deep; huang2020dianet trains so.
    """

    optimizer: str = setting(
        "auto",
        "sgd falls in steps, adamw on a cosine. Default: adamw with given weights, sgd with random ones.",
        words=("auto", "sgd", "adamw"),
    )
    lr: float | None = setting(  # type: ignore[assignment]
        None, "Highest learning rate. Default: 0.1 of sgd, 0.002 of adamw.", above=0
    )
    weight_decay: float | None = setting(  # type: ignore[assignment]
        None, "Weight decay. Default: 1e-4 of sgd, 0.02 of adamw, 1 of adamw where only the last layer learns.", low=0
    )
    label_smoothing: float | None = setting(
        None, "Label smoothing of the classes. Default: 0 of sgd, 0.05 of adamw.", low=0, below=1
    )
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

    def settled(self, *, given: bool, frozen: bool = False) -> DescentConfig:
        """The same without anything left open.

        Args:
            given: whether the network begins with weights that have learnt already.
            frozen: whether only the last layer learns.
        """
        name = self.optimizer if self.optimizer != "auto" else "adamw" if given else "sgd"
        lr, decay, smoothing = (0.1, 1e-4, 0.0) if name == "sgd" else (0.002, 1.0 if frozen else 0.02, 0.05)
        return replace(
            self,
            optimizer=name,
            lr=lr if self.lr is None else self.lr,
            weight_decay=decay if self.weight_decay is None else self.weight_decay,
            label_smoothing=smoothing if self.label_smoothing is None else self.label_smoothing,
        )


@dataclass(frozen=True, kw_only=True)
class ClassifyLoop(LoopConfig):
    """How long is trained, and which epoch's weights are written."""

    keep: str = setting(
        "auto",
        "Weights to keep: best (of the epoch of the lowest loss on --validation-share, if surely below the start's; "
        "else the start) or last. "
        "Default: best with given weights that are fine-tuned, else last.",
        words=("auto", "best", "last"),
    )


@dataclass(frozen=True, kw_only=True)
class ClassifyRecipe(Recipe):
    """How a classifier is trained.

    Raises:
        TrainingError: a number or word makes no sense.
    """

    network: NetworkConfig = NetworkConfig()
    gating: GateConfig = GateConfig()
    data: DataConfig = DataConfig()
    augmentation: AugmentConfig = AugmentConfig()
    tuning: TuningConfig = TuningConfig()
    optim: DescentConfig = DescentConfig()
    operating: OperatingConfig = OperatingConfig()
    loop: ClassifyLoop = ClassifyLoop(epochs=30, batch_size=64)
    machine: DeviceConfig = DeviceConfig()

    def __post_init__(self) -> None:
        """Check what options have to do with each other."""
        super().__post_init__()
        if self.tuning.frozen and self.gating.gate != "none":
            raise TrainingError(
                "--frozen learns the last layer only, so a gate would never learn; leave one of them out"
            )
        if self.tuning.frozen and self.network.weights is None and not self.given:
            raise TrainingError(
                f"--frozen learns the last layer only, and {self.network.model} begins with random weights, whose "
                "features tell little; name others with --weights published or --weights FILE (--weights random if "
                "random ones are meant)"
            )

    @property
    def given(self) -> bool:
        """Whether the network begins with weights that have learnt already."""
        return self.network.begins_with != "random"

    def settled(self, size: int | None = None) -> ClassifyRecipe:
        """The same without anything left open: what is trained, checked when a run goes on, and written on the card.

        Args:
            size: side of the pictures that the given weights have learnt from; None where that is not known.
        """
        given, data = self.given, self.data
        side = data.size or (size if given else None) or SMALL
        augment = data.augment
        if augment == "auto":
            augment = "photo" if given and side >= LARGE else "crop-flip"
        keep = self.loop.keep
        if keep == "auto":
            keep = "best" if given and not self.tuning.frozen else "last"
        tuning, optim = self.tuning.settled(given=given), self.optim.settled(given=given, frozen=self.tuning.frozen)
        if tuning.head_lr_factor is None and (optim.optimizer == "sgd" or self.gating.gate != "none"):
            tuning = tuning.but(head_lr_factor=1.0)  # the bound on a step is AdamW's; new gates learn among the heads
        return replace(
            self,
            network=replace(self.network, weights=self.network.begins_with),
            data=replace(data, size=side, augment=augment),
            tuning=tuning,
            optim=optim,
            loop=replace(self.loop, keep=keep),
        )

    def toy(self) -> ClassifyRecipe:
        """A few-second configuration for smoke tests; the network stays if it is not the default."""
        own = self.network
        narrow = {"widths": (8, 8, 8)} if own.model == NetworkConfig.model else {}
        return self.but(
            model_args={**narrow, **own.model_args},
            size=min(self.data.size or SMALL, 16),
            scenes=60,
            epochs=min(self.loop.epochs, 2),
            lr_milestones=None,
            batch_size=20,
            precision="32",
            workers=1,
        )
