"""What the values of a map lie over: an image grid, space-time, a spectrogram, words, regions or fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sightline.errors import ResultError

DomainKind = Literal["image", "space-time", "spectrogram", "words", "regions", "fields"]

AXES: dict[DomainKind, tuple[str, ...]] = {
    "image": ("h", "w"),
    "space-time": ("t", "h", "w"),
    "spectrogram": ("f", "t"),
    "words": ("n",),
    "regions": ("n",),
    "fields": ("n",),
}


@dataclass(frozen=True)
class Domain:
    """The domain of a map: its kind, which fixes the axes, and names for its elements where they have any.

    Args:
        kind: one of `AXES`.
        labels: for `words`, `regions` and `fields`, one name per element.

    Raises:
        ResultError: the kind is unknown.
    """

    kind: DomainKind = "image"
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in AXES:
            raise ResultError(f"there is no domain {self.kind!r}; known domains: {', '.join(AXES)}")

    @property
    def axes(self) -> tuple[str, ...]:
        """Axis letters, as STYLE fixes them: h w space, t time, f frequency, n element."""
        return AXES[self.kind]


IMAGE = Domain("image")
