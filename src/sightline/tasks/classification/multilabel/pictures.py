"""`LabelledPictures`: pictures with several labels, in training, validation and test parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from sightline.data.label_split import split_notes, split_of
from sightline.data.label_table import read_labels
from sightline.tasks.classification.data.pictures import Pictures, colours, decoded_photos
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.reporter import Report


@dataclass(frozen=True, eq=False)
class LabelledPictures(Pictures):
    """Pictures whose `labels` are `[n, k]`: 1, 0, or NaN where that is unknown; thresholds are chosen on `val`.

    Args:
        groups: group of each picture; empty where none are asked for.
    """

    groups: tuple[str, ...] = ()

    def groups_of(self, rows: Int[Tensor, " m"]) -> tuple[str, ...]:
        """Groups of some pictures; empty where there are none."""
        return tuple(self.groups[int(row)] for row in rows) if self.groups else ()


def gather_labelled(
    folder: Path, recipe: ClassifyRecipe, work: Path, report: Report = lambda done: None
) -> LabelledPictures:
    """Read all pictures of a folder with a `labels.csv`.

    Args:
        folder: the folder.
        recipe: size of the pictures, shares of the splits, column of the groups.
        work: folder where decoded pictures are kept.
        report: called for every picture that is there.

    Raises:
        DataError: the table is not understood, or a split would leave a label without pictures to learn from.
        InputError: a picture cannot be read; the text names it.
    """
    table = read_labels(folder, recipe.data.labels, recipe.data.group_by)
    splits = split_of(table, recipe.data.held_out, recipe.data.validation)
    images, notes, fingerprint = decoded_photos(table.files, recipe.data, work, report)
    train, val, test = (_rows(splits, name) for name in ("train", "val", "test"))
    return LabelledPictures(
        images,
        torch.tensor(table.truth),
        train,
        test,
        table.labels,
        *colours(images, train),
        f"{len(splits)} pictures with {len(table.labels)} labels in {folder.name}",
        (*table.notes, *split_notes(table, splits), *notes),
        fingerprint + "".join(name[1] for name in splits),
        val=val,
        groups=table.groups,
    )


def _rows(splits: Sequence[str], name: str) -> Int[Tensor, " m"]:
    return torch.tensor([at for at, own in enumerate(splits) if own == name], dtype=torch.long)
