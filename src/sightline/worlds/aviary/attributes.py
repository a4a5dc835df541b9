"""The words of the aviary: groups of attributes, the part each is seen on, and their CUB-style names.

Knows nothing of species, scenes or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sightline.errors import DataError, near

COLOURS = ("red", "yellow", "blue", "green", "brown", "black", "white")

PARTS = ("tail", "leg", "belly", "breast", "back", "wing", "throat", "crown", "bill", "eye")
"""Parts in drawing order; the id of a part in a part mask is its position here plus one."""


@dataclass(frozen=True)
class Group:
    """One mutually exclusive question about a bird.

    Args:
        name: CUB-style name without value, such as `has_bill_shape`.
        part: the part on which the answer is seen; `body` when all of the bird shows it.
        values: the possible answers.
    """

    name: str
    part: str
    values: tuple[str, ...]

    @property
    def coloured(self) -> bool:
        """Whether the values are the seven plumage colours."""
        return self.values == COLOURS


GROUPS = (
    Group("has_bill_shape", "bill", ("cone", "dagger", "hooked", "needle")),
    Group("has_bill_color", "bill", ("black", "orange", "yellow", "grey")),
    Group("has_head_pattern", "crown", ("plain", "crested", "eyebrow", "masked")),
    Group("has_crown_color", "crown", COLOURS),
    Group("has_eye_color", "eye", ("black", "red", "yellow", "white")),
    Group("has_throat_color", "throat", COLOURS),
    Group("has_breast_color", "breast", COLOURS),
    Group("has_breast_pattern", "breast", ("solid", "spotted", "striped")),
    Group("has_belly_color", "belly", COLOURS),
    Group("has_back_color", "back", COLOURS),
    Group("has_wing_color", "wing", COLOURS),
    Group("has_wing_pattern", "wing", ("solid", "spotted", "striped")),
    Group("has_upper_tail_color", "tail", COLOURS),
    Group("has_tail_shape", "tail", ("forked", "rounded", "pointed")),
    Group("has_leg_color", "leg", ("black", "orange", "grey")),
    Group("has_size", "body", ("small", "medium", "large")),
)


@cache
def group_index(name: str) -> int:
    """Position of a group; `crown_color` and `has_crown_color` both name it.

    Raises:
        DataError: no such group.
    """
    names = tuple(group.name for group in GROUPS)
    full = name if name.startswith("has_") else f"has_{name}"
    if full not in names:
        raise DataError(f"there is no attribute group {name!r}; {near(full, names)}")
    return names.index(full)


@cache
def value_index(group: int, value: str) -> int:
    """Position of a value in its group.

    Raises:
        DataError: the group has no such value.
    """
    values = GROUPS[group].values
    if value not in values:
        raise DataError(f"{GROUPS[group].name} has no value {value!r}; {near(value, values)}")
    return values.index(value)


@cache
def part_id(name: str) -> int:
    """Id of a part in a part mask, from 1; 0 is all that is not bird.

    Raises:
        DataError: no such part.
    """
    if name not in PARTS:
        raise DataError(f"there is no part {name!r}; {near(name, PARTS)}")
    return PARTS.index(name) + 1


@cache
def groups_of(part: str) -> tuple[int, ...]:
    """Positions of the groups that are seen on a part."""
    part_id(part)
    return tuple(i for i, group in enumerate(GROUPS) if group.part == part)


@cache
def names() -> tuple[str, ...]:
    """All binary attributes, `has_group::value`, in file order."""
    return tuple(f"{group.name}::{value}" for group in GROUPS for value in group.values)


@cache
def offsets() -> tuple[int, ...]:
    """Where each group starts in `names()`, and the total at the end.

    Example:
        >>> offsets()[:3]
        (0, 4, 8)
    """
    starts = [0]
    for group in GROUPS:
        starts.append(starts[-1] + len(group.values))
    return tuple(starts)
