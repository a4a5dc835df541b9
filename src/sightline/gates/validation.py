"""What the gates' arguments must be, and how a wrong one is refused."""

from __future__ import annotations

from collections.abc import Iterable

from sightline.errors import GateError, near


def check_reduction(name: str, channels: int, reduction: int) -> int:
    """Channels behind a reduction: `channels // reduction`.

    Raises:
        GateError: the reduction is no whole number, or leaves no channel.
    """
    if isinstance(reduction, bool) or not isinstance(reduction, int) or reduction < 1:
        raise GateError(f"the reduction of {name} is a whole number of at least 1, not {reduction!r}")
    if reduction > channels:
        raise GateError(
            f"the reduction {reduction} of {name} is larger than the {channels} channels that it gates, so nothing "
            f"would be left; take at most {channels}"
        )
    return channels // reduction


def choice(option: str, word: str, words: Iterable[str]) -> str:
    """A word of a few.

    Raises:
        GateError: it is none of them; near names are listed.
    """
    names = list(words)
    if word not in names:
        raise GateError(f"{option} cannot be {word!r}; {near(str(word), names)}")
    return word
