"""`Examples`: photos with class and attributes as tensors, small enough to stay in memory or in one mapped file.

Pictures are decoded once and kept as bytes, so that an epoch costs no decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sightline.data.levels import Levels
from sightline.data.photos import read_photo
from sightline.tasks.attributes.data import AttributeData, Vocabulary
from sightline.tasks.attributes.data.cub_words import POINTS
from sightline.tasks.attributes.data.places import NOWHERE, has_points, id_names, middle_square, part_ids
from sightline.training.cache import cached_rows
from sightline.worlds.aviary.attributes import GROUPS, PARTS
from sightline.worlds.aviary.dataset import Scenes

TABLES = ("images", "labels", "targets", "weights", "parts")


@dataclass(frozen=True, eq=False)
class Examples:
    """Photos and what is known of them.

    Args:
        images: bytes, the whole photo or its middle square.
        labels: classes, -100 for none; where a photo may have several labels, 1, 0 or NaN for unknown, `[n, y]`.
        targets: how much of each attribute, 0..1.
        weights: how sure that is; 0 unknown.
        parts: part ids at half the side, 0 is background, `NOWHERE` where nobody marked them.
        background_pairs: the same scenes drawn again on other backgrounds; as many as images, or none.
        part_names: names of the part ids from 1.
        features: a trunk's features of the same photos by row, where they were computed before and the trunk has not
            changed since; None where they were not.
    """

    images: UInt8[Tensor, "n 3 h w"]
    labels: Int[Tensor, " n"] | Float[Tensor, "n y"]
    targets: Float[Tensor, "n k"]
    weights: Float[Tensor, "n k"]
    parts: UInt8[Tensor, "n p q"]
    background_pairs: UInt8[Tensor, "m 3 h w"] | None = None
    part_names: tuple[str, ...] = ()
    features: Any = None

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.labels)

    @property
    def several(self) -> bool:
        """Whether a photo may have several labels, or none."""
        return self.labels.ndim == 2

    def take(self, rows: Tensor | slice) -> Examples:
        """Some of them."""
        pairs = None if self.background_pairs is None else self.background_pairs[rows]
        return replace(
            self, **{name: getattr(self, name)[rows] for name in TABLES}, background_pairs=pairs, features=None
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """What a step of training gets, row by row."""
        own: tuple[Tensor, ...] = tuple(getattr(self, name) for name in TABLES)
        return own if self.background_pairs is None else (*own, self.background_pairs)

    def only(self, positions: Sequence[int]) -> Examples:
        """The same photos with some attributes only, by position."""
        return self.taught(self.targets[:, positions], self.weights[:, positions])

    def taught(self, targets: Tensor, weights: Tensor) -> Examples:
        """The same photos with other attributes, such as those of a control."""
        return replace(self, targets=targets, weights=weights)


def from_scenes(scenes: Scenes, words: Vocabulary) -> Examples:
    """Scenes of the aviary as examples: one-hot attributes, unknown where the part is not seen."""
    hot, visible = [], []
    for g, group in enumerate(GROUPS):
        hot.append(torch.nn.functional.one_hot(scenes.values[:, g], len(group.values)).float())
        visible.append(scenes.visible[:, g, None].float().expand(-1, len(group.values)))
    targets, weights = torch.cat(hot, dim=1), torch.cat(visible, dim=1)
    if targets.shape[1] != len(words):
        raise ValueError(f"{targets.shape[1]} attributes of the aviary for a vocabulary of {len(words)}")
    return Examples(scenes.images, scenes.labels, targets, weights.contiguous(), scenes.parts, part_names=PARTS)


def from_files(
    data: AttributeData,
    rows: Sequence[int] | NDArray[np.int64],
    size: int,
    folder: Path,
    report: Callable[[int], None] = lambda done: None,
    levels: Levels = Levels(),
) -> Examples:
    """Read photos into one mapped file, cut to their middle square of `size` pixels; read once, then kept.

    Args:
        data: the data set.
        rows: positions of the photos in the data set.
        size: side in pixels.
        folder: folder of the mapped file.
        report: called for every photo that is there.
        levels: which values of photos of more than 8 bits are black and white.

    Raises:
        InputError: a photo cannot be read; the text names it.
    """
    rows = np.asarray(rows)
    folder.mkdir(parents=True, exist_ok=True)
    identity = "\n".join(f"{data.files[i]} {_stamp(data.files[i])}" for i in rows)
    if levels:
        identity += f"\n{levels.black} {levels.white}"
    name = f"{sha256(identity.encode()).hexdigest()[:12]}-{size}"
    images = cached_rows(
        folder / f"{name}.npy", (len(rows), size, size, 3), lambda i: _square(data, rows[i], size, levels), report
    )
    half = (size + 1) // 2
    marks = sha256("\n".join(f"{_marks(data, i)}" for i in rows).encode()).hexdigest()[:8]
    parts = cached_rows(
        folder / f"{name}-{marks}.npy", (len(rows), half, half), lambda i: part_ids(data, int(rows[i]), half)
    )
    return Examples(
        torch.from_numpy(images).permute(0, 3, 1, 2),
        torch.from_numpy(data.labels[rows]),
        torch.from_numpy(data.targets[rows]),
        torch.from_numpy(data.weights[rows]),
        torch.from_numpy(parts),
        part_names=id_names(data),
    )


def group_shares(
    parts: UInt8[Tensor, "b p q"], words: Vocabulary, names: Sequence[str], size: tuple[int, int]
) -> Float[Tensor, "b g h w"]:
    """For every group of attributes the share of each cell that its part covers; nothing where nobody marked parts.

    A group of the object covers all of it. A part that has no id of its own covers the key points on which it can be
    found, such as both wings. A group of a part that has neither, of the surroundings or of nothing visible covers
    nothing.
    """
    ids = {name: at for at, name in enumerate(names, 1)}
    marked = parts != NOWHERE
    nothing = torch.zeros_like(marked)
    masks = []
    for group in words.groups:
        own = [ids[name] for name in (group.part, *POINTS.get(group.part, ())) if name in ids]
        if group.scope == "part" and own:
            # a part with a mask of its own needs no points
            masks.append(
                torch.isin(
                    parts, torch.tensor(own[:1] if group.part in ids else own, dtype=parts.dtype).to(parts.device)
                )
            )
        else:
            masks.append((parts > 0) & marked if group.scope == "object" else nothing)
    return torch.nn.functional.adaptive_avg_pool2d(torch.stack(masks, dim=1).float(), size)


def object_shares(parts: UInt8[Tensor, "b p q"], size: tuple[int, int]) -> Float[Tensor, "b h w"]:
    """Share of each cell that the object covers."""
    mask = (parts > 0) & (parts != NOWHERE)
    return torch.nn.functional.adaptive_avg_pool2d(mask[:, None].float(), size)[:, 0]


def _marks(data: AttributeData, row: int) -> str:
    """Changes when what is known of where the object is does."""
    masks = [files[row] for files in (data.part_masks, data.foreground) if files]
    box = "" if data.boxes is None else data.boxes[row].tolist()
    points = f" {data.points[row].tolist()}" if has_points(data) and data.points is not None else ""
    return f"{[_stamp(mask) for mask in masks if mask]} {box}{points}"


def _stamp(path: Path) -> str:
    """Changes when the file does."""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def _square(data: AttributeData, row: int, size: int, levels: Levels) -> NDArray[np.uint8]:
    """The middle square of a photo."""
    image = read_photo(data.files[row], black=levels.black, white=levels.white).image
    return np.asarray(middle_square(image, size, Image.Resampling.BILINEAR), dtype=np.uint8)
