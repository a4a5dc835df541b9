"""Contact sheets: scenes side by side, or scenes with their counterfactuals."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.common.files import whole_file
from sightline.errors import ResultError
from sightline.worlds.aviary.attributes import GROUPS, group_index
from sightline.worlds.aviary.counterfactual import with_background, with_value, without_bird, without_part
from sightline.worlds.aviary.render import render
from sightline.worlds.aviary.scene import FAMILIES, Scene
from sightline.worlds.aviary.world import World

SOFTWARE, MAKER = 0x0131, "sightline world sheet"
"""Exif's field for the program that made a picture, and what we write there."""


def scene_sheet(world: World, indices: Iterable[int], *, columns: int, size: int) -> Image.Image:
    """Scenes in rows."""
    return tiled([world.scene(index) for index in indices], columns=columns, size=size)


def counterfactual_sheet(world: World, indices: Iterable[int], *, columns: int, size: int) -> Image.Image:
    """One scene per row, then its variants: another wing, bill, crown, no wing, other backgrounds, no bird."""
    rows = [scene for index in indices for scene in variants(world.scene(index))[:columns]]
    return tiled(rows, columns=min(columns, len(variants(world.scene(0)))), size=size)


def check_picture(path: Path) -> None:
    """Refuse before any work to write a sheet over a picture that is none, or to a file that can hold none.

    Raises:
        ResultError: see above.
    """
    Image.init()
    if path.suffix.lower() not in Image.EXTENSION:
        raise ResultError(f"a sheet cannot be written as {path.name!r}; end the name in .png")
    if not os.path.lexists(path):
        return
    try:
        with Image.open(path) as picture:
            ours = picture.getexif().get(SOFTWARE) == MAKER
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise ResultError(
            f"{str(path)!r} would be written over, but it was not written by sightline, or was changed since; "
            "move it, or choose another --out"
        )


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a sheet, whole or not at all, with a note that it is ours.

    Raises:
        ResultError: it cannot be written.
    """
    note = Image.Exif()
    note[SOFTWARE] = MAKER
    with whole_file(path) as temporary:
        picture.save(temporary, exif=note)


def variants(scene: Scene) -> list[Scene]:
    """A scene and seven counterfactuals of it."""
    family = FAMILIES[(FAMILIES.index(scene.backdrop.family) + 3) % len(FAMILIES)]
    return [
        scene,
        with_value(scene, "wing_color", _next(scene, "wing_color")),
        with_value(scene, "bill_shape", _next(scene, "bill_shape")),
        with_value(scene, "crown_color", _next(scene, "crown_color")),
        with_background(scene, family),
        without_part(scene, "wing"),
        with_value(scene, "tail_shape", _next(scene, "tail_shape")),
        without_bird(scene),
    ]


def tiled(scenes: list[Scene], *, columns: int, size: int) -> Image.Image:
    """Scenes drawn into a grid."""
    rows = -(-len(scenes) // columns)
    sheet = np.full((rows * size, columns * size, 3), 255, np.uint8)
    for place, scene in enumerate(scenes):
        top, left = place // columns * size, place % columns * size
        sheet[top : top + size, left : left + size] = render(scene, size).image
    return Image.fromarray(sheet)


def _next(scene: Scene, group: str) -> str:
    """The value after the scene's own."""
    values = GROUPS[group_index(group)].values
    return values[(scene.values[group_index(group)] + 1) % len(values)]
