"""Parts that recipes are composed of: loop, optimiser, machine.

They import no torch, so that the command line can show every default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

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

    epochs: int = setting(20, "Passes over the training pictures.", above=0)
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
class MachineConfig(Part):
    """What draws and computes; none of it changes what is learnt but the seed."""

    PANEL = "Machine"

    workers: int = setting(2, "Processes that draw scenes.", low=0, high=MOST_AT_ONCE, lasts=False)
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
