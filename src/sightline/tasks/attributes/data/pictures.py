"""`Pictures`: the three splits that a training needs, from a folder of photos or from the aviary in memory.

Refuses data that cannot teach or judge, before any work is done. Knows no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.data.levels import Levels
from sightline.errors import DataError, TrainingError
from sightline.tasks.attributes.data import (
    SPLITS,
    AttributeData,
    Vocabulary,
    aviary_vocabulary,
    class_means,
    read_attributes,
)
from sightline.tasks.attributes.data.background_pairs import drawn_again, scenes_of
from sightline.tasks.attributes.data.examples import Examples, from_files, from_scenes
from sightline.tasks.attributes.data.kept_reading import digests
from sightline.tasks.attributes.data.lexicon import words_to_mine
from sightline.tasks.attributes.data.places import NOWHERE, WIDTH, has_points
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.training.reporter import Report
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, rendered
from sightline.worlds.aviary.render import DRAWING
from sightline.worlds.aviary.world import World

VALIDATION = HELD_OUT + 500_000
"""Scenes from this number on choose the epoch and calibrate; they are neither trained on nor judged by."""
DRAWN = "the aviary, drawn in memory"


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is learnt from, what chooses, and what judges.

    Args:
        train: training pictures.
        validation: they choose the epoch and calibrate.
        test: they judge; None where the data has no test split.
        classes: names.
        vocabulary: the attributes.
        source: what they are, in words.
        identity: a text that changes when the data does.
        drawn: whether they were drawn rather than photographed.
        where: how the object is known: `parts` (masks), `points` (of parts), `mask`, `box`, or nothing.
        notes: what was noticed, one sentence each.
        groups: group of every picture that judges; empty where none are asked for.
        digests: of each split's names, by `kept_reading.digests`; empty where pictures are drawn in memory.
        families: group of every picture that is learnt from, likewise.
    """

    train: Examples
    validation: Examples
    test: Examples | None
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    source: str
    identity: str
    drawn: bool
    where: str
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    families: tuple[str, ...] = ()

    @property
    def independent(self) -> int:
        """Number of training pictures, or of their groups."""
        return len(set(self.families)) if self.families else len(self.train)

    @property
    def judging(self) -> Examples:
        """The test pictures, or the validation pictures where there are none."""
        return self.validation if self.test is None else self.test

    @property
    def judged_on(self) -> str:
        """In words."""
        if self.test is not None:
            return "test pictures"
        return "validation pictures, which chose the epoch too: the data has no test split"


def gather(data: Path | None, recipe: EatRecipe, work: Path, report: Report = lambda done: None) -> Pictures:
    """Read a folder, or draw scenes.

    Args:
        data: a folder that `read_attributes` reads; None draws scenes of the default aviary.
        recipe: which attributes, what size, how many scenes.
        work: folder in which decoded pictures are kept.
        report: called for every picture that is there.

    Raises:
        DataError: the folder breaks its format, lacks a split, or a class has no training picture.
        InputError: a picture cannot be read.
        TrainingError: a guide was asked for that the data cannot give.
    """
    pictures = _drawn(recipe, work, report) if data is None else _read(data, recipe, work, report)
    if recipe.loss.outside_weight and not pictures.where:
        raise TrainingError(
            f"--outside-weight needs to know where the object is, but {pictures.source} has neither masks nor boxes; "
            "leave it out"
        )
    if recipe.loss.part_weight and pictures.where not in ("parts", "points"):
        raise TrainingError(
            f"--part-weight needs masks or key points of the parts, but {pictures.source} has none; leave it out "
            "(--outside-weight does with masks or boxes of the object)"
        )
    return pictures


def _drawn(recipe: EatRecipe, work: Path, report: Report) -> Pictures:
    # a small training too needs scenes to calibrate and to judge by
    world, held_out = World(WorldConfig(seed=recipe.machine.seed)), max(40, recipe.data.scenes // 4)
    splits = ((0, recipe.data.scenes), (VALIDATION, held_out), (HELD_OUT, held_out))
    full = aviary_vocabulary()
    at = list(full.match(recipe.data.only)) if recipe.data.only else list(range(len(full)))
    examples = []
    for first, count in splits:
        drawn = rendered(
            world,
            first,
            count,
            size=recipe.network.side,
            folder=work / "scenes",
            workers=recipe.machine.workers,
            report=report,
        )
        examples.append(from_scenes(drawn, full).only(at))
    train, validation, test = examples
    if recipe.loss.consistency_weight:
        scenes = [world.scene(index) for index in range(recipe.data.scenes)]
        train = replace(train, background_pairs=drawn_again(world, scenes, recipe.network.side, work / "scenes"))
    if recipe.data.targets != "image":
        train, validation, test = _of_classes(examples, len(world.labels))
    _check_classes(
        torch.bincount(train.labels, minlength=len(world.labels)).tolist(),
        world.labels,
        DRAWN,
        "Ask for more --scenes",
    )
    return Pictures(
        train,
        validation,
        test,
        world.labels,
        full.only(at),
        DRAWN,
        dumps([DRAWING, asdict(world.config), splits]),
        drawn=True,
        where="parts",
    )


def _of_classes(splits: Sequence[Examples], classes: int) -> list[Examples]:
    """Every picture gets the mean of its class's training pictures."""
    train = splits[0]
    means = torch.from_numpy(class_means(train.targets.numpy(), train.weights.numpy(), train.labels.numpy(), classes))
    weights = (~means.isnan()).float()
    return [one.taught(means.nan_to_num()[one.labels], weights[one.labels]) for one in splits]


def _read(root: Path, recipe: EatRecipe, work: Path, report: Report) -> Pictures:
    if recipe.data.targets not in ("image", "class"):
        raise TrainingError(f"--targets is 'image' or 'class', not {recipe.data.targets!r}")
    targets: Any = recipe.data.targets
    data = read_attributes(
        root,
        targets=targets,
        only=recipe.data.only,
        validation=recipe.data.validation,
        seed=recipe.machine.seed,
        incomplete=recipe.data.incomplete,
        group_by=recipe.data.group_by,
        mined=words_to_mine(recipe.data.attributes, recipe.data.word_list),
        labels=recipe.data.labels,
        held_out=recipe.data.held_out,
    )
    names = digests(data)
    data = data if data.several else _complete(data, recipe.data.incomplete)
    _check_split(data)
    splits = {name: np.flatnonzero(data.split == at) for at, name in enumerate(SPLITS)}
    scenes = scenes_of(root, splits["train"].tolist()) if recipe.loss.consistency_weight else None
    levels = Levels(recipe.network.black, recipe.network.white)
    examples = {
        name: from_files(data, rows, recipe.network.side, work / "photos", report, levels)
        for name, rows in splits.items()
        if len(rows)
    }
    if scenes is not None:
        pairs = drawn_again(*scenes, recipe.network.side, work / "photos")
        examples["train"] = replace(examples["train"], background_pairs=pairs)
    where = _where(data, examples["train"])
    return Pictures(
        examples["train"],
        examples["validation"],
        examples.get("test"),
        data.classes,
        data.vocabulary,
        str(root),
        "\n".join(f"{file.relative_to(root) if root in file.parents else file}" for file in data.files),
        drawn=(root / "world.json").is_file(),
        where=where,
        notes=(*data.notes, *_place_notes(where, data)),
        groups=tuple(data.groups[row] for row in splits["test"]) if data.groups else (),
        digests=names,
        families=tuple(data.groups[row] for row in splits["train"]) if data.groups else (),
    )


def _where(data: AttributeData, train: Examples) -> str:
    """How the object is known in the training pictures."""
    if not bool((train.parts != NOWHERE).any()):
        return ""
    if has_points(data):
        return "points"
    return "parts" if data.part_masks else "mask" if data.foreground else "box"


def _place_notes(where: str, data: AttributeData) -> tuple[str, ...]:
    """What stands for the object and its parts, where that is less than their outlines."""
    notes = []
    if where == "points":
        notes.append(f"parts are shown by key points: a Gaussian of {WIDTH:.0%} of the object's size around each")
    if where in ("points", "box") and not data.foreground:
        notes.append("the object is shown by its box, which holds some of the background too")
    return tuple(notes)


def _complete(data: AttributeData, leave_out: bool) -> AttributeData:
    """The data set without classes that nobody can learn, if that was asked for.

    Raises:
        DataError: there are such classes.
    """
    counts = np.bincount(data.labels[data.split == 0], minlength=len(data.classes))
    if not leave_out:
        fix = "Add pictures, or leave these classes out with --incomplete"
        _check_classes(counts.tolist(), data.classes, str(data.root), fix)
        return data
    learnable = np.flatnonzero(counts)
    if len(learnable) == len(counts):
        return data
    place = {int(label): at for at, label in enumerate(learnable)}
    some = data.take(row for row in range(len(data)) if int(data.labels[row]) in place)
    note = f"{len(counts) - len(learnable)} of {len(counts)} classes have no training picture and are left out"
    return replace(
        some,
        labels=np.array([place[int(label)] for label in some.labels], np.int64),
        classes=tuple(data.classes[at] for at in learnable),
        prototypes=data.prototypes[learnable],
        notes=(*data.notes, note),
    )


def _check_classes(counts: Sequence[int], classes: Sequence[str], source: str, fix: str) -> None:
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        names = ", ".join(empty[:3]) + (f" and {len(empty) - 3} more" if len(empty) > 3 else "")
        raise DataError(
            f"{source} has {len(empty)} of {len(classes)} classes without a training picture: {names}. {fix}"
        )


def _check_split(data: AttributeData) -> None:
    if not (data.split == 1).any():
        raise DataError(
            f"{data.root} has no validation pictures, without which no epoch can be chosen and nothing calibrated; "
            "ask for a larger share of each class (--validation-share 0.3), or write a split of your own"
        )
