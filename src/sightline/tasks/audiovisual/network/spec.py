"""`EventSpec`: what is needed to build a network of events, and how a clip becomes its input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from sightline.common.reading import parse_json
from sightline.common.records import restored
from sightline.data.logmel import MelConfig
from sightline.errors import InputError, near

FORMS = ("joint", "factorised", "avel")
QUERIES = ("shared", "class")
FIELDS = ("patch", "wide")
MIXINGS = ("none", "pre", "post")


@dataclass(frozen=True)
class EventSpec:
    """What is needed to build an `EventNet`.

    Args:
        classes: names of the events.
        form: `joint` or `factorised` attention; or `avel`, the ancestor as a baseline.
        queries: `shared` by all classes, or of each `class`.
        field: receptive field of the picture's tokens: `patch` or `wide`.
        width: channels of tokens.
        multi: whether several events may be true at once.
        nothing: whether the last output means that no event is both seen and audible.
        reach: largest offset in segments that has a bias of its own; 0 for no bias.
        size: short side of the frames in pixels.
        seconds: length of a segment of sound, and time from a frame to the next.
        picture_features: numbers of a picture's frozen feature; 0 where frames are taken.
        sound_features: numbers of a segment's frozen feature; 0 where sound is taken.
        drawn: whether it learned from drawn scenes only.
        encoder: name of the model that makes the picture's features; empty where that is not known, or for none.
        layer: the model's layer that is read.
        pixels: height and width of the model's input.
        patch: sides of a patch of the frames in pixels, an even number; 4 where the field is `wide`.
        mixing: `none`, or self-attention within each modality, normalised before (`pre`) or behind it (`post`).
    """

    classes: tuple[str, ...]
    form: str = "joint"
    queries: str = "shared"
    field: str = "patch"
    width: int = 32
    multi: bool = False
    nothing: bool = True
    reach: int = 0
    size: int = 24
    seconds: float = 0.2
    picture_features: int = 0
    sound_features: int = 0
    drawn: bool = True
    mixing: str = "none"
    encoder: str = ""
    layer: str = ""
    pixels: tuple[int, int] = (0, 0)
    patch: int = 4

    def __post_init__(self) -> None:
        words = (self.form, FORMS), (self.queries, QUERIES), (self.field, FIELDS), (self.mixing, MIXINGS)
        for value, known in words:
            if value not in known:
                raise InputError(f"a network of events has no {value!r}; {near(value, known)}")
        sides = (self.width, self.size, len(self.classes), self.reach + 1)
        if min(sides) < 1 or max(sides) > 4096 or not 0 < self.seconds < 60:
            raise InputError("a network of events needs classes, a width and a size above zero, and short segments")
        if self.patch < 2 or self.patch % 2 or (self.field == "wide" and self.patch != 4):
            raise InputError(
                f"a network of events has no patches of {self.patch} px; give an even number of pixels, and 4 for "
                "the field wide"
            )

    @property
    def config(self) -> MelConfig:
        """Parameters of the spectrogram."""
        return MelConfig()

    @property
    def outputs(self) -> int:
        """Outputs: the classes, and the one for no event where there is one."""
        return len(self.classes) + (self.nothing and not self.multi)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each output."""
        return (*self.classes, "no event")[: self.outputs]

    @classmethod
    def from_json(cls, text: str) -> EventSpec:
        """Read what `to_json` wrote; ValueError or InputError where it is damaged."""
        return restored(cls, parse_json(text))

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))
