"""`Scheme`: which blocks of a network carry a gate, one bit for each block, stage by stage.

Bits and the integers of the EAN authors say the same: a stage's integer is its bits read as a binary number whose
most significant bit is the first block. This file knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sightline.errors import GateError

Lengths = Sequence[int]


@dataclass(frozen=True)
class Scheme:
    """Bits per stage, 1 where a gate is plugged [huang2021ean].

    Args:
        bits: for every stage, in forward order, one truth value for each of its blocks.

    Example:
        >>> ean = Scheme.from_ints((6, 3, 50, 3), (3, 4, 6, 3))
        >>> str(ean), ean.density
        ('110|0011|110010|011', 0.5625)
        >>> Scheme.parse("110|0011|110010|011", (3, 4, 6, 3)).ints
        (6, 3, 50, 3)
    """

    bits: tuple[tuple[bool, ...], ...]

    def __post_init__(self) -> None:
        """Bits are truth values, whatever was handed in; so equal schemes are equal and have one hash."""
        object.__setattr__(self, "bits", tuple(tuple(map(_bit, stage)) for stage in self.bits))

    @classmethod
    def dense(cls, lengths: Lengths) -> Scheme:
        """A gate at every block of stages with so many blocks."""
        return cls(tuple((True,) * length for length in lengths))

    @classmethod
    def empty(cls, lengths: Lengths) -> Scheme:
        """No gate anywhere: the plain network."""
        return cls(tuple((False,) * length for length in lengths))

    @classmethod
    def every(cls, k: int, lengths: Lengths) -> Scheme:
        """A gate at the first block of each stage and at every k-th one behind it.

        Raises:
            GateError: k is not a whole number of at least 1.
        """
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise GateError(f"every k-th block needs a whole number k of at least 1, not {k!r}; 1 is every block")
        return cls(tuple(tuple(block % k == 0 for block in range(length)) for length in lengths))

    @classmethod
    def random(cls, lengths: Lengths, generator: torch.Generator, share: float = 0.5) -> Scheme:
        """Independent bits, each 1 with probability `share`."""
        drawn = [(torch.rand(length, generator=generator) < share).tolist() for length in lengths]
        return cls(tuple(tuple(stage) for stage in drawn))

    @classmethod
    def from_ints(cls, ints: Sequence[int], lengths: Lengths) -> Scheme:
        """The authors' integers; the most significant bit is the first block.

        Raises:
            GateError: not one integer for each stage, or one that needs more bits than its stage has blocks.
        """
        _check_stages(ints, lengths)
        for stage, (value, length) in enumerate(zip(ints, lengths, strict=True), 1):
            if not 0 <= value < 2**length:
                raise GateError(
                    f"stage {stage} has {length} blocks, so its number is 0 to {2**length - 1}, but is {value}; "
                    "0 plugs no block, the largest number all"
                )
        return cls(
            tuple(
                tuple(bool(value >> place & 1) for place in reversed(range(length)))
                for value, length in zip(ints, lengths, strict=True)
            )
        )

    @classmethod
    def parse(cls, text: str, lengths: Lengths) -> Scheme:
        """Read `dense`, `empty`, `every-2`, bits `110|0011|110010|011` or integers `6,3,50,3`.

        Raises:
            GateError: it is none of these, or does not fit the stages.
        """
        notation = text.strip().lower()
        if notation in ("dense", "empty"):
            return cls.dense(lengths) if notation == "dense" else cls.empty(lengths)
        if notation.startswith("every-") and notation[6:].isdigit():
            return cls.every(int(notation[6:]), lengths)
        parts = notation.strip("()").replace(" ", "").split("," if "," in notation else "|")
        bits = "," not in notation and set("".join(parts)) <= {"0", "1"}
        if not all(part.isdigit() for part in parts) or not (bits or "," in notation or len(lengths) == 1):
            raise GateError(
                f"the scheme {text!r} is not understood; write dense, empty, every-2, "
                f"bits such as {cls.every(2, lengths)}, or integers such as "
                f"{','.join(map(str, cls.every(2, lengths).ints))}"
            )
        if not bits:
            return cls.from_ints([int(part) for part in parts], lengths)
        return cls(tuple(tuple(sign == "1" for sign in part) for part in parts)).check(lengths)

    @property
    def ints(self) -> tuple[int, ...]:
        """One integer per stage, the authors' way to write a scheme."""
        return tuple(sum(bit << place for place, bit in enumerate(reversed(stage))) for stage in self.bits)

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many blocks each stage has."""
        return tuple(map(len, self.bits))

    @property
    def density(self) -> float:
        """Share of the blocks that carry a gate."""
        flat = [bit for stage in self.bits for bit in stage]
        return sum(flat) / len(flat) if flat else 0.0

    def flat(self) -> tuple[bool, ...]:
        """All bits in forward order."""
        return tuple(bit for stage in self.bits for bit in stage)

    def check(self, lengths: Lengths) -> Scheme:
        """This scheme, if it fits stages with so many blocks.

        Raises:
            GateError: it has another number of stages, or of bits in one of them.
        """
        _check_stages(self.bits, lengths)
        for stage, (bits, length) in enumerate(zip(self.bits, lengths, strict=True), 1):
            if len(bits) != length:
                raise GateError(
                    f"stage {stage} has {length} blocks, but the scheme has {len(bits)} bits for it; "
                    f"this network takes a scheme such as {Scheme.every(2, lengths)}"
                )
        return self

    def __str__(self) -> str:
        return "|".join("".join(str(int(bit)) for bit in stage) for stage in self.bits)


def scheme_of(scheme: Scheme | str | Sequence[int] | None, lengths: Lengths) -> Scheme:
    """A scheme from whatever stands for one: none is dense, a text is parsed, numbers are the authors' integers.

    Raises:
        GateError: it does not fit the stages.
    """
    if scheme is None:
        return Scheme.dense(lengths)
    if isinstance(scheme, Scheme):
        return scheme.check(lengths)
    if isinstance(scheme, str):
        return Scheme.parse(scheme, lengths)
    return Scheme.from_ints(scheme, lengths)


def _check_stages(parts: Sequence[object], lengths: Lengths) -> None:
    if len(parts) != len(lengths):
        raise GateError(
            f"the scheme has {len(parts)} stages, the network {len(lengths)}, with {tuple(lengths)} blocks; "
            f"write one part for each, for example {Scheme.every(2, lengths)}"
        )


def _bit(value: object) -> bool:
    if value not in (0, 1):
        raise GateError(f"the bits of a scheme are 0 and 1, not {value!r}")
    return bool(value)
