"""`EatRecipe`: all that decides what comes out of `sightline train eat`, beside the data.

Numbers and words only; it imports no torch, so that the command line can show every default.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sightline.training.recipe import PRECISIONS, check_recipe

WORDS = {"precision": PRECISIONS, "best": ("accuracy", "loss")}
"""Options that know a few words."""


@dataclass(frozen=True)
class EatRecipe:
    """How an attribute network is trained.

    Args:
        backbone: name of the classifier whose features are read.
        weights: its weights: a file, `published` or `random`; None takes published ones for photos and random ones
            for drawn scenes, which no published weights resemble.
        model_args: arguments of the backbone's builder.
        join: how attributes meet the class: `parallel`, `fusion`, `bottleneck`.
        pool: how the attribute head puts places together: `average`, `max`, `places`.
        attribute_weight: lambda, the weight of the attribute loss beside the class loss.
        stride: pixels per cell of the features; 0 leaves the backbone as it is.
        reading: pixels per cell of the features that attributes are read off, where finer than these; 0 for no.
        width: channels of those finer features.
        size: side of the pictures in pixels.
        epochs: passes over the training pictures.
        batch: pictures per step, over all devices together.
        rate: highest learning rate.
        trunk_rate: factor on it for the backbone; None is 1 for a random backbone and 0.1 for one with weights.
        decay: weight decay.
        smoothing: of the class labels.
        balance: how strongly rare attributes count more, 0 to 1.
        outside: weight of the class map's energy outside the object; needs masks or boxes.
        parts: weight of the loss that shows each group of attributes its part; needs part masks.
        consistency: weight of the disagreement with the same scene before another background; needs a drawn world.
        targets: what a picture's attributes are: its own (`image`), or its class's (`class`).
        only: attributes or groups to learn, wildcards allowed; empty for all.
        validation: share of each class's training pictures put aside, where the data has no validation split.
        incomplete: leave out classes without training pictures rather than refuse the data.
        scenes: number of training scenes where no data is named.
        best: by which validation figure the kept epoch is chosen: `accuracy` or `loss`.
        patience: epochs without a better one after which training stops; 0 for never.
        precision: `bf16-mixed`, `16-mixed` or `32`.
        accelerator: of Lightning: `auto`, `cpu`, `gpu`.
        devices: how many of them, `auto` for all.
        strategy: of Lightning: `auto`, `ddp`, `fsdp` and the like.
        workers: processes that draw scenes.
        seed: of weights, order, augmentation and the carved split.
        threads: of torch.

    Raises:
        TrainingError: a number or word makes no sense.
    """

    backbone: str = "timm:resnet18"
    weights: str | None = None
    model_args: dict[str, Any] = field(default_factory=dict)
    join: str = "fusion"
    pool: str = "average"
    attribute_weight: float = 1.0
    stride: int = 16
    reading: int = 0
    width: int = 64
    size: int = 224
    epochs: int = 20
    batch: int = 32
    rate: float = 2e-3
    trunk_rate: float | None = None
    decay: float = 0.02
    smoothing: float = 0.05
    balance: float = 0.5
    outside: float = 0.0
    parts: float = 0.0
    consistency: float = 0.0
    targets: str = "image"
    only: tuple[str, ...] = ()
    validation: float = 0.1
    incomplete: bool = False
    scenes: int = 2_000
    best: str = "accuracy"
    patience: int = 0
    precision: str = "bf16-mixed"
    accelerator: str = "auto"
    devices: str = "1"
    strategy: str = "auto"
    workers: int = 2
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Check numbers and words before any work."""
        check_recipe(
            self,
            words=WORDS,
            above_zero=("epochs", "batch", "size", "scenes", "rate"),
            not_negative=("attribute_weight", "outside", "parts", "consistency", "decay", "patience"),
        )

    def toy(self) -> EatRecipe:
        """A size that finishes in seconds and proves only that the road is open; a backbone of one's own stays."""
        narrow = {"channels": (8, 8, 8, 8)} if self.backbone == EatRecipe.backbone else self.model_args
        return replace(
            self,
            model_args=narrow,
            size=32,
            scenes=80,
            epochs=min(self.epochs, 2),
            batch=20,
            precision="32",
            workers=1,
        )
