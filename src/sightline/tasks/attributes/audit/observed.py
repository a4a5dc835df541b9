"""What the detectors look at: everything that is known of many pictures and of what a network said of them.

Tensors only: it knows neither files nor how they were filled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Vocabulary
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.heads import Join
from sightline.tasks.attributes.network.skill import Skill

SURE = 0.5


class Question(NamedTuple):
    """What has one answer: an exclusive group, or one attribute that is there or not."""

    name: str
    members: tuple[int, ...]
    exclusive: bool


@dataclass(frozen=True, eq=False)
class Observations:
    """Pictures, their labels, and what the network answered.

    Args:
        vocabulary: the attributes.
        classes: names of the classes.
        join: how attributes meet the class in the network.
        class_logits: s.
        probabilities: a, not calibrated.
        targets: how much of each attribute the labels say, 0..1.
        weights: how sure the labels are; 0 unknown, up to a half guessed.
        labels: class of each picture; below 0 for none, as for all where a picture may have several labels.
        names: names of the pictures.
        head: weights from attributes to classes; None where the join has none.
        contributions: of each attribute to the margin between the predicted class and the runner-up; None where
            not computed.
        features: what linear heads may be fitted on; None without.
        trained: whether the network was trained on the picture.
        energy: share of the class map that lies on the object; NaN where it is not marked. None without masks.
        prior: the same share of a centred Gaussian as wide as the map.
        mean_map: the same share of the mean map of all other pictures, which is centred as the pictures are.
        area: share of the picture that the object covers.
        maps: class maps of the decisions; None where not computed.
        skill: what was measured of each attribute when the network was trained; None where nothing was.
        calibration: calibration of the network; None where it has none.
        part_attention: for each group, the share of each part in the cell where the group's map peaks; NaN where
            unknown.
        part_names: the parts in `part_attention`.
        part_areas: share of each part in the object.
        label_table: where a picture may have several labels, 1 or 0 for each, NaN for unknown; None otherwise.
        flags: 1 for each label that reaches its threshold; None where a picture has one class.
        implied: what these flags alone imply of the attributes; None where a picture has one class.
    """

    vocabulary: Vocabulary
    classes: tuple[str, ...]
    join: Join
    class_logits: Float[Tensor, "n y"]
    probabilities: Float[Tensor, "n k"]
    targets: Float[Tensor, "n k"]
    weights: Float[Tensor, "n k"]
    labels: Int[Tensor, " n"]
    names: tuple[str, ...]
    head: Float[Tensor, "y k"] | None = None
    contributions: Float[Tensor, "n k"] | None = None
    features: Float[Tensor, "n c"] | None = None
    trained: Bool[Tensor, " n"] | None = None
    energy: Float[Tensor, " n"] | None = None
    prior: Float[Tensor, " n"] | None = None
    mean_map: Float[Tensor, " n"] | None = None
    area: Float[Tensor, " n"] | None = None
    maps: Float[Tensor, "n h w"] | None = None
    skill: Skill | None = None
    calibration: Calibration | None = None
    part_attention: Float[Tensor, "n g p"] | None = None
    part_names: tuple[str, ...] = ()
    part_areas: Float[Tensor, "n p"] | None = None
    label_table: Float[Tensor, "n y"] | None = None
    flags: Float[Tensor, "n y"] | None = None
    implied: Float[Tensor, "n k"] | None = None

    def __post_init__(self) -> None:
        """Check shapes before any work."""
        count, attributes = len(self.labels), len(self.vocabulary)
        tables = {name: getattr(self, name) for name in ("probabilities", "targets", "weights", "contributions")}
        for name, table in tables.items():
            if table is not None and tuple(table.shape) != (count, attributes):
                raise InputError(
                    f"an audit takes {name} of {count} pictures and {attributes} attributes; "
                    f"got shape {tuple(table.shape)}"
                )
        if len(self.names) != count or tuple(self.class_logits.shape) != (count, len(self.classes)):
            raise InputError(
                f"an audit takes names and class logits of {count} pictures and {len(self.classes)} classes; "
                f"got {len(self.names)} names and logits of shape {tuple(self.class_logits.shape)}"
            )

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.labels)

    @cached_property
    def decided(self) -> Int[Tensor, " n"]:
        """The predicted classes."""
        return self.class_logits.argmax(1)

    def labelled_as(self, row: int) -> str:
        """What a picture is labelled with, in words."""
        if self.label_table is None:
            return self.classes[int(self.labels[row])] if int(self.labels[row]) >= 0 else "none"
        return named(self.classes, self.label_table[row])

    @cached_property
    def prototypes(self) -> Float[Tensor, "y k"]:
        """T: per class the weighted share of its pictures that have an attribute; NaN where unknown."""
        with_class = self.labels >= 0
        hot = torch.nn.functional.one_hot(self.labels.clamp(min=0), len(self.classes)).float() * with_class[:, None]
        present, labelled = hot.T @ (self.targets * self.weights), hot.T @ self.weights
        return torch.where(labelled > 0, present / labelled.clamp(min=1e-9), torch.nan)

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """Questions with exactly one answer."""
        return questions(self.vocabulary)

    def labelled(self, members: tuple[int, ...]) -> Bool[Tensor, " n"]:
        """Which pictures' labels answer a group."""
        return (self.weights[:, list(members)] > 0).any(1)

    def answers(self, members: tuple[int, ...]) -> Int[Tensor, " n"]:
        """Position in the group of the label's answer; -1 where it is unknown or no value is there."""
        at = list(members)
        present = self.labelled(members) & (self.targets[:, at].amax(1) >= SURE)
        return torch.where(present, self.targets[:, at].argmax(1), -1)

    def predictions(self, members: tuple[int, ...]) -> Int[Tensor, " n"]:
        """Position in the group of the network's likeliest answer."""
        return self.probabilities[:, list(members)].argmax(1)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """Scenes drawn again with one thing changed, and what the network then answered.

    Args:
        labels: true classes of the scenes.
        decided: the decisions for the scenes as they are, drawn by the same hand.
        swapped: the decisions with the background of another class's scene.
        donors: the classes of those scenes.
        repeated: the decisions with the same kind of background, its details drawn anew.
        moves: how far the answer to each group (last axis) moves when a group (axis before) takes another value:
            half the sum of absolute differences of probabilities; NaN where the part is hidden.
        usual: share of the class's pictures that have the value which the scene had before, by group.
        follows: whether the network then reads the new value; NaN where it did not read the old one before.
        stays: whether it still reads the old value.
    """

    labels: Int[Tensor, " m"]
    decided: Int[Tensor, " m"]
    swapped: Int[Tensor, "m s"]
    donors: Int[Tensor, "m s"]
    repeated: Int[Tensor, "m s"]
    moves: Float[Tensor, "m g h"]
    usual: Float[Tensor, "m g"]
    follows: Float[Tensor, "m g"]
    stays: Float[Tensor, "m g"]


def named(classes: tuple[str, ...], present: Float[Tensor, " y"]) -> str:
    """Labels that are 1, in words.

    Example:
        >>> named(("rust", "crack"), torch.tensor([1.0, torch.nan]))
        'rust'
    """
    own = (name for name, value in zip(classes, present.tolist(), strict=True) if value == 1)
    return ", ".join(own) or "no label"


def questions(words: Vocabulary) -> tuple[Question, ...]:
    """Exclusive groups as they are, attributes of other groups one by one."""
    result = []
    for group in words.groups:
        if group.exclusive:
            result.append(Question(group.name, group.members, exclusive=True))
        else:
            result += [Question(words.names[at], (at,), exclusive=False) for at in group.members]
    return tuple(result)
