"""Rendered scenes on disk for training: drawn once by several processes, chunk by chunk, and kept.

A chunk is written under another name and renamed, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from json import dumps
from pathlib import Path
from time import process_time

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from sightline.common.files import make_folder, whole_file
from sightline.worlds.aviary.attributes import GROUPS
from sightline.worlds.aviary.batch import render_batch
from sightline.worlds.aviary.render import DRAWING
from sightline.worlds.aviary.world import World

CHUNK = 250
HELD_OUT = 10_000_000
"""Scenes from this number on are never trained on."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """Images, true classes and attribute values, what is visible, part ids at half the side, CPU time of drawing."""

    images: UInt8[Tensor, "b 3 h w"]
    labels: Int[Tensor, " b"]
    values: Int[Tensor, "b g"]
    visible: Bool[Tensor, "b g"]
    parts: UInt8[Tensor, "b m n"]
    cpu: float = 0.0

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self.labels)


def unlabelled(scenes: Scenes) -> Scenes:
    """The same scenes without a class: -100, which the class loss passes over."""
    return replace(scenes, labels=torch.full_like(scenes.labels, -100))


def joined(one: Scenes, other: Scenes) -> Scenes:
    """Two blocks as one."""
    return Scenes(
        torch.cat([one.images, other.images]),
        torch.cat([one.labels, other.labels]),
        torch.cat([one.values, other.values]),
        torch.cat([one.visible, other.visible]),
        torch.cat([one.parts, other.parts]),
        one.cpu + other.cpu,
    )


def rendered(
    world: World,
    first: int,
    count: int,
    *,
    size: int,
    folder: Path,
    workers: int = 2,
    report: Callable[[int], None] = lambda done: None,
) -> Scenes:
    """Scenes `first` to `first + count` of a world, from the folder where they were drawn before.

    Args:
        world: the world.
        first: number of the first scene.
        count: how many.
        size: side in pixels.
        folder: where chunks are kept.
        workers: processes that draw.
        report: told the number of scenes after every chunk.
    """
    make_folder(folder)
    starts = range(first, first + count, CHUNK)
    lengths = [min(CHUNK, first + count - start) for start in starts]
    paths = [folder / _name(world, start, n, size) for start, n in zip(starts, lengths, strict=True)]
    todo = [job for job in zip(starts, lengths, paths, strict=True) if not job[2].exists()]
    report(count - sum(n for _, n, _ in todo))
    if workers <= 1:
        for start, n, path in todo:
            report(_draw(world, start, n, size, path))
    elif todo:
        _draw_in_parallel(world, todo, size, workers, report)
    return _gather(paths, count, size)


def _draw_in_parallel(
    world: World, todo: list[tuple[int, int, Path]], size: int, workers: int, report: Callable[[int], None]
) -> None:
    """Draw all chunks; on Ctrl-C cancel what has not begun."""
    pool = ProcessPoolExecutor(min(workers, len(todo)))
    try:
        for job in as_completed([pool.submit(_draw, world, start, n, size, path) for start, n, path in todo]):
            report(job.result())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _name(world: World, start: int, count: int, size: int) -> str:
    """A chunk's file name: it changes with every knob and with the drawings."""
    recipe = dumps([DRAWING, "parts", asdict(world.config)], sort_keys=True)
    digest = sha256(recipe.encode()).hexdigest()[:10]
    return f"{digest}-{size}-{start:08d}-{count}.npz"


def _draw(world: World, start: int, count: int, size: int, path: Path) -> int:
    """Draw and keep one chunk."""
    torch.set_num_threads(1)
    begun = process_time()
    batch = render_batch(world, range(start, start + count), size)
    with whole_file(path) as temporary:
        np.savez(
            temporary,
            images=batch.images.numpy(),
            labels=batch.labels.numpy(),
            values=batch.values.numpy().astype(np.uint8),
            visible=batch.visible.numpy(),
            parts=batch.parts[:, ::2, ::2].numpy(),
            cpu=np.array(process_time() - begun),
        )
    return count


def _gather(paths: list[Path], count: int, size: int) -> Scenes:
    """Read chunks into one block of memory."""
    images = torch.empty(count, 3, size, size, dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)
    values = torch.empty(count, len(GROUPS), dtype=torch.int64)
    visible = torch.empty(count, len(GROUPS), dtype=torch.bool)
    parts = torch.empty(count, (size + 1) // 2, (size + 1) // 2, dtype=torch.uint8)
    at, cpu = 0, 0.0
    for path in paths:
        with np.load(path) as chunk:
            rows = slice(at, at + len(chunk["labels"]))
            for block, name in (
                (images, "images"),
                (labels, "labels"),
                (values, "values"),
                (visible, "visible"),
                (parts, "parts"),
            ):
                block[rows] = torch.from_numpy(chunk[name])
            cpu += float(chunk["cpu"]) if "cpu" in chunk else 0.0
        at = rows.stop
    return Scenes(images, labels, values, visible, parts, cpu)
