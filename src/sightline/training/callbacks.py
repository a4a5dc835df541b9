"""Callbacks of a training that may be interrupted: checkpoints, early stopping, and the curves so far.

All of them carry their state in the checkpoint, so that a run that goes on ends as an unbroken one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn

from sightline.training.reporter import Row

MONITORS = {
    "accuracy": ("val/accuracy", "max"),
    "loss": ("val/loss", "min"),
    "class-loss": ("val/class", "min"),
    "auc": ("val/AUC", "max"),
}
"""Which figure chooses the epoch, and whether more of it is better."""
LOSS = "val/loss"
"""What decides between epochs that are equally good."""


def kept_epoch(path: Path) -> int:
    """The epoch of a checkpoint, from 1; 0 for the start, before any step.

    Args:
        path: what a `Keeper` wrote.
    """
    content = torch.load(path, map_location="meta", weights_only=True)
    return int(content["epoch"]) + 1 if content["global_step"] else 0


def net_weights(path: Path) -> dict[str, Tensor]:
    """The network's weights in a checkpoint, by their own names.

    Args:
        path: what a `Keeper` wrote.
    """
    weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("net."): value for name, value in weights.items() if name.startswith("net.")}


def load_net(net: nn.Module, path: Path) -> None:
    """Give a network the weights of a checkpoint, in place.

    Args:
        net: the network that the checkpoint is of.
        path: what a `Keeper` wrote.
    """
    weights = OrderedDict(net_weights(path))
    # versions of modules, for which MNASNet asks; a checkpoint knows them by other names
    weights._metadata = net.state_dict()._metadata  # type: ignore[attr-defined]
    net.load_state_dict(weights)


class Keeper(ModelCheckpoint):  # type: ignore[misc]
    """A checkpoint of one name that is written over; it does not mind its folder being moved.

    Of epochs that are equally good the one of the lower validation loss is kept.

    Args:
        folder: folder of checkpoints.
        name: name of the file, without its ending.
        best: the figure of which the best epoch is kept; None keeps the last.
        start: whether the network before its first step counts as an epoch, number 0; `run_loop` then validates it.
    """

    def __init__(self, folder: Path, name: str, best: str | None = None, *, start: bool = False) -> None:
        monitor, mode = (None, "min") if best is None else MONITORS[best]
        super().__init__(
            folder,
            name,
            monitor=monitor,
            mode=mode,
            save_top_k=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.loss: float | None = None
        self.start = start

    def on_sanity_check_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the start, which was just validated, until an epoch is better."""
        if self.start:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def check_monitor_top_k(self, trainer: lightning.Trainer, current: Tensor | None = None) -> bool:
        """Whether this epoch is better than the one that is kept."""
        loss = trainer.callback_metrics.get(LOSS)
        own = None if loss is None else float(loss)
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        tie = equal and None not in (own, self.loss) and cast(float, own) < cast(float, self.loss)
        better = tie or bool(super().check_monitor_top_k(trainer, current))
        if better:
            self.loss = own
        return better

    def state_dict(self) -> dict[str, Any]:
        """What a later run must know."""
        return {**super().state_dict(), "loss": self.loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what an earlier run knew, at the place where the folder lies now."""
        paths = {name: self._moved(state_dict[name]) for name in state_dict if name.endswith("_path")}
        models = {self._moved(path): score for path, score in state_dict["best_k_models"].items()}
        self.loss = state_dict.get("loss")  # earlier versions kept the first of equal epochs, and wrote none
        super().load_state_dict({**state_dict, **paths, "best_k_models": models, "dirpath": self.dirpath})

    def _moved(self, path: str) -> str:
        return str(Path(self.dirpath) / Path(path).name) if path else path


class Patience(EarlyStopping):  # type: ignore[misc]
    """Stop after so many epochs without a better one; a run that had stopped does not begin again.

    Args:
        best: the figure.
        epochs: how many.
    """

    def __init__(self, best: str, epochs: int) -> None:
        monitor, mode = MONITORS[best]
        super().__init__(monitor, mode=mode, patience=epochs)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Leave at once where the run before had lost patience."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class Curves(Callback):  # type: ignore[misc]
    """One row of figures per epoch, over all runs of a training.

    Args:
        tell: called with epoch (from 1) and its figures.
    """

    def __init__(self, tell: Callable[[int, Row], None] = lambda epoch, row: None) -> None:
        self.rows: list[Row] = []
        self.tell = tell

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take down the figures of the epoch."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        self.rows.append(figures)
        if trainer.is_global_zero:
            self.tell(len(self.rows), figures)

    def state_dict(self) -> dict[str, Any]:
        """The rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the rows of the runs before."""
        self.rows = list(state_dict["rows"])
