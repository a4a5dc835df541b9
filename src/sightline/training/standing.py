"""`Standing`: a training beside the simplest things that work - the majority class and a linear probe - in words.

It knows hits and controls, not how they came about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.files import write_text
from sightline.common.statistics.bootstrap import Interval, paired_difference
from sightline.common.statistics.intervals import wilson
from sightline.training.probe import Features, Probe, linear_probe
from sightline.training.recipe import TuningConfig

CURE = "try --frozen where it was not given, a lower --lr, a larger --weight-decay or other --epochs"


@dataclass(frozen=True)
class Standing:
    """A training beside its linear probe.

    Args:
        right: for each test picture, whether the trained network named its class.
        probe: the control, on the same pictures in the same order.
    """

    right: tuple[bool, ...]
    probe: Probe

    @property
    def below(self) -> bool:
        """Whether the training names fewer pictures right than its probe."""
        return sum(self.right) < sum(self.probe.right)

    @property
    def difference(self) -> Interval:
        """Accuracy less the probe's, paired over pictures, with its 95 % interval."""
        ours, theirs = (torch.tensor(values, dtype=torch.float64) for values in (self.right, self.probe.right))
        return paired_difference(ours, theirs)

    @property
    def fact(self) -> str:
        """The probe's figure for a table."""
        hits, total = sum(self.probe.right), len(self.probe.right)
        low, high = wilson(hits, total)
        return (
            f"{hits / max(1, total):.4f} (95 % interval {low:.4f} to {high:.4f}): logistic regression on the "
            f"features before training, of {self.probe.pictures} pictures, penalty {self.probe.strength:g}, "
            f"{self.probe.seconds:.1f} s; training is {_signed(self.difference)} from it"
        )

    @property
    def alarm(self) -> str:
        """A sentence where training is below the probe; empty otherwise."""
        if not self.below:
            return ""
        gap = self.difference
        firm = "" if gap.high < 0 else ", which may be chance"
        ours, theirs = (sum(values) / len(values) for values in (self.right, self.probe.right))
        return (
            f"Below the linear probe: {ours:.4f} against {theirs:.4f} (difference {_signed(gap)}{firm}). Logistic "
            f"regression on the features before training does better than this training: {CURE}."
        )


def probed(path: Path, features: Callable[[], Features | None]) -> Probe | None:
    """The probe of a training; made once and kept, so that a training that goes on has the same.

    Args:
        path: file that keeps it, in the training's own work folder.
        features: makes the features; None where there is nothing to compare with.
    """
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
        return Probe(**{**content, "right": tuple(content["right"])})
    own = features()
    if own is None or not len(own.train) or not len(own.test):
        return None
    probe = linear_probe(own)
    kept = ("right", "strength", "pictures", "seconds")
    write_text(path, json.dumps({name: getattr(probe, name) for name in kept}))
    return probe


class Control(NamedTuple):
    """What card and page say of the probe.

    Args:
        fact: its figure for a table; empty where there is no probe.
        alarm: a sentence where training is below it; empty otherwise.
        accuracy: its accuracy; None where there is no probe.
    """

    fact: str = ""
    alarm: str = ""
    accuracy: float | None = None

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """The probe among the figures to look at first: name, value, and what it means."""
        words = "the control: logistic regression on the network's features before training"
        return [] if self.accuracy is None else [("linear probe", f"{self.accuracy:.1%}", words)]


def control(probe: Probe | None, right: Sequence[bool], *, started: bool = False) -> Control:
    """A training beside its probe, in words.

    Args:
        probe: the control.
        right: for each test picture, whether the trained network named its class.
        started: whether the last layer started from the probe.
    """
    if probe is None:
        return Control()
    standing = Standing(tuple(right), probe)
    start = "; the class head starts from it" if started else ""
    return Control(standing.fact + start, standing.alarm, sum(probe.right) / len(probe.right))


def surely_lower(losses: Float[Tensor, " n"], others: Float[Tensor, " n"]) -> bool:
    """Whether losses are lower than others of the same pictures by more than the standard error of the difference.

    Example:
        >>> ones = torch.ones(4)
        >>> surely_lower(0.5 * ones, ones), surely_lower(torch.tensor([0.0, 1.9, 1.0, 1.0]), ones)
        (True, False)
    """
    gains = (others - losses).double()
    return bool(gains.mean() > gains.std() / len(gains) ** 0.5)


def described(tuning: TuningConfig) -> str:
    """What learnt, when and how fast, for a card's table.

    Args:
        tuning: settled options.

    Example:
        >>> described(TuningConfig().settled(given=False))
        'norms train'
        >>> described(TuningConfig().settled(given=True))
        "norms rest, heads alone for 1 epoch, backbone's rate times 0.1, first block a fifth of the last"
    """
    own, parts = tuning, [f"norms {tuning.norms}"]
    if own.frozen:
        return "heads only, on features computed once"
    if own.freeze or own.freeze_depth:
        parts.append(f"frozen: {', '.join(own.freeze) or f'{own.freeze_depth:g} of the blocks'}")
    if own.warm_up:
        parts.append(f"heads alone for {own.warm_up} epoch{'s' if own.warm_up > 1 else ''}")
    if own.trunk_lr_factor != 1:
        parts.append(f"backbone's rate times {own.trunk_lr_factor:g}")
    if own.layer_decay != 1:
        parts.append(
            "first block a fifth of the last" if own.layer_decay is None else f"decay {own.layer_decay:g} a block"
        )
    parts += [f"mean of weights {own.ema:g}"] if own.ema else []
    parts += ["classes balanced"] if own.balanced else []
    return ", ".join(parts)


def _signed(gap: Interval) -> str:
    return f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
