"""What the values of a map lie over: a picture, signal, volume, clip or spectrogram, words, regions or fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sightline.errors import ResultError

DomainKind = Literal["image", "signal", "volume", "space-time", "spectrogram", "words", "regions", "fields"]

AXES: dict[DomainKind, tuple[str, ...]] = {
    "image": ("h", "w"),
    "signal": ("t",),
    "volume": ("z", "h", "w"),
    "space-time": ("t", "h", "w"),
    "spectrogram": ("f", "t"),
    "words": ("n",),
    "regions": ("n",),
    "fields": ("n",),
}

PLACES: dict[tuple[str, ...], DomainKind] = {
    ("y", "x"): "image",
    ("t",): "signal",
    ("z", "y", "x"): "volume",
    ("t", "y", "x"): "space-time",
}
"""The domain of a map by the place axes of the model's input, as a layer's layout names them."""


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
        """Axis letters, as STYLE fixes them: h w space, z depth, t time, f frequency, n element."""
        return AXES[self.kind]

    @property
    def over_places(self) -> bool:
        """Whether its elements are places of an input with channels, of which a coarser grid means something."""
        return self.kind in PLACES.values()

    @property
    def places(self) -> tuple[str, ...]:
        """Letters of its axes as an input's layout names them; none where it does not lie over places."""
        return next((axes for axes, kind in PLACES.items() if kind == self.kind), ())

    @staticmethod
    def over(places: Sequence[str]) -> Domain:
        """The domain over an input whose place axes are these.

        Args:
            places: letters of the axes, in the input's order: `t y x` of a clip.

        Raises:
            ResultError: no domain has these axes.

        Example:
            >>> Domain.over(("t", "y", "x")).kind
            'space-time'
        """
        kind = PLACES.get(tuple(places))
        if kind is None:
            names = "; ".join(f"{' '.join(axes)} ({name})" for axes, name in PLACES.items())
            raise ResultError(f"no map lies over the axes {' '.join(places)!r}; known are {names}")
        return Domain(kind)


IMAGE = Domain("image")
