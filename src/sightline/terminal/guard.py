"""What every verb that trains runs inside: the extra it needs, its interruption, what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.terminal.screen import say_note


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
