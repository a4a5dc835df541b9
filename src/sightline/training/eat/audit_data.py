"""From a folder of photos and a network's file to what an audit looks at; refuses what does not fit, before any work.

Knows readers and networks, not what is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from sightline.attributes.audit import Observations, Redrawn
from sightline.attributes.net import AttributeNet
from sightline.data.attributed import SPLITS, AttributeData
from sightline.data.attributed.aviary import aviary_vocabulary
from sightline.errors import DataError, near
from sightline.evaluate.certified import is_world, read_world
from sightline.training.eat.audit_run import observe
from sightline.training.eat.audit_scenes import redraw
from sightline.training.eat.examples import from_files

ALL = "all"
Step = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Audited:
    """The pictures of an audit, in the network's order of classes and attributes.

    Args:
        data: those pictures alone.
        notes: what was noticed, one sentence each.
    """

    data: AttributeData
    notes: tuple[str, ...]


def fitting(net: AttributeNet, data: AttributeData, split: str = ALL, limit: int | None = None) -> Audited:
    """The pictures to look at, with classes and attributes as the network counts them.

    Args:
        net: the network.
        data: what was read.
        split: one of `SPLITS`, or `all`.
        limit: most pictures, chosen by a hash of their path.

    Raises:
        DataError: no such split, a split without pictures, or classes or attributes that are not the network's.
    """
    if split not in (*SPLITS, ALL):
        raise DataError(f"an audit looks at a split or at all; there is no {split!r}: {near(split, (*SPLITS, ALL))}")
    rows = np.arange(len(data)) if split == ALL else data.rows(split)
    notes = [*data.notes]
    if limit is not None and limit < len(rows):
        order = sorted(rows.tolist(), key=lambda row: sha256(name_of(data, row).encode()).digest())
        notes.append(f"{limit} of {len(rows)} pictures, chosen by a hash of their path")
        rows = np.array(sorted(order[:limit]))
    words = net.spec.vocabulary
    at = [data.vocabulary.index(name) for name in words.names]
    if len(at) < len(data.vocabulary):
        notes.append(f"{len(data.vocabulary) - len(at)} attributes that the network was not taught are left out")
    kept = data.take(rows.tolist()).only(at)
    labels = np.array(_classes(net.spec.classes, data.classes), np.int64)[kept.labels]
    return Audited(replace(kept, labels=labels, classes=net.spec.classes, vocabulary=words), tuple(notes))


def name_of(data: AttributeData, row: int) -> str:
    """A picture's path below the root of its data."""
    path = data.files[row]
    return path.relative_to(data.root).as_posix() if data.root in path.parents else path.as_posix()


def watched(net: AttributeNet, audited: Audited, work: Path, step: Step = lambda done: None) -> Observations:
    """Run the network over the pictures.

    Args:
        net: the network.
        audited: its pictures.
        work: folder for decoded pictures.
        step: told how many pictures are done.
    """
    data = audited.data
    examples = from_files(data, range(len(data)), net.spec.size, work)
    names = tuple(name_of(data, row) for row in range(len(data)))
    trained = torch.from_numpy(data.split == SPLITS.index("train"))
    return observe(net, examples, names, trained=trained, step=step)


def drawn_again(
    net: AttributeNet, audited: Audited, seen: Observations, most: int, step: Step = lambda done: None
) -> Redrawn | None:
    """Scenes of a world drawn again; None for photos, and for networks that were not taught all of a world's words.

    Args:
        net: the network.
        audited: its pictures.
        seen: what the network said of them.
        most: scenes, those that it was not trained on first.
        step: told of every scene that is done.

    Raises:
        DataError: the folder holds a damaged world.
    """
    data = audited.data
    if most < 1 or not is_world(data.root) or data.vocabulary.names != aviary_vocabulary().names:
        return None
    drawn = read_world(data.root)
    order = _classes(net.spec.classes, drawn.world.labels)
    rows = sorted(range(len(data)), key=lambda row: (data.split[row] != SPLITS.index("test"), row))[:most]
    scenes = [drawn.world.scene(drawn.numbers[data.files[row]]) for row in rows]
    usual = seen.prototypes[order]
    return _counted(redraw(net, drawn.world, scenes, usual, size=drawn.size, changed=most, step=step), order)


def _counted(again: Redrawn, order: list[int]) -> Redrawn:
    """Species as the network counts its classes."""
    at = torch.tensor(order)
    return replace(again, labels=at[again.labels], donors=at[again.donors])


def _classes(ours: tuple[str, ...], theirs: tuple[str, ...]) -> list[int]:
    """The network's class of each class of the data.

    Raises:
        DataError: one of them is not among the network's.
    """
    plain = {_plain(name): at for at, name in enumerate(ours)}
    strange = [name for name in theirs if _plain(name) not in plain]
    if strange:
        raise DataError(
            f"the network has no class {strange[0]!r}, nor {len(strange) - 1} more of the data's {len(theirs)} "
            f"classes; {near(strange[0], ours)}. Audit the data that it was trained for"
        )
    return [plain[_plain(name)] for name in theirs]


def _plain(name: str) -> str:
    """`001.Amber_Finch` and `Amber Finch` are one."""
    head, dot, tail = name.partition(".")
    return (tail if dot and head.isdigit() else name).replace("_", " ").lower()
