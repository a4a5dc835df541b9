"""What every verb that trains has: its own options, the extra it needs, its interruption, what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sightline.common.settings import REQUIRED, Settings, setting
from sightline.terminal.screen import say_note

WEIGHTS = "Weights (.safetensors); card and run page are written beside it."
"""Help of `--out`."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(Settings):
    """Where a training writes, and how much of it is wanted; each verb has a default of its own for `out`."""

    PANEL = "What to write"

    out: Path = setting(REQUIRED, WEIGHTS)
    work: Path | None = setting(
        None, "Folder of prepared data and checkpoints; a run goes on with it. Default: OUT with .work"
    )
    toy: bool = setting(False, "A size that finishes in seconds and learns nothing.", "--toy")
    as_json: bool = setting(False, "The figures as JSON on standard output.", "--json")

    @property
    def folder(self) -> Path:
        """Where pictures and checkpoints are."""
        return self.work or self.out.with_suffix(".work")


@contextmanager
def training(work: Path) -> Iterator[None]:
    """What is imported and run inside trains: it needs the extra `train`, and can be interrupted and go on.

    Raises:
        MissingExtraError: the extra is not installed.
        KeyboardInterrupt: on Ctrl-C, of which Lightning makes a program's end.
    """
    from sightline.errors import MissingExtraError, TrainingError

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("lightning", "torchmetrics"):
            raise
        raise MissingExtraError(str(error.name), "train", "training") from error
    except TrainingError:
        if (work / "checkpoints" / "last.ckpt").exists():
            say_note(f"the last good epoch is {work / 'checkpoints' / 'last.ckpt'}")
        raise
    except (KeyboardInterrupt, SystemExit) as stop:
        say_note(f"what is done stays in {work}; the same command goes on after the last finished epoch")
        raise KeyboardInterrupt from stop
