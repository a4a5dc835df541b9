"""`EatRecipe`: all that decides what comes out of `sightline train eat`, beside the data.

Numbers and words only; it imports no torch, so that the command line can show every default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sightline.common.settings import Settings, setting
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

SIDE = 224
"""Side of the pictures in pixels where nothing says another."""
MOST_FITTED, LEAST_FITTED = 1000, 10
"""Most pictures that logistic regressions of attributes are fitted to, and fewest that some can be left out of."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Part):
    """The network, and what its attributes are read off."""

    PANEL = "Network"

    backbone: str = setting(
        "timm:resnet18",
        "Any classifier of `sightline models`, own code (file.py:Net), a folder of Hugging Face.",
        "--model",
    )
    weights: str | None = setting(
        None,
        "Its weights: a file, 'published' or 'random'. Default: published; random without --data, but for --frozen.",
    )
    model_args: dict[str, Any] = setting(dict, "NAME=VALUE for the backbone's builder.", "--model-arg")
    join: str = setting("fusion", "How attributes meet the class: parallel, fusion, bottleneck.")
    pool: str = setting("average", "How the head puts places together: average, max, places.")
    stride: int = setting(16, "Pixels per cell of the features; 0: the backbone's.")
    attribute_stride: int = setting(0, "Pixels per cell of finer features to read attributes off; 0: none.")
    attribute_width: int = setting(64, "Channels of those finer features.")
    ordinal: str = setting(
        "number",
        "How declared ranks are read: number (all steps of one size), thresholds (ordered logits).",
        words=("number", "thresholds"),
    )
    size: int | None = setting(
        None, "Side of the pictures in pixels. Default: the network's own with given weights, else 224.", above=0
    )

    white: float | None = setting(
        None, "Value that is white in pictures of more than 8 bits: 4095 of a 12-bit camera. Default: by depth."
    )
    black: float | None = setting(
        None, "Value that is black in them: -1000 of a CT, for air. Default: 0 or the lowest."
    )

    @property
    def side(self) -> int:
        """Side of the pictures, whether asked for or not."""
        return self.size or SIDE


@dataclass(frozen=True, kw_only=True)
class ReadingConfig(Settings):
    """How a data set is read into splits: what a training asks for, and an audit of what it trained asks again."""

    attributes: str = setting(
        "annotated",
        "Attributes: annotated in the data, or mined from sentences beside the photos.",
        words=("annotated", "mined"),
    )
    word_list: str | None = setting(None, "TOML file of words to mine. Default: parts and colours of birds.")
    group_by: str | None = setting(
        None, "Column of a CSV table, such as patient: no group of it lies in two splits. It is not an attribute."
    )
    labels: tuple[str, ...] = setting(
        (),
        "Several labels per picture: columns of 0, 1 and blank of a CSV table, or COCO's categories; other columns "
        "are attributes. Default: a column labels, or one class.",
        "--label-columns",
    )
    validation: float = setting(
        0.1, "Share of each class put aside where the data has no validation split.", "--validation-share"
    )
    held_out: float = setting(
        1 / 3,
        "Share of the pictures with several labels that is tested on where the data has no test pictures.",
        "--test-share",
        above=0,
        below=1,
    )


@dataclass(frozen=True, kw_only=True)
class DataConfig(Part, ReadingConfig):
    """What is learnt from."""

    PANEL = "Data"

    targets: str = setting("image", "Attributes of each image, or of its class.")
    only: tuple[str, ...] = setting((), "Attributes or groups, wildcards, commas. Default: all.")
    incomplete: bool = setting(False, "Leave out classes without training pictures.", "--incomplete")
    scenes: int = setting(2_000, "Number of training scenes where no data is named.", above=0)


@dataclass(frozen=True, kw_only=True)
class LossWeights(Part):
    """How much each loss counts."""

    PANEL = "Loss"

    class_weight: float = setting(1.0, "Weight of the class loss.", low=0, hidden=True, lasts=False)
    attribute_weight: float = setting(1.0, "Weight of the attribute loss beside the class loss.", "--lambda", low=0)
    label_smoothing: float = setting(0.05, "Label smoothing of the classes.")
    balance: float = setting(0.5, "How much more rare attributes count, 0 to 1.")
    outside_weight: float = setting(
        0.0, "Guide: weight of the class map's energy outside the object (masks, boxes).", low=0
    )
    part_weight: float = setting(0.0, "Guide: weight of reading attributes off their parts (part masks).", low=0)
    consistency_weight: float = setting(
        0.0, "Guide: weight of agreeing with the same scene before another background (worlds).", low=0
    )

    def by_loss(self) -> dict[str, float]:
        """The weight of every loss, by the name under which it is logged."""
        return {
            "class": self.class_weight,
            "attributes": self.attribute_weight,
            "outside": self.outside_weight,
            "parts": self.part_weight,
            "consistency": self.consistency_weight,
        }


@dataclass(frozen=True, kw_only=True)
class EatAugment(AugmentConfig):
    """How pictures are varied."""

    augment: str = setting(
        "auto",
        "scene (mirror, small shifts, brightness), photo (random crops, flips, colour), none. Default: photo with "
        "given weights, scene with random ones.",
        words=("auto", "scene", "photo", "none"),
    )


@dataclass(frozen=True, kw_only=True)
class EatLoop(LoopConfig):
    """How long is trained, and which epoch is kept."""

    monitor: str = setting(
        "auto",
        "What chooses the epoch: validation accuracy, loss, or class-loss (without the attributes'). Default: loss "
        "with given weights, as a few images hardly tell epochs apart by accuracy, of a bottleneck class-loss; "
        "accuracy with random ones.",
        words=("auto", "accuracy", "loss", "class-loss"),
    )
    patience: int = setting(0, "Epochs without a better one after which training stops; 0: never.", low=0)


@dataclass(frozen=True, kw_only=True)
class EatDevice(DeviceConfig):
    """What Lightning trains on, several devices among it."""

    strategy: str = setting("auto", "How several devices share a batch: auto, ddp.")


@dataclass(frozen=True, kw_only=True)
class EatRecipe(Recipe):
    """How an attribute network is trained.

    Raises:
        TrainingError: a number or word makes no sense.
    """

    network: NetworkConfig = NetworkConfig()
    data: DataConfig = DataConfig()
    loss: LossWeights = LossWeights()
    augmentation: EatAugment = EatAugment()
    tuning: TuningConfig = TuningConfig()
    optim: OptimConfig = OptimConfig()
    operating: OperatingConfig = OperatingConfig()
    loop: EatLoop = EatLoop()
    machine: EatDevice = EatDevice(precision="bf16-mixed")

    def __post_init__(self) -> None:
        """Check what options have to do with each other."""
        super().__post_init__()
        finer, pairs = self.network.attribute_stride, self.loss.consistency_weight
        if self.tuning.frozen and (finer or pairs):
            option = "--attribute-stride" if finer else "--consistency-weight"
            raise TrainingError(
                f"--frozen keeps each picture's last features only, but {option} needs more; leave one out"
            )

    def given(self, *, drawn: bool) -> bool:
        """Whether the backbone begins with weights that have learnt already.

        Args:
            drawn: whether the pictures are drawn: then weights are random where nothing else is asked for, unless
                heads alone are to learn.
        """
        if self.network.weights is None:
            return self.tuning.frozen or not drawn
        return self.network.weights != "random"

    def holds_attributes(self, pictures: int, independent: int) -> bool:
        """Whether attribute heads are logistic regressions on frozen features, and stay so while the class learns.

        They are where such a head can be fitted again in a moment: read off pooled features of few pictures. The
        attributes of a bottleneck have to serve its class, so they learn with it.

        Args:
            pictures: how many are learnt from.
            independent: how many of them know nothing of one another, such as one of each patient.
        """
        own, loss = self.network, self.loss
        plain = own.pool == "average" and own.join != "bottleneck" and own.ordinal == "number"
        guided = loss.outside_weight or loss.part_weight
        few = pictures <= MOST_FITTED and independent >= LEAST_FITTED
        return bool(self.tuning.frozen and plain and not guided and loss.attribute_weight and few)

    @property
    def lowest(self) -> str:
        """The loss whose lowest epoch is kept, where a loss chooses and none is asked for."""
        # attributes of a bottleneck serve its class, which goes on learning when their loss rises again
        return "class-loss" if self.network.join == "bottleneck" else "loss"

    def settled(self, *, drawn: bool, size: int | None = None) -> EatRecipe:
        """The same without anything left open: what is trained, checked when a run goes on, and written on the card.

        Args:
            drawn: whether the pictures are drawn.
            size: side of the pictures that the given weights have learnt from; None where that is not known.
        """
        given, own = self.given(drawn=drawn), self.augmentation
        side = self.network.size or (size if given else None) or SIDE
        monitor = self.loop.monitor
        if monitor == "auto":
            monitor = self.lowest if given else "accuracy"
        augment = own.augment if own.augment != "auto" else "photo" if given else "scene"
        return replace(
            self,
            network=replace(self.network, size=side),
            augmentation=replace(own, augment=augment),
            tuning=self.tuning.settled(given=given),
            loop=replace(self.loop, monitor=monitor),
        )

    def toy(self) -> EatRecipe:
        """A few-second configuration for smoke tests; a backbone that was named stays."""
        own = self.network
        narrow = {"channels": (8, 8, 8, 8)} if own.backbone == NetworkConfig.backbone else own.model_args
        epochs = min(self.loop.epochs, 2)
        return self.but(
            model_args=narrow, size=32, scenes=80, epochs=epochs, batch_size=20, precision="32", workers=1
        )
