"""Openers: what reads a file that is to be explained, known by the ending of its name.

A photo is one kind of input. A task whose inputs are no pictures registers its own, under an entry point of the group
`sightline.openers` that names the module:

    @opener("clip", ".mp4", ".mov")
    def read_clip(path: Path) -> Clip: ...

This file knows no kind of input, but that a file of an unknown ending is tried as a photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sightline.common.reading import is_folder
from sightline.data.paths import find_files, has_files
from sightline.errors import InputError
from sightline.registry import Registry


class Input(Protocol):
    """What an opener makes of a file."""

    @property
    def path(self) -> Path | None:
        """The file; None for what was made in memory."""

    @property
    def domain(self) -> str:
        """What a map of it lies over, such as `image`; see `results.domains`."""

    @property
    def original_size(self) -> tuple[int, ...]:
        """Sizes as the file stores it; of a picture `(width, height)`."""

    @property
    def notes(self) -> tuple[str, ...]:
        """In words, what was done to it or left out of it."""


Read = TypeVar("Read", bound=Callable[..., Input])


@dataclass(frozen=True)
class Opener:
    """How files of one kind are opened.

    Args:
        read: file in, input out; it raises InputError on a file that it cannot read. Further arguments are wishes.
        suffixes: endings of their names, in lower case, with the dot.
        in_folders: whether such files are taken where a folder is named that holds photos too.
    """

    read: Callable[..., Input]
    suffixes: frozenset[str]
    in_folders: bool = True


OPENERS: Registry[Opener] = Registry(
    "opener",
    group="sightline.openers",
    modules=("sightline.data.photos", "sightline.data.arrays", "sightline.data.clips"),
    error=InputError,
)


def opener(name: str, *suffixes: str, in_folders: bool = True) -> Callable[[Read], Read]:
    """Decorator that registers what opens the files of these endings."""

    def enter(read: Read) -> Read:
        OPENERS.add(name, Opener(read, frozenset(suffix.lower() for suffix in suffixes), in_folders))
        return read

    return enter


def open_input(path: Path, **wishes: Any) -> Input:
    """Read a file by the opener of its ending; as a photo where nobody claims the ending, and a folder as a clip.

    Args:
        path: the file, or a folder of frames.
        wishes: how it is to be read, as its opener takes it: `white=4095` of a photo; those that are None are none.

    Raises:
        InputError: it cannot be read, or its kind knows no such wish.
    """
    claims = (name for name, one in OPENERS.items() if path.suffix.lower() in one.suffixes)
    kind = "frames" if is_folder(path) else next(claims, "photo")
    read = OPENERS[kind].read
    wishes = {name: value for name, value in wishes.items() if value is not None}
    if unknown := wishes.keys() - signature(read).parameters:
        raise InputError(f"{str(path)!r} is read as a {kind}, which takes no {min(unknown)!r}; leave it out")
    return read(path, **wishes)


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """List what can be opened among files and folders; see `paths.find_files`.

    A folder often holds arrays or videos beside its photos: these are taken where it has nothing else.

    Raises:
        InputError: a path does not exist, or a folder holds nothing that can be opened.
    """
    every = frozenset[str]().union(*(one.suffixes for one in OPENERS.values()))
    first = frozenset[str]().union(*(one.suffixes for one in OPENERS.values() if one.in_folders))
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        plain = is_folder(path) and has_files(path, first)
        files.update(dict.fromkeys(find_files([path], first if plain else every)))
    return list(files)
