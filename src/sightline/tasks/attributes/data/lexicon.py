"""`Lexicon`: the words by which colours and patterns of parts are recognised in a sentence.

One list for birds is built in; a TOML file of the same shape replaces it for other things. Knows no grammar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sightline.common.reading import read_toml
from sightline.errors import DataError, TrainingError, near

SECTIONS = ("parts", "colors", "patterns", "marks")
Synonyms = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Lexicon:
    """Words of a vocabulary, each with everything that means the same.

    Args:
        parts: parts of the object; the one that is called `whole` stands for all of it.
        colors: colours.
        patterns: patterns, as adjectives ("spotted") and as plurals of what they are made of ("spots").
        marks: what has a colour without being a part: a patch, a tip.
        whole: name of the part that is the whole object.
    """

    parts: Synonyms
    colors: Synonyms
    patterns: Synonyms
    marks: tuple[str, ...] = ()
    whole: str = "body"

    @cached_property
    def kinds(self) -> dict[str, tuple[str, str]]:
        """From every word to its section and to the name that it stands for."""
        words: dict[str, tuple[str, str]] = {}
        for section in SECTIONS[:3]:
            for name, same in getattr(self, section).items():
                for word in (name, *same):
                    if words.setdefault(word, (section, name)) != (section, name):
                        raise DataError(
                            f"the word {word!r} stands for {words[word][1]!r} and for {name!r}; give each word one "
                            "meaning"
                        )
        return words | {mark: ("marks", mark) for mark in self.marks}

    @cached_property
    def compounds(self) -> re.Pattern[str]:
        """Words of several parts, such as "eye ring", the longest first; they become one token."""
        several = sorted((word for word in self.kinds if " " in word), key=len, reverse=True)
        return re.compile(rf"\b({'|'.join(map(re.escape, several)) or '(?!)'})\b")


def _same(text: str) -> dict[str, tuple[str, ...]]:
    """A table of synonyms, one name a line: `bill: beak, bills`."""
    lines = (line.partition(":") for line in text.strip().splitlines())
    return {name.strip(): tuple(word.strip() for word in same.split(",") if word.strip()) for name, _, same in lines}


BIRDS = Lexicon(
    parts=_same("""
        bill: bills, beak, beaks, beck, billed, beaked, nose, mouth
        crown: crowns, crowned, cap, top of the head, top of its head
        head: heads, headed, face, faced
        throat: throats, throated
        nape: napes, neck, necks, necked
        cheek: cheeks, cheek patch, cheek patches, cheekpatch
        breast: breasts, breasted, chest
        belly: bellies, bellied, abdomen, stomach, tummy, underbelly, under belly, underside, underparts, vent
        back: backs, backed, mantle
        wing: wings, winged, covert, coverts, wingbar, wingbars, wing bar, wing bars, primaries, secondaries, \
shoulder, shoulders, wing feathers, wingtips, wing tips
        tail: tails, tailed, rectrices, retrices, rectrice, tail feathers, tailfeathers
        rump: rumps
        leg: legs, legged, tarsus, tarsi, tarsuses, thigh, thighs
        feet: foot, footed
        eye: eyes, eyed, pupil, pupils, iris
        eye ring: eyering, eye rings, eyerings
        eyebrow: eye brow, eyebrows, brow, superciliary, supercillary, superciliaries
        body: bird, birds, bodied, bodies, plumage, plummage, coat, gull, seagull, seabird, waterbird, fowl, duck
    """),
    colors=_same("""
        black: blackish
        white: whitish, whtie
        grey: gray, greyish, grayish, slate, charcoal, silver, ashy
        brown: brownish
        red: reddish, scarlet, crimson
        orange: peach
        yellow: yellowish, golden, gold
        blue: bluish, blueish
        green: greenish
        pink: pinkish
        purple: purplish
        buff: tan, beige, cream, creamy
    """),
    patterns=_same("""
        spotted: spots, speckled, speckles, speckling, mottled, mottling, flecked, flecks, dots, specks
        striped: stripes, streaks, streaked, barred, bands, banded
    """),
    marks=(
        *("patch", "patches", "spot", "dot", "speck", "stripe", "streak", "strip", "line", "lines", "band", "bar"),
        *("bars", "tip", "tips", "edge", "edges", "ring", "rings", "mark", "marking", "markings", "tuft", "crest"),
        *("accent", "accents", "highlight", "highlights", "splash", "blotch", "area", "splotch", "portion"),
    ),
)
"""Parts, colours and patterns of birds."""


def read_lexicon(path: Path) -> Lexicon:
    """Words of another vocabulary, from a TOML file.

    It holds tables `parts`, `colors` and `patterns` (name = list of synonyms), and may hold `marks` (a list) and
    `whole` (name of the part that is the whole object).

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    content = read_toml(path, "word list", error=DataError)
    if wrong := [key for key in content if key not in (*SECTIONS, "whole")]:
        raise DataError(f"{path} has a table {wrong[0]!r}, which a word list does not; {near(wrong[0], SECTIONS)}")
    tables = {name: _table(path, name, content.get(name, {})) for name in SECTIONS[:3]}
    if not tables["parts"] or not (tables["colors"] or tables["patterns"]):
        raise DataError(f"{path} names no parts, or neither colors nor patterns; a word list needs `[parts]` and one")
    marks = _words(path, "marks", content.get("marks", []))
    whole = str(content.get("whole", next(iter(tables["parts"]))))
    if whole not in tables["parts"]:
        raise DataError(
            f"{path} calls the whole object {whole!r}, which is not a part; {near(whole, tables['parts'])}"
        )
    return Lexicon(**tables, marks=marks, whole=whole)


def _table(path: Path, name: str, table: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, dict):
        raise DataError(
            f"{path} has {name!r} that is not a table; write `[{name}]` and lines such as bill = ['beak', 'beaks']"
        )
    return {str(key).lower(): _words(path, f"{name}.{key}", value) for key, value in table.items()}


def _words(path: Path, name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise DataError(f"{path} has {name!r} that is not a list of words; write it as ['beak', 'beaks']")
    return tuple(word.lower() for word in value)


def words_to_mine(attributes: str, word_list: str | None) -> Lexicon | None:
    """The words to mine from sentences; None where the data's own attributes are taken.

    Args:
        attributes: `annotated` or `mined`.
        word_list: TOML file of words; None takes `BIRDS`.

    Raises:
        TrainingError: words are given and nothing is mined.
    """
    if attributes != "mined":
        if word_list is not None:
            raise TrainingError("--word-list is of mined attributes; add --attributes mined, or leave it out")
        return None
    return BIRDS if word_list is None else read_lexicon(Path(word_list))
