"""Parts that recipes are composed of: loop, optimiser, machine.

They import no torch, so that the command line can show every default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sightline.common.numbers import SEEDS
from sightline.common.settings import Settings, setting
from sightline.errors import TrainingError

MOST_AT_ONCE = 256
"""Most threads or processes; a mistyped number must not start thousands."""


@dataclass(frozen=True, kw_only=True)
class Part(Settings):
    """Base of every recipe and its parts."""

    ERROR = TrainingError


@dataclass(frozen=True, kw_only=True)
class EpochConfig(Part):
    """How long is trained."""

    PANEL = "Training"

    epochs: int = setting(20, "Passes over the training data.", above=0)
    check_every: int = setting(1, "Epochs between two validations; 0: none.", low=0, hidden=True, lasts=False)


@dataclass(frozen=True, kw_only=True)
class LoopConfig(EpochConfig):
    """How long is trained, and in what steps."""

    batch_size: int = setting(32, "Pictures per step, over all devices together.", above=0)


@dataclass(frozen=True, kw_only=True)
class OptimConfig(Part):
    """AdamW on one cycle: the learning rate rises for 15 % of all steps and falls to nothing."""

    PANEL = "Optimiser"

    lr: float = setting(2e-3, "Highest learning rate.", above=0)
    weight_decay: float = setting(0.02, "Weight decay.", low=0)


@dataclass(frozen=True, kw_only=True)
class OperatingConfig(Part):
    """What thresholds are chosen for.

    Raises:
        TrainingError: both a sensitivity and a specificity are asked for.
    """

    PANEL = "Operating point"

    sensitivity: float | None = setting(
        None,
        "With several labels: thresholds that find this share of the positive validation pictures. Default: best F1.",
        above=0,
        high=1,
        lasts=False,
    )
    specificity: float | None = setting(
        None,
        "With several labels: thresholds that clear this share of the negative ones. Default: best F1.",
        above=0,
        high=1,
        lasts=False,
    )

    def __post_init__(self) -> None:
        """Check numbers before any work."""
        super().__post_init__()
        if self.sensitivity is not None and self.specificity is not None:
            raise TrainingError(
                "--sensitivity and --specificity each fix the threshold; give one, and read the other off the card"
            )

    @property
    def aim(self) -> str:
        """What is aimed at, in words."""
        if self.sensitivity is not None:
            return f"sensitivity {self.sensitivity:g}"
        return "highest F1" if self.specificity is None else f"specificity {self.specificity:g}"


@dataclass(frozen=True, kw_only=True)
class TuningConfig(Part):
    """What of a network learns, when, and how fast; what is None or `auto` follows from where its weights are from.

    Raises:
        TrainingError: options contradict each other.
    """

    PANEL = "Fine-tuning"

    norms: str = setting(
        "auto",
        "Batch norms: rest keeps the statistics that came with the weights, train follows each batch. Default: rest "
        "with given weights, train with random ones.",
        words=("auto", "rest", "train"),
    )
    frozen: bool = setting(False, "Learn the heads only, on features that are computed once.", "--frozen")
    freeze: tuple[str, ...] = setting((), "Weights that stay as they are, by name; wildcards, commas.")
    freeze_depth: float = setting(
        0.0, "Share of the blocks, from the input on, that stay as they are.", low=0, high=1
    )
    warm_up: int | None = setting(
        None, "Epochs at the start in which only the heads learn. Default: 1 with given weights.", low=0
    )
    head_start: str = setting(
        "auto",
        "What the class head starts from: probe (logistic regression on the features; not where the given weights "
        "have a head that tells the classes already), built (as it was made). Default: probe with given weights, "
        "built with --frozen.",
        words=("auto", "probe", "built"),
    )
    head_lr_factor: float | None = setting(
        None,
        "Factor on the learning rate for the heads. Default: where the class head starts from the probe, one by "
        "which no step moves a score by more than 0.1, however large the features; else 1.",
        above=0,
        panel="Learning rates",
    )
    trunk_lr_factor: float | None = setting(
        None,
        "Factor on the learning rate for the backbone. Default: 0.1 with given weights, 1 with random ones.",
        low=0,
        panel="Learning rates",
    )
    layer_decay: float | None = setting(
        None,
        "Further factor for each block towards the input. Default: with given weights one that gives the first block "
        "a fifth of the last one's rate, with random ones 1.",
        above=0,
        high=1,
        panel="Learning rates",
    )
    ema: float = setting(
        0.0, "Running mean of the weights: share that a step keeps, such as 0.99; 0: none.", low=0, below=1
    )
    accumulate: int = setting(1, "Parts in which each batch is computed, to save memory.", above=0)
    balanced: bool = setting(False, "Show every class equally often.", "--balanced")
    probe: bool = setting(
        True, "Compare with a linear probe: logistic regression on the features at the start.", lasts=False
    )

    def __post_init__(self) -> None:
        """Check numbers before any work."""
        super().__post_init__()
        if self.head_start == "probe" and not self.probe:
            raise TrainingError(
                "--head-start probe needs the linear probe that --no-probe leaves out; drop one of them"
            )

    def settled(self, *, given: bool) -> Self:
        """The same without anything left open.

        Args:
            given: whether the network begins with weights that have learnt already.
        """
        learnt: dict[str, Any] = {"norms": "rest", "head_start": "probe", "warm_up": 1, "trunk_lr_factor": 0.1}
        random: dict[str, Any] = {"norms": "train", "head_start": "built", "warm_up": 0, "trunk_lr_factor": 1.0}
        random |= {"layer_decay": 1.0}
        if not self.probe or self.frozen:  # on frozen features heads are trained to their end from any start
            learnt["head_start"] = "built"
        defaults = learnt if given else random
        own = self.but(**{name: value for name, value in defaults.items() if getattr(self, name) in (None, "auto")})
        built = own.head_start == "built" and own.head_lr_factor is None
        return own.but(head_lr_factor=1.0) if built else own


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Part):
    """How photos are varied while a network learns from them (`--augment photo`), and mixed by any."""

    PANEL = "Augmentation"

    crop_scale: float = setting(0.5, "Smallest share of a photo that a random crop shows.", above=0, high=1)
    colour: float = setting(0.2, "How far brightness, contrast and saturation vary.", low=0, high=1)
    box_crops: float = setting(
        0.0, "Share of the crops that are taken of the object's box, where boxes or masks are known.", low=0, high=1
    )
    box_margin: float = setting(0.15, "Margin around the box, as a share of its sides.", low=0)
    mixup: float = setting(
        0.0, "Mix pairs of pictures, by shares of a beta distribution of this parameter; 0: none.", low=0
    )


@dataclass(frozen=True, kw_only=True)
class MachineConfig(Part):
    """What draws and computes; none of it changes what is learnt but the seed."""

    PANEL = "Machine"

    workers: int = setting(
        2, "Processes that draw scenes, where training draws any.", low=0, high=MOST_AT_ONCE, lasts=False
    )
    threads: int = setting(
        1, "Threads of torch; more than one only helps on idle cores.", low=1, high=MOST_AT_ONCE, lasts=False
    )
    seed: int = setting(0, "Seed of the world, the weights and the order.", low=0, high=SEEDS - 1)


@dataclass(frozen=True, kw_only=True)
class DeviceConfig(MachineConfig):
    """The same, with what Lightning trains on."""

    precision: str = setting("32", "bf16-mixed, 16-mixed or 32.", words=("bf16-mixed", "16-mixed", "32"))
    device: str = setting(
        "auto",
        "What trains: auto, cpu, cuda, mps.",
        words=("auto", "cpu", "cuda", "gpu", "mps"),
        lasts=False,
    )
    devices: str = setting("1", "How many of them; auto: all.")
    strategy: str = setting("auto", "How several devices share a batch: auto, ddp.", hidden=True, lasts=False)


@dataclass(frozen=True, kw_only=True)
class Recipe(Part):
    """All that decides what comes out of a training, beside the data."""

    def toy(self) -> Self:
        """A few-second configuration for smoke tests."""
        raise NotImplementedError
