"""Where a training keeps its checkpoints, whose they are, and which of them can be gone on with."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from sightline.common.files import check_place, make_folder, sweep, with_parents, write_bytes
from sightline.common.runs import begin, check_same, locked, plain, read_record
from sightline.errors import TrainingError
from sightline.renamed import renamed

NAME = "training.json"
OTHER: dict[str, Any] = {
    "holds": "checkpoints of another training",
    "cure": "begin anew with another --work, or repeat the former command",
    "error": TrainingError,
}
BEFORE_OPTIONS: dict[str, dict[str, Any]] = {
    "--norms": {
        "--norms": "train", "--frozen": False, "--freeze": [], "--freeze-depth": 0.0, "--warm-up": 0,
        "--layer-decay": 1.0, "--trunk-lr-factor": 1.0, "--ema": 0.0, "--accumulate": 1, "--balanced": False,
        "--crop-scale": 0.5, "--colour": 0.2, "--box-crops": 0.0, "--box-margin": 0.15, "--mixup": 0.0,
        "--optimizer": "sgd", "--label-smoothing": 0.0, "--augment": "scene",
        "--label-columns": [], "--white": None, "--black": None, "--validation-share": 0.2,
        "--group-by": None, "--attributes": "annotated", "--word-list": None,
    },
    "--head-start": {"--head-start": "built"},
    "--patch": {"--patch": 4},
    "--head-lr-factor": {"--head-lr-factor": 1.0},
    "--test-share": {"--test-share": 1 / 3, "--label-columns": []},
    "--ordinal": {"--ordinal": "number", "--white": None, "--black": None},
    "--keep": {"--keep": "last"},
    "--tokens": {"--tokens": [], "--reader": "parquet", "--case": "", "--available": ""},
}  # fmt: skip
"""What every training did before there was an option, by the first option that came with it; for older records."""
log = logging.getLogger(__name__)


@contextmanager
def training_place(out: Path, work: Path, beside: tuple[str, ...] = (".md",)) -> Iterator[None]:
    """Keep a weights file and its work folder for one training while the block runs.

    Processes that only help to train share the lock of the first one.

    Args:
        out: the weights file that is to be written.
        work: the folder of checkpoints.
        beside: endings of what is written beside the weights.

    Raises:
        ResultError: the place cannot be written, or holds files that are not ours.
        TrainingError: another process trains there.
    """
    check_place(out, beside)
    if rank_zero_only.rank:
        yield
        return
    with with_parents(out, work), ExitStack() as stack:
        for place, cure in ((work, "choose another --work"), (out, "choose another --out")):
            stack.enter_context(locked(place, error=TrainingError, cure=cure))
        for folder in (out.absolute().parent, work, work / "checkpoints", work / "photos", work / "scenes"):
            sweep(folder)
        yield


def checkpoint(work: Path, name: str) -> Path:
    """Where a work folder has its checkpoint `last` or `best`."""
    return work / "checkpoints" / f"{name}.ckpt"


def last_readable(work: Path) -> Path | None:
    """The checkpoint to go on with; one that is damaged is put aside, and the training goes on from an earlier one.

    Checkpoints are written whole, but a file system may lose what it had promised, and older versions left half ones.
    """
    for name in ("last", "best"):
        path = checkpoint(work, name)
        if not path.is_file():
            continue
        try:
            torch.load(path, map_location="meta", weights_only=True)
        except Exception as problem:  # noqa: BLE001 - torch raises whatever its reader meets
            aside = path.with_suffix(".damaged")
            log.warning("the checkpoint %s is damaged (%s); it is put aside as %s", path, problem, aside.name)
            if not rank_zero_only.rank:
                path.replace(aside)
        else:
            return path
    return None


def claim_folder(work: Path, facts: Mapping[str, Any]) -> None:
    """Write down whose work folder this is, or see that it is the same training's.

    Args:
        work: the folder.
        facts: everything that must be the same, by name; options begin with `--`, what is long is there as its hash.

    Raises:
        TrainingError: the folder holds checkpoints of another training; the text says what differs.
    """
    make_folder(work)
    begin(work / NAME, facts, begun=_is_begun(work), upgrade=lambda before: as_now(before, facts), **OTHER)


def check_folder(work: Path, facts: Mapping[str, Any]) -> None:
    """See before any work that a folder is not another training's, as far as the facts say that are known by then.

    Raises:
        TrainingError: it is; the text says what differs.
    """
    mine = plain(facts)
    if _is_begun(work) and (before := as_now(read_record(work / NAME) or {}, mine)):
        check_same(work, {name: value for name, value in before.items() if name in mine}, mine, **OTHER)


def as_now(before: Mapping[str, Any], now: Container[str]) -> dict[str, Any]:
    """Facts that were written down when options had other names, by the names that they have now."""
    facts: dict[str, Any] = {}
    for name, value in before.items():
        new = name if name in now else renamed(name, now)
        if new is None and isinstance(value, dict):  # settings that were written down as one
            own = {f"--{inner}": part for inner, part in value.items()}
            facts |= {key: part for old, part in own.items() if (key := old if old in now else renamed(old, now))}
        else:
            facts[new or name] = value
    for mark, before_it in BEFORE_OPTIONS.items():
        if facts and mark in now and mark not in facts:
            known = {name: value for name, value in facts.items() if value is not None or name not in before_it}
            facts = {name: value for name, value in before_it.items() if name in now} | known
    return facts


class WholeCheckpoints(TorchCheckpointIO):  # type: ignore[misc]
    """Checkpoints that are written beside the former one and take its name when they are whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write one.

        Raises:
            ResultError: it cannot be written; the former one is still there.
        """
        content = BytesIO()
        torch.save(checkpoint, content)
        make_folder(Path(path).parent)
        write_bytes(path, content.getvalue())


def _is_begun(work: Path) -> bool:
    return any(checkpoint(work, name).exists() for name in ("last", "best"))
