"""A world that is being written: which scenes lie there whole, so that an interrupted run goes on.

A scene's record is written before its files and holds their digests; a scene whose files are not the recorded ones
is drawn again. Knows nothing of how scenes are drawn.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightline.common.files import digest, digest_of, make_folder, sweep, write_bytes, write_text
from sightline.common.runs import begin, read_record
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
        begun = self.folder.exists()
        if begun and read_record(self.folder / JOB) is None:
            raise DataError(f"{self.folder} is in the way and holds no unfinished world; move or remove it")
        make_folder(self.folder / RECORDS, error=DataError)
        cure = "ask for the same to go on with it, give another --out, or remove that folder"
        begin(self.folder / JOB, about, begun=begun, holds="an unfinished world", cure=cure, error=DataError)

    def entry(self, index: int) -> Entry | None:
        """A scene that lies here whole, or None."""
        record = read_record(self._record(index))
        if record is None:
            return None
        try:
            files = record["files"].items()
            if any(digest_of(self.folder / name) != expected for name, expected in files):
                return None
            return _entry(record["entry"])
        except (OSError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, entry: Entry, files: dict[str, bytes]) -> Entry:
        """Write a scene: its record, which lists its files with their digests, then these."""
        record = {"entry": asdict(entry), "files": {name: digest(content) for name, content in files.items()}}
        # The record comes first: without it, files of a stopped run could not be told from somebody else's.
        write_text(self._record(entry.index), json.dumps(record), error=DataError)
        for name, content in files.items():
            make_folder((self.folder / name).parent, error=DataError)
            write_bytes(self.folder / name, content, error=DataError)
        return entry

    def prune(self, count: int) -> None:
        """Remove the scenes of a longer run, and what killed processes left; what is not ours stays."""
        for folder, _, _ in [*os.walk(self.folder)]:
            sweep(Path(folder))
        for path in (self.folder / RECORDS).glob("*.json"):
            if path.stem.isdigit() and int(path.stem) >= count:
                for name, expected in (read_record(path) or {}).get("files", {}).items():
                    if digest_of(self.folder / name) == expected:
                        (self.folder / name).unlink()
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


def _entry(record: dict[str, Any]) -> Entry:
    """An entry from its JSON, in which tuples are lists."""
    read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    read["points"] = tuple(Keypoint(*point) for point in read["points"])
    return Entry(**read)
