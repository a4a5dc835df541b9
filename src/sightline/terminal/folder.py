"""Result folders: written beside their place and put there when they are whole.

Ctrl-C, a full disk or an error leaves the older result as it was. The summary lists what we wrote, with digests: only
that is ever replaced or removed, and what else lies in the folder stays.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sightline.common.files import cannot_write, digest, digest_of, with_parents, write_text
from sightline.common.runs import locked, read_record
from sightline.common.text import json_text
from sightline.errors import ResultError
from sightline.terminal.screen import finite

LONGEST = 200
"""Bytes of a photo's name that its folder bears: file systems allow 255, and unfinished folders have longer names."""
SUMMARY = "summary.json"
"""Every result folder of the command line holds this file, which says what else there is ours."""
SCHEMA = 2
"""Number of the form of `summary.json`; 2 says `layers` where 1, which had no number, said `stages`."""
PATIENCE = 30.0
"""Seconds to wait for another process that writes the same result."""


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write into, whose files take the place of the former ones when the block ends well.

    The block writes a `summary.json`, a JSON object; the digests of all files are added to it under `written`.

    Raises:
        ResultError: it cannot be written, `folder` holds something else than a result, or files of the result were
            changed since they were written.
    """
    check_place(folder)
    place = Path(os.path.realpath(folder))
    partial = place.with_name(f".{place.name}.partial")
    with with_parents(place), locked(place, cure="choose another --out", wait=PATIENCE) as left:
        try:
            if left and partial.is_dir():  # of a process that was killed
                shutil.rmtree(partial)
            yield from _filled(partial, place)
        except OSError as problem:
            raise ResultError(cannot_write(problem.filename or folder, problem)) from problem


def write_summary(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the summary of a result; numbers that JSON does not have become null."""
    write_text(folder / SUMMARY, json_text(finite({"schema": SCHEMA, **content}), indent=1) + "\n")


def check_place(folder: Path) -> None:
    """Refuse a place that cannot be written, or whose files are not ours, before any work is done.

    Raises:
        ResultError: see above.
    """
    check_writable(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    ours = _inventory(folder)
    if ours is None:
        raise ResultError(
            f"the folder {str(folder)!r} holds something else than a result of sightline, or its "
            f"{SUMMARY} was changed, and is left alone; choose another --out"
        )
    _refuse_changed(folder, ours, [*ours])


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written or made.

    Raises:
        ResultError: a file is in the way, or the folder may not be written.
    """
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise ResultError(f"cannot write to {str(folder)!r}: {str(nearest)!r} is a file; choose another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ResultError(f"cannot write to {str(folder)!r}: no permission in {str(nearest)!r}; choose another --out")


def folder_names(photos: Sequence[Path]) -> list[str]:
    """A folder name for each photo: its own without the suffix, numbered where two are alike.

    Example:
        >>> folder_names([Path("a/bird.png"), Path("b/bird.jpg"), Path("cat.png")])
        ['bird', 'bird-2', 'cat']
    """
    names: list[str] = []
    used: set[str] = set()
    for photo in photos:
        stem = os.fsdecode(os.fsencode(photo.stem)[:LONGEST]).strip(". ") or "photo"
        tries = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(photos) + 2))
        name = next(name for name in tries if name.lower() not in used)
        used.add(name.lower())
        names.append(name)
    return names


def _filled(partial: Path, place: Path) -> Iterator[Path]:
    """Let the block fill the partial folder, and put its files in place."""
    partial.mkdir()
    try:
        yield partial
        _put(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put(partial: Path, place: Path) -> None:
    """Replace what is ours in `place` by what lies in `partial`."""
    new = {path.name: [digest_of(path)] for path in sorted(partial.iterdir()) if path.name != SUMMARY}
    summary = read_record(partial / SUMMARY) or {}
    if not place.exists():
        _summarise(partial, summary, new)
        partial.rename(place)
        return
    old = _inventory(place) or {}
    _refuse_changed(place, old, [*old, *new])
    # From here to the end the summary vouches for old and new files alike: whoever is stopped in between can go on.
    _summarise(place, summary, {name: [*old.get(name, []), *new.get(name, [])] for name in {**old, **new}})
    try:
        _move(partial, place, new, old.keys() - new.keys())
    except KeyboardInterrupt:  # too late to stop: the result would be a mixture
        _move(partial, place, new, old.keys() - new.keys())
        _summarise(place, summary, new)
        raise
    _summarise(place, summary, new)


def _move(partial: Path, place: Path, new: Iterable[str], stale: Iterable[str]) -> None:
    for name in new:
        if (partial / name).exists():
            (partial / name).replace(place / name)
    for name in stale:
        (place / name).unlink(missing_ok=True)


def _summarise(folder: Path, summary: Mapping[str, Any], digests: Mapping[str, list[str]]) -> None:
    content = {**summary, "written": digests}
    write_summary(folder, {**content, "seal": _seal({"schema": SCHEMA, **content})})


def _inventory(folder: Path) -> dict[str, list[str]] | None:
    """What the summary of a folder lists as ours: possible digests by name, none where they are not known.

    None is for a folder that is no result; an empty folder or none at all has nothing that is ours.
    """
    summary = read_record(folder / SUMMARY)
    if summary is None:
        return None if folder.is_dir() and any(folder.iterdir()) else {}
    if "seal" in summary:
        if summary["seal"] != _seal(summary):
            return None
        return {str(name): list(digests) for name, digests in summary["written"].items() if Path(name).name == name}
    if {"sightline", "model", "files"} <= summary.keys():  # of `explain` before there were digests
        return {str(name): [] for name in summary["files"] if Path(str(name)).name == name and name != SUMMARY}
    if {"facts", "kinds", "command"} <= summary.keys():  # of `audit eat`
        return {name: [] for name in ("audit.html", "findings.csv", "findings.json")}
    return None


def _seal(summary: Mapping[str, Any]) -> str:
    """Proves that a summary is ours and was not changed since."""
    content = {name: value for name, value in summary.items() if name != "seal"}
    return digest(json.dumps(content, sort_keys=True).encode())


def _refuse_changed(folder: Path, ours: Mapping[str, list[str]], names: Sequence[str]) -> None:
    """Refuse to replace a file that is not listed, or not what was written.

    Raises:
        ResultError: there is one.
    """
    for name in names:
        path = folder / name
        if os.path.lexists(path) and not _is_ours(path, ours.get(name)):
            raise ResultError(
                f"{str(path)!r} would be written over, but it was not written by sightline, or was changed since; "
                "move it, or choose another --out"
            )


def _is_ours(path: Path, digests: Sequence[str] | None) -> bool:
    """Whether a listed file is what was written; where no digest is known, whether it is a file at all."""
    if digests is None or not (content := digest_of(path)):
        return False
    return not digests or content in digests
