"""`ClassifyRecipe`: all that decides what comes out of `sightline train classify`, beside the data.

Numbers and words only; it imports no torch, so that the command line can show every default.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sightline.errors import TrainingError
from sightline.training.recipe import PRECISIONS, check_recipe

WORDS = {
    "precision": PRECISIONS,
    "init": ("default", "fan_out"),
    "augment": ("crop-flip", "none"),
}
"""Options that know a few words."""
CONFIGS = Path(__file__).parent / "configs"
"""Recipes by name, each a TOML file of options."""


@dataclass(frozen=True)
class ClassifyRecipe:
    """How a classifier is trained.

    Args:
        model: a name of `sightline models`, or of a CIFAR network such as `cifar-resnet20`.
        weights: `random`, `published` or a file.
        model_args: arguments of the network's builder.
        gate: a name of `sightline gates list`, or `none`.
        share: which blocks share a gate: `block`, `stage`, `width`.
        scheme: at which blocks: `dense`, `every-2`, bits, integers.
        start: `default` or `identity`.
        reduction: of the gate, where it has one; None takes its own.
        skip: whether a CIFAR network has its shortcuts.
        norm: whether a CIFAR network has its norms.
        init: `fan_out` draws every convolution from a normal of variance 2 / (k k channels behind); CIFAR networks
            are made so anyway.
        epochs: passes over the training pictures.
        batch: pictures per step, over all devices together.
        rate: learning rate at the start.
        drops: epochs after which it falls; None takes a half and three quarters of all.
        factor: by which it falls.
        decay: weight decay, of all weights.
        momentum: of stochastic gradient descent.
        augment: `crop-flip` shifts by up to an eighth of the side over black and mirrors half of the pictures.
        size: side of the pictures in pixels.
        held_out: share of each class's pictures that is tested on, where the data has no test pictures of its own.
        scenes: number of training scenes of the aviary.
        precision: `32`, `bf16-mixed` or `16-mixed`.
        accelerator: of Lightning: `auto`, `cpu`, `gpu`.
        devices: how many of them, `auto` for all.
        workers: processes that draw scenes.
        seed: of weights, order and augmentation.
        threads: of torch.

    Raises:
        TrainingError: a number or word makes no sense.

    Source:
        The recipe with 0.1, two drops, decay 1e-4 and momentum 0.9 is that of he2016deep; huang2020dianet trains so.
    """

    model: str = "cifar-resnet8"
    weights: str = "random"
    model_args: dict[str, Any] = field(default_factory=dict)
    gate: str = "none"
    share: str = "stage"
    scheme: str = "dense"
    start: str = "default"
    reduction: int | None = None
    skip: bool = True
    norm: bool = True
    init: str = "default"
    epochs: int = 30
    batch: int = 64
    rate: float = 0.1
    drops: tuple[int, ...] | None = None
    factor: float = 0.1
    decay: float = 1e-4
    momentum: float = 0.9
    augment: str = "crop-flip"
    size: int = 32
    held_out: float = 1 / 3
    scenes: int = 1_500
    precision: str = "32"
    accelerator: str = "auto"
    devices: str = "1"
    workers: int = 2
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Check numbers and words before any work."""
        check_recipe(
            self,
            words=WORDS,
            above_zero=("epochs", "batch", "size", "scenes", "rate", "factor"),
            not_negative=("decay", "momentum"),
        )
        if not 0 < self.held_out < 1:
            raise TrainingError(f"--held-out is {self.held_out}, but a share of the pictures lies between 0 and 1")
        if self.init == "fan_out" and self.weights != "random":
            raise TrainingError(
                f"--init fan_out would draw anew what --weights {self.weights} brings; leave one of them out"
            )

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs after which the rate falls."""
        if self.drops is None:
            return tuple(sorted({max(1, self.epochs // 2), max(1, self.epochs * 3 // 4)}))
        return tuple(sorted(self.drops))

    def toy(self) -> ClassifyRecipe:
        """A size that finishes in seconds and proves only that the road is open; a network of one's own stays."""
        narrow = {"widths": (8, 8, 8)} if self.model == ClassifyRecipe.model else {}
        return replace(
            self,
            model_args={**narrow, **self.model_args},
            size=min(self.size, 16),
            scenes=60,
            epochs=min(self.epochs, 2),
            drops=None,
            batch=20,
            precision="32",
            workers=1,
        )


def drops_of(text: str | None) -> tuple[int, ...] | None:
    """`60,120` as epochs.

    Raises:
        TrainingError: it is no list of whole numbers from 1.

    Example:
        >>> drops_of("60,120")
        (60, 120)
    """
    if text is None or not text.strip():
        return None
    parts = [part.strip() for part in text.strip("[]()").split(",") if part.strip()]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise TrainingError(f"--drops {text!r} is not understood; write epochs such as 60,120")
    return tuple(int(part) for part in parts)
