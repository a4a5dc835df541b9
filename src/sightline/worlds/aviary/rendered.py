"""The generator behind a rendered world on disk, so that its scenes can be drawn again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import DataError
from sightline.worlds.aviary import Knobs, Scene, World


@dataclass(frozen=True, eq=False)
class Drawn:
    """A world on disk: its knobs, the side of its pictures, and the scene behind every picture.

    Args:
        world: the generator.
        size: side of the pictures in pixels.
        numbers: scene number of each picture, by its path.
        required: the cue that the best model must use, as the folder says.
    """

    world: World
    size: int
    numbers: dict[Path, int]
    required: str

    def scene(self, picture: Path) -> Scene:
        """The scene behind a picture of the folder."""
        return self.world.scene(self.numbers[picture])


def is_world(folder: Path) -> bool:
    """Whether a folder was written by `sightline world render`."""
    return (folder / "world.json").is_file() and (folder / "scenes.jsonl").is_file()


def read_world(folder: Path) -> Drawn:
    """The generator behind a folder.

    Raises:
        DataError: the folder holds no world, or its files contradict one another.
    """
    if not is_world(folder):
        raise DataError(
            f"{folder} is no rendered world: a cue can only be certified where scenes can be drawn again; "
            "`sightline world render` writes one"
        )
    try:
        about = json.loads((folder / "world.json").read_text(encoding="utf-8"))
        lines = (folder / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
        numbers = [int(json.loads(line)["index"]) for line in lines]
        world, size, required = World(Knobs(**about["knobs"])), int(about["size"]), str(about["required_cue"])
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{folder} holds a damaged world: {problem!r}; render it again") from problem
    images = (folder / "images.txt").read_text(encoding="utf-8").splitlines()
    paths = [folder / "images" / line.partition(" ")[2] for line in images]
    if len(paths) != len(numbers):
        raise DataError(f"{folder} lists {len(paths)} images and {len(numbers)} scenes; render it again")
    return Drawn(world, size, dict(zip(paths, numbers, strict=True)), required)
