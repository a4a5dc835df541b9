"""No patient, lot or place lies in two splits, and every class gets about its share."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data.grouped import check_whole, stratified_groups, whole_groups
from sightline.errors import DataError
from sightline.tasks.attributes.data import read_attributes
from sightline.tasks.classification.data.formats import list_folder


def test_groups_stay_whole_and_classes_get_their_share() -> None:
    groups = [f"p{i // 4}" for i in range(120)]
    labels = [(i // 4) % 3 if i % 4 else 0 for i in range(120)]
    aside = whole_groups(groups, labels, 0.3)
    places: dict[str, set[bool]] = {}
    for group, own in zip(groups, aside, strict=True):
        places.setdefault(group, set()).add(own)
    assert all(len(own) == 1 for own in places.values())
    for label in range(3):
        own = [part for part, name in zip(aside, labels, strict=True) if name == label]
        assert abs(sum(own) / len(own) - 0.3) < 0.12
    assert aside == whole_groups(groups, labels, 0.3)
    assert aside != whole_groups(groups, labels, 0.3, key="1")
    order = np.random.default_rng(0).permutation(120)
    moved = whole_groups([groups[i] for i in order], [labels[i] for i in order], 0.3)
    assert [aside[i] for i in order] == moved


def test_no_class_is_put_aside_as_a_whole() -> None:
    groups, labels = ["a", "b", "c", "d"], [0, 1, 1, 1]
    for key in "0123456789":
        aside = whole_groups(groups, labels, 0.9, key=key)
        assert not aside[0]
        assert not all(aside[1:])


def test_one_group_and_a_torn_group_are_refused() -> None:
    with pytest.raises(DataError, match="all 2 pictures are of one group, 'a'"):
        whole_groups(["a", "a"], [0, 1], 0.5)
    check_whole(["a", "b", "a"], ["train", "test", "train"], "table")
    with pytest.raises(DataError, match=r"table has 1 of 2 groups in more than one split: a\. "):
        check_whole(["a", "b", "a"], ["train", "test", "test"], "table")


def folder(root: Path, header: str, rows: list[str]) -> Path:
    for at in range(len(rows)):
        Image.new("RGB", (8, 8), (at, 0, 0)).save(root / f"{at}.png")
    lines = [header, *(f"{at}.png,{row}" for at, row in enumerate(rows))]
    (root / ("labels.csv" if "class_name" in header else "birds.csv")).write_text("\n".join(lines))
    return root


def test_a_classifier_is_tested_on_patients_that_it_has_not_learnt_from(tmp_path: Path) -> None:
    root = folder(tmp_path, "file,class_name,Patient", [f"{'ill' if i % 2 else 'well'},p{i // 3}" for i in range(30)])
    listing = list_folder(root, 1 / 3, "patient")
    patients = [f"p{i // 3}" for i in range(30)]
    learnt, tested = (
        {p for p, test in zip(patients, listing.tests, strict=True) if test is own} for own in (False, True)
    )
    assert learnt
    assert tested
    assert not learnt & tested
    assert "whole groups" in listing.notes[0]
    with pytest.raises(DataError, match="has no such column; near names: 'patient'"):
        list_folder(root, 1 / 3, "patients")
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"needs a labels\.csv with that column"):
        list_folder(tmp_path, 1 / 3, "patient")


def test_photos_with_attributes_are_split_by_groups_and_the_group_is_no_attribute(tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]},lot{i // 4},{'red' if i % 3 else 'blue'}" for i in range(40)]
    root = folder(tmp_path, "file,class,lot,colour", rows)
    data = read_attributes(root, validation=0.3, group_by="lot")
    lots = np.array([f"lot{i // 4}" for i in range(40)])
    assert set(lots[data.split == 0]) & set(lots[data.split == 1]) == set()
    assert (data.split == 1).sum() >= 8
    assert {group.name for group in data.vocabulary.groups} == {"colour"}
    with pytest.raises(DataError, match="has no such column"):
        read_attributes(root, group_by="lots")


@pytest.mark.parametrize("kind", ["class", "labels"])
@pytest.mark.parametrize("asked", ["patient", "PATIENT", " Patient "])
def test_tables_of_classes_and_of_labels_find_a_column_of_groups_alike(kind: str, asked: str, tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]},p{i // 4},{'red' if i % 3 else 'blue'}" for i in range(40)]
    root = folder(tmp_path, f"file,{kind}, Patient ,colour", rows)
    data = read_attributes(root, group_by=asked)
    assert data.groups == tuple(f"p{i // 4}" for i in range(40))
    assert {group.name for group in data.vocabulary.groups} == {"colour"}
    assert set(np.array(data.groups)[data.split == 0]) & set(np.array(data.groups)[data.split == 1]) == set()


def test_a_classifier_finds_a_column_of_groups_in_any_case(tmp_path: Path) -> None:
    root = folder(tmp_path, "file,class_name, Patient ", [f"{'ab'[i % 2]},p{i // 4}" for i in range(40)])
    assert list_folder(root, 1 / 3, " PATIENT").keys == tuple(f"p{i // 4}" for i in range(40))


def test_every_label_of_several_has_its_share_and_groups_stay_whole() -> None:
    draw = random.Random(3)
    labels = [[k for k, p in enumerate((0.5, 0.2, 0.04)) if draw.random() < p] for _ in range(300)]
    groups = [f"p{at // 3}" for at in range(300)]
    aside = stratified_groups(groups, labels, 1 / 3)
    for name in set(groups):
        assert len({out for group, out in zip(groups, aside, strict=True) if group == name}) == 1
    for k in range(3):
        own = [out for out, labelled in zip(aside, labels, strict=True) if k in labelled]
        assert abs(sum(own) / len(own) - 1 / 3) < 0.12 + 1 / len(own), k
    empty = [out for out, labelled in zip(aside, labels, strict=True) if not labelled]
    assert abs(sum(empty) / len(empty) - 1 / 3) < 0.08


def test_a_label_of_one_group_is_never_put_aside() -> None:
    groups, labels = list("aabbccdd"), [[0], [0], [1], [1], [1], [1], [1], [0, 1]]
    for share in (0.25, 0.5, 0.9):
        aside = stratified_groups(
            groups, [[*own, 9] if g == "c" else own for g, own in zip(groups, labels, strict=True)], share
        )
        assert not any(out for g, out in zip(groups, aside, strict=True) if g == "c")
