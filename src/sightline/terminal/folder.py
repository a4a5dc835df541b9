"""Result folders: written beside their place and moved there when they are whole.

Ctrl-C, a full disk or an error leaves the older result as it was, and nothing else.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sightline.errors import ResultError

SUMMARY = "summary.json"
SCHEMA = 2
"""Number of the form of `summary.json`; 2 says `layers` where 1, which had no number, said `stages`."""
"""Every result folder of the command line holds this file; only such a folder is ever replaced."""


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write into, which takes the place of `folder` when the block ends well.

    Raises:
        ResultError: it cannot be written, or `folder` holds something else than a result.
    """
    check_place(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    made = [parent for parent in partial.parents if not parent.exists()]
    try:
        try:
            partial.mkdir(parents=True)
            yield partial
            _swap(partial, folder)
        except OSError as problem:
            raise ResultError(f"cannot write to {str(folder)!r}: {problem.strerror or problem}") from problem
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # a parent that holds something else by now stays
            for parent in made:
                parent.rmdir()
        raise


def check_place(folder: Path) -> None:
    """Refuse a place that cannot be written, or that holds something else than a result, before any work is done.

    Raises:
        ResultError: see above.
    """
    check_writable(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SUMMARY).is_file():
        raise ResultError(
            f"the folder {str(folder)!r} holds something else than a result of sightline, and is left alone; "
            "choose another --out"
        )


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
    taken: set[str] = set()
    for photo in photos:
        stem = photo.stem.strip(". ") or "photo"
        tries = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(photos) + 2))
        name = next(name for name in tries if name.lower() not in taken)
        taken.add(name.lower())
        names.append(name)
    return names


def _swap(partial: Path, folder: Path) -> None:
    """Put `partial` in the place of `folder`; whatever happens, one of the two is there."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    finally:
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
