"""Splits of pictures with several labels each: every label has its share of each part, and groups stay whole."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.data.grouped import check_whole, stratified_groups
from sightline.data.label_table import LISTED, LabelTable
from sightline.errors import DataError


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
    groups = table.groups or table.names
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


def split_notes(table: LabelTable, splits: Sequence[str]) -> tuple[str, ...]:
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
