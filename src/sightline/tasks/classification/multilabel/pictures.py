"""`LabelledPictures`: pictures with several labels, in training, validation and test parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from sightline.data.grouped import check_whole, stratified_groups
from sightline.errors import DataError
from sightline.tasks.classification.data.pictures import Pictures, colours, decoded_photos
from sightline.tasks.classification.multilabel.table import LISTED, LabelTable, read_labels
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.reporter import Report


@dataclass(frozen=True, eq=False)
class LabelledPictures(Pictures):
    """Pictures whose `labels` are `[n, k]`: 1, 0, or NaN where that is unknown.

    Args:
        val: rows that thresholds are chosen on.
        groups: group of each picture; empty where none are asked for.
    """

    val: Int[Tensor, " v"] = torch.empty(0, dtype=torch.long)
    groups: tuple[str, ...] = ()

    @property
    def judging(self) -> Int[Tensor, " v"]:
        """Rows that every epoch is judged on."""
        return self.val

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
        (*table.notes, *_split_notes(table, splits), *notes),
        fingerprint + "".join(name[1] for name in splits),
        val=val,
        groups=table.groups,
    )


def split_of(table: LabelTable, held_out: float, validation: float) -> tuple[str, ...]:
    """`train`, `val` or `test` of each picture: the table's own, or parts in which every label has its share.

    Groups stay whole. Where the table has test pictures but none for validation, those come from training.

    Args:
        table: pictures and labels.
        held_out: share that is tested on.
        validation: share of the others that thresholds are chosen on.

    Raises:
        DataError: a group is torn, or a label has no positive or no negative picture to learn from.
    """
    groups = table.groups or tuple(str(path) for path in table.files)
    labels = [[at for at, value in enumerate(row) if value == 1] for row in table.truth]
    splits = list(table.splits or ["train"] * len(labels))
    if table.groups and table.splits:
        check_whole(groups, splits, "the column split")
    for name, share in (("test", held_out), ("val", validation)):
        if name not in splits:
            rows = [at for at, own in enumerate(splits) if own == "train"]
            aside = stratified_groups([groups[at] for at in rows], [labels[at] for at in rows], share, key=name)
            for at in (at for at, out in zip(rows, aside, strict=True) if out):
                splits[at] = name
    _check_learnt(table, splits)
    return tuple(splits)


def _check_learnt(table: LabelTable, splits: Sequence[str]) -> None:
    """Refuse a split that leaves a label without pictures to learn from, or nothing to test on."""
    for at, label in enumerate(table.labels):
        values = {row[at] for row, split in zip(table.truth, splits, strict=True) if split == "train"}
        kinds = {1.0: "with", 0.0: "known to be without"}
        if kind := next((words for value, words in kinds.items() if value not in values), ""):
            raise DataError(
                f"no training picture is {kind} {label!r}: all of them are in the other splits; add pictures, move a "
                "group, or leave the label out with --label-columns"
            )
    if lost := [name for name in ("val", "test") if name not in splits]:
        use = {"val": "choose thresholds on", "test": "test on"}[lost[0]]
        raise DataError(f"the split leaves no picture to {use}; add pictures or groups, or a column split")


def _split_notes(table: LabelTable, splits: Sequence[str]) -> tuple[str, ...]:
    """How many pictures and groups are where, and which labels a part cannot judge."""
    counts = ", ".join(f"{splits.count(name)} {words}" for name, words in _PARTS.items())
    notes = [f"{counts}{'' if table.splits else ', by a hash of their names, label by label'}"]
    if table.groups:
        own = {name: {g for g, s in zip(table.groups, splits, strict=True) if s == name} for name in _PARTS}
        notes.append("whole groups: " + ", ".join(f"{len(own[name])} {words}" for name, words in _PARTS.items()))
    for name, words in (("val", "validation"), ("test", "test")):
        rows = [row for row, split in zip(table.truth, splits, strict=True) if split == name]
        lost = [label for at, label in enumerate(table.labels) if not {0.0, 1.0} <= {row[at] for row in rows}]
        if lost:
            what = "not measured" if name == "test" else "their thresholds are 0.5"
            more = f" and {len(lost) - LISTED} more" if len(lost) > LISTED else ""
            notes.append(f"{words} pictures lack positives or negatives of {', '.join(lost[:LISTED])}{more}: {what}")
    return tuple(notes)


_PARTS = {"train": "to learn from", "val": "for thresholds", "test": "to test"}


def _rows(splits: Sequence[str], name: str) -> Int[Tensor, " m"]:
    return torch.tensor([at for at, own in enumerate(splits) if own == name], dtype=torch.long)
