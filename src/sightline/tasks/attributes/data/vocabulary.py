"""The words that a network can be taught: attributes, the groups they form, and what each of them is about.

Knows nothing of files, images or networks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Literal

from sightline.common.reading import parse_json
from sightline.common.records import restored
from sightline.errors import DataError, near

Scope = Literal["part", "object", "context", "abstract"]
"""What an attribute is seen on: a part of the object, all of it, its surroundings, or nothing that can be seen."""

Kind = Literal["binary", "ordinal", "continuous"]


@dataclass(frozen=True)
class Attribute:
    """One word.

    Args:
        name: name as the data set's files have it, such as `has_bill_shape::dagger`.
        group: the question that it answers, such as `has_bill_shape`; its own name where it stands alone.
        value: the answer, such as `dagger`.
        part: the part on which it is seen, such as `bill`; empty where it is of no part.
        scope: what it is about; only `part` and `object` are looked for inside the object.
        kind: `binary`, or a number scaled to 0..1: `ordinal` (a rank) or `continuous`.
        order: the values of a rank, lowest first; empty where they are not known.
    """

    name: str
    group: str
    value: str
    part: str = ""
    scope: Scope = "object"
    kind: Kind = "binary"
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Attributes that answer one question.

    Args:
        name: name of the question.
        members: positions of its attributes in the vocabulary.
        part: the part on which the answer is seen, empty for none.
        scope: scope of its attributes.
        exclusive: whether exactly one answer is right: a soft-max; otherwise each attribute is a sigmoid.
    """

    name: str
    members: tuple[int, ...]
    part: str
    scope: Scope
    exclusive: bool


@dataclass(frozen=True)
class Vocabulary:
    """All attributes of a data set, in the order of its files.

    Args:
        attributes: the words; those of a group need not lie together.
        exclusive: names of the groups in which exactly one value is right.

    Raises:
        DataError: two attributes share a name, or an exclusive group does not exist or has a single value.

    Example:
        >>> red, blue = (Attribute(f"bill::{value}", "bill", value) for value in ("red", "blue"))
        >>> words = Vocabulary((red, blue), ("bill",))
        >>> words.groups[0].members, words.index("bill::blue")
        ((0, 1), 1)
    """

    attributes: tuple[Attribute, ...]
    exclusive: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check names before any work."""
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise DataError(f"the attribute {twice!r} is named twice; every attribute needs a name of its own")
        sizes = {group.name: len(group.members) for group in self.groups}
        for name in self.exclusive:
            if sizes.get(name, 0) < 2:
                problem = f"has {sizes[name]} value" if name in sizes else f"is not there; {near(name, sizes)}"
                raise DataError(
                    f"the exclusive attribute group {name!r} {problem}; a choice needs two values or more"
                )

    def __len__(self) -> int:
        """Number of attributes."""
        return len(self.attributes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all attributes."""
        return tuple(attribute.name for attribute in self.attributes)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The questions, in the order in which they first appear."""
        members: dict[str, list[int]] = {}
        for at, attribute in enumerate(self.attributes):
            members.setdefault(attribute.group, []).append(at)
        firsts = {name: self.attributes[at[0]] for name, at in members.items()}
        return tuple(
            Group(name, tuple(at), firsts[name].part, firsts[name].scope, name in self.exclusive)
            for name, at in members.items()
        )

    @cached_property
    def group_of(self) -> tuple[int, ...]:
        """For every attribute the position of its group."""
        where = {at: g for g, group in enumerate(self.groups) for at in group.members}
        return tuple(where[at] for at in range(len(self)))

    def index(self, name: str) -> int:
        """Position of an attribute.

        Raises:
            DataError: there is no such attribute; near names are listed.
        """
        if name not in self.names:
            raise DataError(f"there is no attribute {name!r} among {len(self)}; {near(name, self.names)}")
        return self.names.index(name)

    def match(self, patterns: Iterable[str]) -> tuple[int, ...]:
        """Positions of attributes, in their order, by their names, names of their groups, or wildcards for either.

        Raises:
            DataError: one of them fits nothing; near names are listed.

        Example:
            >>> words = Vocabulary(tuple(Attribute(f"bill::{v}", "bill", v) for v in ("red", "blue")))
            >>> words.match(["bill"]), words.match(["*::blue"])
            ((0, 1), (1,))
        """
        matches: set[int] = set()
        for pattern in patterns:
            hits = {at for at, word in enumerate(self.attributes) if _fits(word, pattern)}
            if not hits:
                choices = (*self.names, *(group.name for group in self.groups))
                raise DataError(f"no attribute or group is called {pattern!r}; {near(pattern, choices)}")
            matches |= hits
        return tuple(sorted(matches))

    def only(self, positions: Iterable[int]) -> Vocabulary:
        """The vocabulary of some attributes; a choice that lost a value becomes plain words."""
        chosen = tuple(self.attributes[at] for at in positions)
        counts = Counter(attribute.group for attribute in chosen)
        whole = {group.name for group in self.groups if counts[group.name] == len(group.members)}
        return Vocabulary(chosen, tuple(name for name in self.exclusive if name in whole))

    def to_json(self) -> str:
        """One line of JSON."""
        content = asdict(self)
        for word in content["attributes"]:
            if not word["order"]:
                del word["order"]  # as it was written before there were orders, so that its hash stays
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read what `to_json` wrote."""
        return restored(cls, parse_json(text))


def _fits(word: Attribute, pattern: str) -> bool:
    """Whether a pattern is the name of a word or of its group, or a wildcard for one."""
    return any(pattern == name or fnmatchcase(name, pattern) for name in (word.name, word.group))
