"""How a captioner is built: `CaptionerSpec`, kept in its weights file, and the paper's presets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sightline.errors import ModelError, near
from sightline.tasks.captioning.network.attention import PLAIN, AttentionKind

PRESETS: Mapping[str, AttentionKind] = {
    "san": PLAIN,
    "n-san": AttentionKind("instance", ()),
    "g-san": AttentionKind("none", ("query",)),
    "ng-san": AttentionKind("instance", ("query",)),
}
"""The paper's four networks; 1, 2, 4 or 6 layers each."""
PUBLISHED_VOCABULARY = 9_490
"""Words, with the four special ones, that give the paper's parameter counts: 18.1, 25.5, 40.2 and 54.9 million."""
PAD, BEGIN, END, UNKNOWN = "<pad>", "<begin>", "<end>", "<unknown>"
SPECIAL = (PAD, BEGIN, END, UNKNOWN)
"""Words that every vocabulary begins with."""


@dataclass(frozen=True)
class CaptionerSpec:
    """How a captioner is built.

    Args:
        words: its vocabulary, beginning with `SPECIAL`.
        features: numbers for each region.
        width: channels.
        heads: attention heads.
        inner: channels inside the feed-forward networks.
        layers: encoder layers, and as many decoder layers.
        attention: the attention of the encoder.
        absolute: whether the box itself is added to a region's features, as shares of the picture.
        longest: most words of a caption.
        dropout: in training.
        regions: where regions come from: `scenes` (generated), `features` (files), or `grid:MODEL`.
    """

    words: tuple[str, ...]
    features: int = 2048
    width: int = 512
    heads: int = 8
    inner: int = 2048
    layers: int = 4
    attention: AttentionKind = AttentionKind()
    absolute: bool = False
    longest: int = 20
    dropout: float = 0.1
    regions: str = "features"

    def to_json(self) -> str:
        """As it stands in a weights file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CaptionerSpec:
        """What `to_json` made.

        Raises:
            ValueError: an entry is missing.
        """
        facts: dict[str, Any] = json.loads(text)
        own = set(cls.__dataclass_fields__)
        if missing := own - facts.keys():
            raise ValueError(f"{', '.join(sorted(missing))} missing")
        kind = facts["attention"]
        if missing := set(AttentionKind.__dataclass_fields__) - kind.keys():
            raise ValueError(f"{', '.join(sorted(missing))} of the attention missing")
        facts["attention"] = AttentionKind(**{**kind, "geometry": tuple(kind["geometry"])})
        return cls(**{name: facts[name] for name in own - {"words"}}, words=tuple(facts["words"]))


def preset(name: str) -> AttentionKind:
    """The attention of one of the paper's networks.

    Raises:
        ModelError: there is none of this name.

    Example:
        >>> preset("NG-SAN").geometry
        ('query',)
    """
    if name.lower() not in PRESETS:
        raise ModelError(f"there is no captioner {name!r}; {near(name, PRESETS)}")
    return PRESETS[name.lower()]


def published(name: str, layers: int) -> CaptionerSpec:
    """The paper's network, with as many words as it must have had."""
    words = (*SPECIAL, *(f"word {i}" for i in range(PUBLISHED_VOCABULARY - len(SPECIAL))))
    return CaptionerSpec(words, layers=layers, attention=preset(name))
