"""`Experiment`: one training from start to end, the same for every task.

Claim the folder, read the data, build the network, fit it, measure what was written, and only then put weights, card
and page in their place. A task says what its data, its network and its files are; this file knows none.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

import lightning
import torch
from jaxtyping import Float
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from sightline.common.files import whole_file, write_sealed, write_text
from sightline.common.settings import lasting
from sightline.training.anatomy import head_factor
from sightline.training.callbacks import Curves
from sightline.training.loop import Watch
from sightline.training.probe import Features, LinearHead, Probe, linear_probe
from sightline.training.recipe import MachineConfig, Recipe
from sightline.training.reporter import Report, Reporter, Row
from sightline.training.resume import check_folder, claim_folder, last_readable, training_place
from sightline.training.standing import Control, control, probed

HEAD_RATE = "head_rate.json"
"""File of the factor on the heads' learning rate, in the work folder."""
R = TypeVar("R", bound=Recipe)
Data = TypeVar("Data")
Net = TypeVar("Net", bound=nn.Module)
Outcome = TypeVar("Outcome")


@dataclass
class Experiment(ABC, Generic[R, Data, Net, Outcome]):
    """One training.

    Resumable: pictures and checkpoints stay in the work folder; running again with the same folder goes on after the
    last finished epoch and ends as if nothing had happened.

    Args:
        recipe: everything but the data.
        out: the weights file; card and page are written beside it.
        work: folder of pictures, checkpoints and logs.
        reporter: what is said meanwhile.
    """

    recipe: R
    out: Path
    work: Path
    reporter: Reporter = Reporter()
    probe: Probe | None = field(default=None, init=False)
    """The linear probe that the training is compared with; None before it is fitted, and where there is none."""
    head_started: bool = field(default=False, init=False)
    """Whether the last layer started from that probe."""
    beside: ClassVar[tuple[str, ...]] = (".md",)
    """Endings of what is written beside the weights."""

    def run(self) -> Outcome | None:
        """Train, measure and write.

        Returns:
            What was measured; None in a process that only helped to train.

        Raises:
            TrainingError: the work folder is another training's, another process trains there, or the loss is not
                finite.
            ResultError: the files cannot be written, or would take the place of files that are not ours.
        """
        with training_place(self.out, self.work, self.beside):
            return self._run()

    def _run(self) -> Outcome | None:
        self.check()
        check_folder(self.work, lasting(self.recipe))  # drawing may take hours, so this comes before the data
        torch.set_num_threads(self.machine.threads)
        with self.reporter.reading() as report:
            data = self.data(report)
        claim_folder(self.work, {**self.facts(data), **lasting(self.recipe)})
        lightning.seed_everything(self.machine.seed, verbose=False)
        if not rank_zero_only.rank and not last_readable(self.work):
            (self.work / HEAD_RATE).unlink(missing_ok=True)
        net = self.network(data)
        if not rank_zero_only.rank:
            self._compare(net, data)
        self._take_head_rate()
        curves = Curves(self.reporter.epoch)
        watch = Watch([curves, *self.callbacks()], self.loggers(), self.reporter.bar)
        self.fit(net, data, watch)
        if rank_zero_only.rank:
            return None
        with whole_file(self.out) as temporary:  # weights that are there are whole, measured and described
            self.save(net, data, temporary)
            outcome = self.measure(temporary, data, curves.rows)
            for path, text in self.pages(outcome, data, curves.rows).items():
                write_sealed(path, text)
        return outcome

    def _compare(self, net: Net, data: Data) -> None:
        """Fit the linear probe, and let the last layer start from it; where a checkpoint is, that takes its place."""
        features = cache(lambda: self.features(net, data))
        self.probe = probed(self.work / "probe.json", features)
        path = self.work / "head_start.json"
        if last_readable(self.work):
            self.head_started = path.is_file() and bool(json.loads(path.read_text(encoding="utf-8")))
            return
        if self.probe is None or not self.starts_from_probe or (own := features()) is None:
            return
        # a run that stopped in its first epoch kept the probe's figures, not its weights
        head = self.probe.head or linear_probe(own).head
        self.head_started = head is not None and self.start_head(net, head, own)
        write_text(path, json.dumps(self.head_started))
        if self.head_started:
            self.keep_head_rate(own.train)

    def keep_head_rate(self, features: Float[Tensor, "n c"]) -> None:
        """Write down the factor on the heads' learning rate that goes with features, where the recipe leaves it open.

        Other processes, and a run that goes on, read it there.

        Args:
            features: what a head reads that has started from the probe.
        """
        recipe: Any = self.recipe
        if recipe.tuning.head_lr_factor is None and not rank_zero_only.rank:
            write_text(self.work / HEAD_RATE, json.dumps(head_factor(features, recipe.optim.lr)))

    def _take_head_rate(self) -> None:
        """Close the recipe's factor on the heads' learning rate."""
        tuning = getattr(self.recipe, "tuning", None)
        if tuning is None or tuning.head_lr_factor is not None:
            return
        path = self.work / HEAD_RATE
        factor = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else 1.0
        self.recipe = self.recipe.but(head_lr_factor=round(factor, 6) or factor)

    @property
    def machine(self) -> MachineConfig:
        """Seed, threads and workers: the part `machine` of every recipe."""
        part: MachineConfig = cast(Any, self.recipe).machine
        return part

    def check(self) -> None:
        """Refuse what can be known to be wrong before any work."""

    @abstractmethod
    def data(self, report: Report) -> Data:
        """What is learnt from and measured on.

        Args:
            report: called for every picture that is read or drawn.
        """

    def facts(self, data: Data) -> Mapping[str, Any]:
        """What must be the same of the data when a training goes on; what is long as its hash."""
        return {}

    @abstractmethod
    def network(self, data: Data) -> Net:
        """The network before it has learnt."""

    def features(self, net: Net, data: Data) -> Features | None:
        """What a linear probe is fitted to: features of the network before it learns; None for no probe."""
        return None

    @property
    def starts_from_probe(self) -> bool:
        """Whether the recipe lets the last layer start from the linear probe."""
        return False

    def start_head(self, net: Net, head: LinearHead, features: Features) -> bool:
        """Let the network's last layer start from the linear probe; several devices take it from the first one.

        Args:
            net: changed in place.
            head: logistic regression on the features.
            features: what it was fitted to.

        Returns:
            Whether it does.
        """
        return False

    def control(self, right: Sequence[bool]) -> Control:
        """The training beside its probe, in words.

        Args:
            right: for each test picture, whether the trained network named its class.
        """
        return control(self.probe, right, started=self.head_started)

    def callbacks(self) -> list[Callback]:
        """Further callbacks of Lightning."""
        return []

    def loggers(self) -> Any:
        """Loggers of Lightning."""
        return False

    @abstractmethod
    def fit(self, net: Net, data: Data, watch: Watch) -> None:
        """Train the network, or go on training it."""

    @abstractmethod
    def save(self, net: Net, data: Data, path: Path) -> None:
        """Write the weights that are kept."""

    @abstractmethod
    def measure(self, path: Path, data: Data, rows: list[Row]) -> Outcome:
        """The figures of the weights as they were written.

        Args:
            path: the weights.
            data: what they are measured on.
            rows: figures of every epoch.
        """

    @abstractmethod
    def pages(self, outcome: Outcome, data: Data, rows: list[Row]) -> dict[Path, str]:
        """Card and page: their places and texts."""
