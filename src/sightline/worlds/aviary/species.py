"""Species: classes as combinations of attribute values, with known near-twins.

Knows nothing of scenes or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from sightline.errors import DataError
from sightline.worlds.aviary.attributes import GROUPS, group_index, value_index
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.scene import FAMILIES

_FIRST = (
    "Amber", "Harbour", "Willow", "Cinder", "Juniper", "Lantern", "Meadow", "Copper", "Thistle", "Velvet", "Marble",
    "Saffron", "Dusk", "River", "Bramble", "Cobalt", "Hazel", "Orchard", "Ember", "Heather", "Quarry", "Clover",
    "Tundra", "Garnet", "Lagoon", "Rowan", "Slate", "Sorrel", "Fern", "Opal",
)  # fmt: skip
_KINDS = {
    "cone": ("Finch", "Bunting", "Sparrow"),
    "dagger": ("Thrush", "Jay", "Starling"),
    "hooked": ("Shrike", "Falcon", "Vireo"),
    "needle": ("Sunbird", "Creeper", "Honeyeater"),
}
_TWIN_GROUPS = (
    "has_crown_color", "has_throat_color", "has_breast_color", "has_wing_color", "has_wing_pattern",
    "has_head_pattern", "has_upper_tail_color",
)  # fmt: skip
_TRIES = 3000


@dataclass(frozen=True)
class Species:
    """A class.

    Args:
        name: its English name.
        code: the value of every group that makes a species, None where the group is free.
        home: its own background family.
        twin: the species that differs in one group only, if there is one.
    """

    name: str
    code: tuple[int | None, ...]
    home: str
    twin: int | None = None

    def distance(self, other: Species) -> int:
        """Number of groups in which two species differ."""
        return sum(a != b for a, b in zip(self.code, other.code, strict=True))


def make_species(config: WorldConfig) -> tuple[Species, ...]:
    """All species of a world.

    In a `foreground` world two species that are not twins differ in at least three groups.

    Raises:
        DataError: the configuration leaves too little room for that many species.
    """
    rng = np.random.default_rng([config.seed, 101])
    twins = min(config.twins, config.count // 2) if config.cue == "foreground" else 0
    codes = _codes(rng, config, config.count - twins)
    partner: dict[int, int] = {}
    for first in range(twins):
        codes.append(_twin(rng, codes, first))
        partner |= {first: len(codes) - 1, len(codes) - 1: first}
    names = _names(rng, codes, partner)
    homes = rng.permutation(len(FAMILIES))
    return tuple(
        Species(names[i], code, FAMILIES[homes[i % len(FAMILIES)]], partner.get(i)) for i, code in enumerate(codes)
    )


Code = tuple[int | None, ...]


def _codes(rng: Generator, config: WorldConfig, count: int) -> list[Code]:
    """`count` codes that keep their distance."""
    if config.cue == "background":
        return [(None,) * len(GROUPS)] * count
    apart = 1 if config.cue_part else 3
    codes: list[Code] = []
    tries = 0
    while len(codes) < count and tries < _TRIES:
        code = _draw(rng, config)
        tries += 1
        if all(_distance(code, other) >= apart for other in codes):
            codes.append(code)
            tries = 0
    if len(codes) == count:
        return codes
    raise DataError(
        f"only {len(codes)} of {count} species could be kept {apart} groups apart; "
        "ask for fewer, or lower the entanglement"
    )


def _draw(rng: Generator, config: WorldConfig) -> Code:
    """One random code; entangled colours copy the breast's."""
    draws = [int(rng.integers(len(group.values))) for group in GROUPS]
    copies = rng.random(len(GROUPS)) < config.entanglement
    breast = group_index("has_breast_color")
    if breast in config.diagnostic:
        draws = [draws[breast] if GROUPS[g].coloured and copies[g] else v for g, v in enumerate(draws)]
    return tuple(v if g in config.diagnostic else None for g, v in enumerate(draws))


def _distance(one: Code, other: Code) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _twin(rng: Generator, codes: list[Code], first: int) -> Code:
    """The code of species `first` with one group changed, at least two groups from every other species."""
    original = codes[first]
    for _ in range(_TRIES):
        group = group_index(_TWIN_GROUPS[int(rng.integers(len(_TWIN_GROUPS)))])
        value = int(rng.integers(len(GROUPS[group].values)))
        twin = tuple(value if g == group else v for g, v in enumerate(original))
        others = [code for i, code in enumerate(codes) if i != first]
        if twin != original and all(_distance(twin, other) >= 2 for other in others):
            return twin
    raise DataError("no free combination for another pair of twins; lower `twins` or `species`")


def _names(rng: Generator, codes: list[Code], partner: dict[int, int]) -> list[str]:
    """Names: a first word, a kind that fits the bill, and Northern or Southern for twins."""
    bill = group_index("has_bill_shape")
    order = rng.permutation(len(_FIRST))
    shapes = GROUPS[bill].values
    names: list[str] = []
    for i, code in enumerate(codes):
        if i in partner and partner[i] < i:
            names.append(names[partner[i]].replace("Northern", "Southern"))
            continue
        shape = code[bill]
        kinds = ("Warbler", "Pipit", "Wren") if shape is None else _KINDS[shapes[shape]]
        turn = "" if i < len(_FIRST) else f" {i // len(_FIRST) + 1}"
        name = f"{_FIRST[order[i % len(_FIRST)]]} {kinds[int(rng.integers(len(kinds)))]}{turn}"
        names.append(f"Northern {name}" if i in partner else name)
    return names


def code_of(**values: str) -> Code:
    """A code from group names and values, for tests and examples.

    Example:
        >>> code_of(crown_color="red").count(None)
        15
    """
    answers = {group_index(name): value_index(group_index(name), value) for name, value in values.items()}
    return tuple(answers.get(g) for g in range(len(GROUPS)))
