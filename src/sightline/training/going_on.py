"""Begin a training with Lightning, or go on with it from its last checkpoint.

Knows a trainer and a work folder, nothing of what is trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning

from sightline.training.claims import checkpoint


def begin_or_go_on(
    trainer: lightning.Trainer, task: lightning.LightningModule, train: Any, validation: Any, work: Path | None
) -> None:
    """Fit a task; a work folder that holds a last checkpoint is gone on with.

    Args:
        trainer: of Lightning.
        task: what is trained; changed in place.
        train: batches to learn from.
        validation: batches that are only looked at; None for none.
        work: folder of checkpoints; None begins anew.

    Raises:
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    last = None if work is None else checkpoint(work, "last")
    try:
        trainer.fit(
            task,
            train,
            validation,
            ckpt_path=last if last is not None and last.exists() else None,
            weights_only=True,
        )
    except SystemExit as stop:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from stop
