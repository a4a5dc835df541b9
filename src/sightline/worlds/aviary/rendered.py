"""The generator behind a rendered world on disk, so that its scenes can be drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sightline.common.reading import is_file, read_json, read_json_lines, read_lines
from sightline.common.records import as_kind, restored
from sightline.errors import DataError
from sightline.worlds.aviary import Scene, World, WorldConfig


@dataclass(frozen=True, eq=False)
class Drawn:
    """A world on disk: its config, the side of its pictures, and the scene behind every picture.

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
    return is_file(folder / "world.json") and is_file(folder / "scenes.jsonl")


def read_world(folder: Path) -> Drawn:
    """The generator behind a folder.

    Raises:
        DataError: the folder holds no world, or its files contradict one another.
    """
    if not is_world(folder):
        raise DataError(
            f"{folder} is not a rendered world: a cue can only be certified where scenes can be drawn again; "
            "`sightline world render` writes one"
        )
    about = read_json(folder / "world.json", error=DataError)
    scenes = [scene for _, scene in read_json_lines(folder / "scenes.jsonl", error=DataError)]
    try:
        numbers = [as_kind(int, scene["index"], "index") for scene in scenes]
        size = as_kind(int, about["size"], "size")
        required = as_kind(str, about["required_cue"], "required_cue")
        config = restored(WorldConfig, about["knobs"])
        if size < 1 or min(numbers, default=0) < 0:
            raise ValueError("its size and its scenes are counted from 0")
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{folder} holds a damaged world: {problem!r}; render it again") from problem
    paths = [
        folder / "images" / line.partition(" ")[2] for _, line in read_lines(folder / "images.txt", error=DataError)
    ]
    if len(paths) != len(numbers):
        raise DataError(f"{folder} lists {len(paths)} images and {len(numbers)} scenes; render it again")
    return Drawn(World(config), size, dict(zip(paths, numbers, strict=True)), required)
