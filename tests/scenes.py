"""Scenes of the aviary are drawn once in a process: drawing is much of a small training, and the same each time.

What is kept are the bytes that drawing writes, so no test changes them for another. Tests of the drawing itself draw.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from json import dumps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sightline.worlds.aviary import dataset, layout
from sightline.worlds.aviary.render import DRAWING

DRAW_CHUNK, DRAW_SCENE = dataset._draw, layout._draw
SCENES: dict[tuple[object, ...], tuple[Any, dict[str, bytes]]] = {}
"""Entry and files of each scene that was written."""


@contextmanager
def drawn_once() -> Iterator[None]:
    """Keep what is drawn meanwhile, and take what was kept before."""
    _folder()  # before processes are forked that draw: they share it
    with patch.object(dataset, "_draw", chunk), patch.object(layout, "_draw", scene):
        yield


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def chunk(world: Any, start: int, count: int, size: int, path: Path) -> int:
    """A chunk of scenes as a file; its name says all that it depends on."""
    kept = Path(_folder().name) / path.name
    if not kept.exists():
        DRAW_CHUNK(world, start, count, size, kept)
    shutil.copyfile(kept, path)
    return count


def scene(world: Any, half: Any, size: int, image_format: str, index: int) -> Any:
    """A scene as pictures, which are kept where its world is written."""
    key = (type(world), DRAWING, dumps(asdict(world.config), sort_keys=True), size, image_format, index)
    if key not in SCENES:
        caught = _Caught()
        DRAW_SCENE(world, caught, size, image_format, index)  # type: ignore[arg-type]
        SCENES[key] = caught.entry, caught.files
    return half.keep(*SCENES[key])


class _Caught:
    """Takes what is drawn in a folder's place."""

    entry: Any
    files: dict[str, bytes]

    def keep(self, entry: Any, files: dict[str, bytes]) -> Any:
        self.entry, self.files = entry, files
        return entry
