"""`KeptReading`: how the data of a training was read into splits, as the network's file keeps it for an audit.

It knows options, words and names of pictures; neither networks nor the format of their files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sightline.common.files import digest
from sightline.common.reading import parse_json
from sightline.common.records import as_kind, restored
from sightline.common.settings import flat, setting
from sightline.tasks.attributes.data.lexicon import Lexicon, words_to_mine
from sightline.tasks.attributes.data.table import SPLITS, AttributeData
from sightline.tasks.attributes.recipe import EatRecipe, ReadingConfig

SYNONYMS = dict[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class SplitConfig(ReadingConfig):
    """All options of a training that decide which pictures it learns from."""

    seed: int = setting(0, "Seed of the splits where the data has none: the training's.")


@dataclass(frozen=True)
class KeptReading:
    """How the data of a training was read.

    Args:
        options: what was asked for.
        words: words that attributes were mined by; None where none were mined.
        pictures: digest of each split's pictures, by `digests`; empty where pictures were drawn in memory.
    """

    options: SplitConfig
    words: Lexicon | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, recipe: EatRecipe, pictures: Mapping[str, str]) -> KeptReading:
        """What a recipe asks for.

        Args:
            recipe: the training's.
            pictures: of `digests`.
        """
        own = flat(recipe.data)
        options = SplitConfig(
            **{name: own[name] for name in flat(ReadingConfig())},
            seed=recipe.machine.seed,
        )
        return cls(options, words_to_mine(options.attributes, options.word_list), pictures)

    def to_json(self) -> str:
        """One line of JSON."""
        words = None if self.words is None else asdict(self.words)
        return json.dumps({"options": asdict(self.options), "words": words, "pictures": dict(self.pictures)})

    @classmethod
    def from_json(cls, text: str) -> KeptReading:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is damaged.
            InputError: an option has a value that it cannot have.
        """
        content = as_kind(dict, parse_json(text), "reading")
        words = as_kind(dict[str, Any] | None, content.get("words"), "words")
        return cls(
            restored(SplitConfig, content.get("options")),
            None if words is None else _lexicon(words),
            as_kind(dict[str, str], content.get("pictures"), "pictures"),
        )


def _lexicon(content: dict[str, Any]) -> Lexicon:
    tables = {name: as_kind(SYNONYMS, content.get(name), name) for name in ("parts", "colors", "patterns")}
    marks = as_kind(tuple[str, ...], content.get("marks"), "marks")
    return Lexicon(**tables, marks=marks, whole=as_kind(str, content.get("whole"), "whole"))


def digests(data: AttributeData) -> dict[str, str]:
    """Sixteen signs for each split that has pictures, which change with its pictures' names below the root.

    Args:
        data: as it was read, before anything is left out.
    """
    names = [os.path.relpath(file, data.root).replace(os.sep, "/") for file in data.files]
    return {
        split: digest("\n".join(own).encode("utf-8", "surrogateescape"))
        for at, split in enumerate(SPLITS)
        if (own := sorted(name for name, place in zip(names, data.split, strict=True) if place == at))
    }
