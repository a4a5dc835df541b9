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

from sightline.data.classes import folded_name
from sightline.data.levels import Levels
from sightline.errors import DataError, near
from sightline.tasks.attributes.audit import Observations, Redrawn
from sightline.tasks.attributes.audit.observe import observe
from sightline.tasks.attributes.audit.scenes import redraw
from sightline.tasks.attributes.data import SPLITS, AttributeData
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.examples import from_files
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.worlds.aviary.rendered import is_world, read_world

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
        raise DataError(f"an audit takes one split, or 'all'; there is no {split!r}: {near(split, (*SPLITS, ALL))}")
    rows = np.arange(len(data)) if split == ALL else data.rows(split)
    notes = [*data.notes]
    if limit is not None and limit < len(rows):
        order = sorted(rows.tolist(), key=lambda row: sha256(name_of(data, row).encode()).digest())
        notes.append(f"{limit} of {len(rows)} pictures, chosen by a hash of their path")
        rows = np.array(sorted(order[:limit]))
    check_kind(net, data)
    words = net.spec.vocabulary
    at = [data.vocabulary.index(name) for name in words.names]
    if len(at) < len(data.vocabulary):
        notes.append(f"{len(data.vocabulary) - len(at)} attributes that the network was not taught are left out")
    if data.several:
        return _with_labels(net, data.take(rows.tolist()).only(at), notes)
    places = _classes(net.spec.classes, data)
    rows_of_classes = rows[np.isin(data.labels[rows], list(places))]
    if len(rows_of_classes) < len(rows):
        notes.append(
            f"{len(rows) - len(rows_of_classes)} pictures of classes without a training picture are left out"
        )
    chosen = data.take(rows_of_classes.tolist()).only(at)
    labels = np.array([places[int(label)] for label in chosen.labels], np.int64)
    return Audited(replace(chosen, labels=labels, classes=net.spec.classes, vocabulary=words), tuple(notes))


def check_kind(net: AttributeNet, data: AttributeData) -> None:
    """Refuse labels where the network has classes, and classes where it has labels.

    Raises:
        DataError: one has several labels per picture, the other has one class.
    """
    if isinstance(net, LabelledAttributeNet) and not data.several:
        raise DataError(
            "the network finds several labels per picture, and the data gives each one class; audit the data that it "
            "was trained on, with the same --label-columns"
        )
    if data.several and not isinstance(net, LabelledAttributeNet):
        raise DataError(
            "the data gives pictures several labels, and the network decides for one class; audit the data that it "
            "was trained on"
        )


def _with_labels(net: AttributeNet, data: AttributeData, notes: list[str]) -> Audited:
    """Pictures with several labels, which are counted as the network counts them.

    Raises:
        DataError: a label of the network is not in the data.
    """
    places = _places(data.classes, net.spec.classes)
    strange = [net.spec.classes[at] for at, place in places.items() if place is None]
    if strange:
        raise DataError(
            f"the data has no label {strange[0]!r}, which the network finds; {near(strange[0], data.classes)}. Audit "
            "the data that it was trained for, with the same --label-columns"
        )
    order = [place for place in places.values() if place is not None]
    if len(order) < len(data.classes):
        notes.append(f"{len(data.classes) - len(order)} labels that the network was not taught are left out")
    own = replace(data, labels=data.labels[:, order], classes=net.spec.classes, vocabulary=net.spec.vocabulary)
    return Audited(own, tuple(notes))


def name_of(data: AttributeData, row: int) -> str:
    """A picture's path below the root of its data."""
    path = data.files[row]
    return path.relative_to(data.root).as_posix() if data.root in path.parents else path.as_posix()


def watched(
    net: AttributeNet,
    audited: Audited,
    work: Path,
    step: Step = lambda done: None,
    *,
    levels: Levels = Levels(),
) -> Observations:
    """Run the network over the pictures.

    Args:
        net: the network.
        audited: its pictures.
        work: folder for decoded pictures.
        step: called with the number of pictures that are done.
        levels: which values of photos of more than 8 bits are black and white.
    """
    data = audited.data
    examples = from_files(data, range(len(data)), net.spec.size, work, levels=levels)
    names = tuple(name_of(data, row) for row in range(len(data)))
    trained = torch.from_numpy(data.split == SPLITS.index("train"))
    return observe(net, examples, names, trained=trained, step=step)


def drawn_again(
    net: AttributeNet, audited: Audited, observations: Observations, most: int, step: Step = lambda done: None
) -> Redrawn | None:
    """Scenes of a world drawn again; None for photos, and for networks that lack a word or a class of the world.

    Args:
        net: the network.
        audited: its pictures.
        observations: what the network answered of them.
        most: scenes, those that it was not trained on first.
        step: called for every scene that is done.

    Raises:
        DataError: the folder holds a damaged world.
    """
    data = audited.data
    if most < 1 or not is_world(data.root) or data.vocabulary.names != aviary_vocabulary().names:
        return None
    drawn = read_world(data.root)
    order = [place for place in _places(net.spec.classes, drawn.world.labels).values() if place is not None]
    if len(order) < len(drawn.world.labels):
        return None
    rows = sorted(range(len(data)), key=lambda row: (data.split[row] != SPLITS.index("test"), row))[:most]
    scenes = [drawn.world.scene(drawn.numbers[data.files[row]]) for row in rows]
    usual = observations.prototypes[order]
    return _counted(redraw(net, drawn.world, scenes, usual, size=drawn.size, changed=most, step=step), order)


def _counted(again: Redrawn, order: list[int]) -> Redrawn:
    """Species as the network counts its classes."""
    at = torch.tensor(order)
    return replace(again, labels=at[again.labels], donors=at[again.donors])


def _classes(ours: tuple[str, ...], data: AttributeData) -> dict[int, int]:
    """The network's class of each class of the data; those without a training picture may be strange to it.

    Raises:
        DataError: the network does not know one that has training pictures.
    """
    taught = set(data.labels[data.split == SPLITS.index("train")].tolist())
    places = {at: place for at, place in _places(ours, data.classes).items() if place is not None or at in taught}
    strange = [data.classes[at] for at, place in places.items() if place is None]
    if strange:
        raise DataError(
            f"the network has no class {strange[0]!r}; of the {len(taught)} classes that the data teaches it does "
            f"not know {len(strange)}; {near(strange[0], ours)}. Audit the data that it was trained for"
        )
    return {at: place for at, place in places.items() if place is not None}


def _places(ours: tuple[str, ...], theirs: tuple[str, ...]) -> dict[int, int | None]:
    """Where each of the data's classes stands among the network's; None where it does not."""
    plain = {folded_name(name): at for at, name in enumerate(ours)}
    return {at: plain.get(folded_name(name)) for at, name in enumerate(theirs)}
