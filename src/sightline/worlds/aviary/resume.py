"""A world that is being written: which scenes lie there whole, so that an interrupted run goes on.

A scene's record is written after its files and holds their digests; a scene without a record, or whose files
are not the recorded ones, is drawn again. Knows nothing of how scenes are drawn.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sightline.errors import DataError
from sightline.worlds.aviary.keypoints import Keypoint

JOB = "job.json"
RECORDS = "records"


@dataclass(frozen=True)
class Entry:
    """What the text files say of one image."""

    index: int
    path: str
    label: int
    train: bool
    box: tuple[int, int, int, int]
    points: tuple[Keypoint, ...]
    noted: tuple[int, ...]
    certainty: tuple[int, ...]
    latents: str


@dataclass(frozen=True)
class Unfinished:
    """The hidden folder of a world that is being written.

    Args:
        folder: where it is.
    """

    folder: Path

    @classmethod
    def of(cls, out: Path) -> Unfinished:
        """The folder beside `out` in which its scenes gather."""
        return cls(out.parent / f".{out.name}.part")

    def begin(self, about: dict[str, Any]) -> None:
        """Take up the folder, or make it.

        Raises:
            DataError: it holds scenes of another world, or anything else.
        """
        wanted = json.loads(json.dumps(about))
        job = self.folder / JOB
        if not self.folder.exists():
            (self.folder / RECORDS).mkdir(parents=True)
            write_whole(job, json.dumps(wanted, indent=1).encode())
        found = _read(job)
        if found is None:
            raise DataError(f"{self.folder} is in the way and holds no unfinished world; move or remove it")
        differ = [f"{key} is {found.get(key)!r}, not {value!r}" for key, value in _flat(wanted, found)]
        if differ:
            raise DataError(
                f"{self.folder} holds an unfinished world with other knobs ({'; '.join(differ[:4])}); "
                "ask for the same to go on with it, give another --out, or remove that folder"
            )

    def kept(self, index: int) -> Entry | None:
        """A scene that lies here whole, or None."""
        record = _read(self._record(index))
        if record is None:
            return None
        try:
            files = record["files"].items()
            if any(_digest((self.folder / name).read_bytes()) != digest for name, digest in files):
                return None
            return _entry(record["entry"])
        except (OSError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, entry: Entry, files: dict[str, bytes]) -> Entry:
        """Write a scene: its files, then its record."""
        for name, content in files.items():
            write_whole(self.folder / name, content)
        record = {"entry": asdict(entry), "files": {name: _digest(content) for name, content in files.items()}}
        write_whole(self._record(entry.index), json.dumps(record).encode())
        return entry

    def prune(self, wanted: Iterable[str]) -> None:
        """Remove every picture and mask that is not wanted, such as those of a longer run."""
        names = {self.folder / name for name in wanted}
        for top in ("images", "masks"):
            for path in [*(self.folder / top).rglob("*")]:
                if path.is_file() and path not in names:
                    path.unlink()

    def finish(self, out: Path) -> None:
        """Give the folder its name, then remove the records.

        Raises:
            DataError: something came to lie at `out` meanwhile.
        """
        try:
            if out.is_dir():
                out.rmdir()
            self.folder.rename(out)
            shutil.rmtree(out / RECORDS)
            (out / JOB).unlink()
        except OSError as problem:
            raise DataError(f"the world is written, but {self.folder} cannot become {out}: {problem}") from problem

    def _record(self, index: int) -> Path:
        return self.folder / RECORDS / f"{index:08d}.json"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    half.write_bytes(content)
    half.replace(path)


def _flat(wanted: dict[str, Any], found: dict[str, Any]) -> list[tuple[str, Any]]:
    """The keys in which two descriptions of a job differ."""
    return [(key, wanted.get(key)) for key in {**wanted, **found} if wanted.get(key) != found.get(key)]


def _entry(record: dict[str, Any]) -> Entry:
    """An entry from its JSON, in which tuples are lists."""
    read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    read["points"] = tuple(Keypoint(*point) for point in read["points"])
    return Entry(**read)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
