"""Files among files and folders, found by the endings of their names. It knows nothing of what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sightline.common.reading import check_file, is_folder
from sightline.data.dicom import some_dicom
from sightline.errors import InputError


def find_files(paths: Iterable[str | Path], suffixes: frozenset[str]) -> list[Path]:
    """List files.

    Args:
        paths: files, taken as they are, and folders, searched with all their subfolders in the order of their names;
            hidden files and folders are passed over.
        suffixes: endings in lower case of what is sought in folders.

    Returns:
        Each file once, in the order in which it was found first.

    Raises:
        InputError: a path does not exist, or a folder holds no such file.
    """
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        files.update(dict.fromkeys(_in_folder(path, suffixes) if is_folder(path) else [_file(path)]))
    return list(files)


def has_files(folder: Path, suffixes: frozenset[str]) -> bool:
    """Whether a folder holds, at any depth, a file of these endings that is not hidden."""
    return bool(_inside(folder, suffixes))


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts names as people do: `2.png` before `10.png`."""
    return [(int(part), "") if part.isdecimal() else (0, part.lower()) for part in re.split(r"(\d+)", path.name)]


def _file(path: Path) -> Path:
    """The path itself.

    Raises:
        InputError: it is not there, or no regular file.
    """
    check_file(path)
    return path


def _in_folder(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    photos = _inside(folder, suffixes)
    if not photos:
        raise InputError(
            f"the folder {str(folder)!r} holds no picture; looked there and in its subfolders for "
            f"{', '.join(sorted(suffixes))}{some_dicom(folder)}"
        )
    return photos


def _inside(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """The files of these endings in a folder, in the order of their names."""
    inside = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    entries = (path for path in inside if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in entries if path.is_file())
