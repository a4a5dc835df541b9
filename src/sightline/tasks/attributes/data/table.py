"""`AttributeData`: photos with a class and attributes each, whatever format they were read from.

Holds annotations and the places of pictures; opening pictures is left to the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError, near
from sightline.tasks.attributes.data.vocabulary import Vocabulary

Level = Literal["image", "class"]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class AttributeData:
    """The annotations of one data set.

    Args:
        root: folder from which it was read.
        files: the pictures, [n].
        labels: class of every picture, [n]; where a picture may have several labels, 1, 0 or NaN for unknown, [n, c].
        classes: names of the classes, or of the labels.
        vocabulary: the attributes.
        targets: how much of each attribute a picture has, 0..1; meaningless where the weight is 0, [n, a].
        weights: how sure that is: 0 unknown (the part is not visible, not annotated), 1 certain, [n, a].
        prototypes: per class the share of pictures that have the attribute, among the training pictures where it is
            known (or as the data set's own class table says); NaN where unknown, [c, a].
        split: position in `SPLITS` of every picture, [n].
        level: whether targets are given for each image, or only of its class.
        boxes: x, y, width, height of the object in pixels of the file, [n, 4]; None where there are none.
        parts: names of the part key points; empty where there are none.
        points: x, y, visible of every part key point in pixels of the file, [n, p, 3]; None where there are none.
        foreground: a mask file of the object for every picture, None where there is none.
        part_masks: a mask file of part ids for every picture, None where there is none.
        part_ids: names of the ids in the part masks, from id 1.
        notes: what was noticed while reading, one sentence each.
        groups: group of every picture, such as its patient; empty where none are asked for.
    """

    root: Path
    files: tuple[Path, ...]
    labels: NDArray[Any]
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    prototypes: NDArray[np.float32]
    split: NDArray[np.int8]
    level: Level = "image"
    boxes: NDArray[np.float64] | None = None
    parts: tuple[str, ...] = ()
    points: NDArray[np.float64] | None = None
    foreground: tuple[Path | None, ...] = ()
    part_masks: tuple[Path | None, ...] = ()
    part_ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.files)

    @property
    def several(self) -> bool:
        """Whether a picture may have several labels, or none."""
        return self.labels.ndim == 2

    def rows(self, split: str) -> NDArray[np.int64]:
        """Positions of the pictures of one split.

        Raises:
            DataError: there is no such split, or it holds no picture.
        """
        if split not in SPLITS:
            raise DataError(f"there is no split {split!r}; {near(split, SPLITS)}")
        positions = np.flatnonzero(self.split == SPLITS.index(split))
        if not len(positions):
            raise DataError(f"{self.root} has no picture in the split {split!r}; {len(self)} pictures were read")
        return positions

    def take(self, rows: Iterable[int]) -> AttributeData:
        """The same data set with some pictures only; classes and attributes stay."""
        at = np.asarray(list(rows), dtype=np.int64)
        tables = ("labels", "targets", "weights", "split", "boxes", "points")
        lists = ("files", "foreground", "part_masks", "groups")
        changes: dict[str, Any] = {key: value[at] for key in tables if (value := getattr(self, key)) is not None}
        changes |= {key: tuple(files[i] for i in at) for key in lists if (files := getattr(self, key))}
        return replace(self, **changes)

    def only(self, positions: Iterable[int]) -> AttributeData:
        """The same pictures with some attributes only, by position; see `Vocabulary.match`."""
        at = list(positions)
        tables = {name: getattr(self, name)[:, at] for name in ("targets", "weights", "prototypes")}
        return replace(self, vocabulary=self.vocabulary.only(at), **tables)

    def at_class_level(self) -> AttributeData:
        """Every picture gets its class's prototype as targets; a network may then read attributes off the class.

        Raises:
            DataError: a picture may have several labels, whose prototypes would contradict one another.
        """
        if self.several:
            raise DataError(
                f"{self.root} gives each picture several labels, so it has no class to take attributes from; leave "
                "--targets at 'image'"
            )
        targets = np.nan_to_num(self.prototypes)[self.labels]
        weights = (~np.isnan(self.prototypes)).astype(np.float32)[self.labels]
        return replace(self, targets=targets.astype(np.float32), weights=weights, level="class")


def class_means(
    targets: NDArray[np.float32], weights: NDArray[np.float32], labels: NDArray[Any], classes: int
) -> NDArray[np.float32]:
    """Weighted mean target per class and attribute; NaN where no picture of the class knows it, [c, a].

    Args:
        targets: how much of each attribute, [n, a].
        weights: how sure that is, 0 unknown, [n, a].
        labels: class of every picture, [n]; or 1 for each of its labels, [n, c].
        classes: number of classes, or of labels.
    """
    own = labels == 1 if labels.ndim == 2 else labels[:, None] == np.arange(classes)
    certainty = own.T.astype(np.float64) @ weights
    totals = own.T.astype(np.float64) @ (targets * weights)
    means = np.full(totals.shape, np.nan)
    np.divide(totals, certainty, out=means, where=certainty > 0)
    return means.astype(np.float32)
