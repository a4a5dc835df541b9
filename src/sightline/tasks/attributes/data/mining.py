"""Which colours and patterns of which parts a sentence speaks of: a white belly, from "its belly is white".

Every token becomes one letter (a colour C, a part P, a negation N, ...), and each rule is a regular expression over
those letters, so that a rule reads as the word order it stands for. Deterministic. Knows no picture and no data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sightline.tasks.attributes.data.lexicon import Lexicon

TOKEN = re.compile(r"[a-z]+(?:_[a-z]+)*|[,;:.()!?]")
LITTLE = {
    "N": "no not without lack lacks lacking lacked never neither nor instead rather",
    "B": "is are was were looks look appears appear being be",
    "R": "that which who",
    "K": ", and or to",
    "V": "of than",
    "L": "on over covering covers cover covered across along in around near throughout at under above below behind "
    "beside by for atop between into onto from",
    "D": "the its his her their this these those s it",
    "A": "a an",
    "W": "with has have having had featuring features",
    "X": "but except while whereas besides although though exception ; : . ( ) ! ?",
    "F": "colored coloured color colour dark darker bright brightly light lighter pale very deep jet mostly also "
    "both completely entirely all almost nearly mainly primarily overall solid shiny shades tones totally some most "
    "any mixed entire whole slightly predominantly uniformly upper lower outer inner bit hint side sides rest small "
    "little tiny vivid dull soft",
    "G": "feathers feather feathered feathering fur coloring",
}
TAGS = {word: tag for tag, words in LITTLE.items() for word in words.split()}
"""The letter of a word that the lexicon does not have; any other word is an O."""
SECTION = {"parts": "P", "colors": "C", "patterns": "C", "marks": "M"}

COLOURS = re.compile(r"C(?:[KF]*C)*")
"""Said together: "black, white and dark grey"."""
PARTS = r"(?P<parts>P(?:K[DFK]*P(?!R?B))*)"
"""Parts in a row: "head, neck and throat"; one with a verb of its own begins another row."""
NEXT = re.compile(r"[FOG]{0,3}(?P<parts>P(?:K[FK]*P(?!R?B))*)")
"""The part right behind: "white head and neck"."""
LINKED = re.compile(rf"[FOGM]{{0,3}}(?:[LV][FODA]*)+C?F*{PARTS}")
"""The part behind a preposition: "a red patch on its wings", "black feathers covering the body"."""
LISTED = re.compile(r"K+[FO]+(?P<parts>P)(?!R?B)")
"""The part behind another adjective: "an orange and pointed bill"."""
MARKED, COVER = re.compile(r"[FO]{0,2}M"), re.compile(r"[FO]{0,2}G")
BEARER = re.compile(r"(?P<parts>P)[^XPW]*W[AFO]*$")
"""What has a mark: "black wings with red spots"."""
SUBJECT = re.compile(r"(?<!C)(?P<parts>P(?:K[DFK]*P)*)[FO]*R?B[FOKALV]*$")
"""What is before the verb: "its head and belly are", "a bill that is long and", "the bird is covered in"."""
MORE = re.compile(r"(?P<parts>P)[FO]*(?:R?B)[FOKA]*C(?:[KF]*C)*[FLO]*W[AFO]*$")
"""What was given colours before: "the bird is black with"."""
BESIDE = re.compile(rf"{PARTS}[FO]*V?[F]*$")
"""A part right before: "wings black and white", "a head of white"."""


@dataclass(frozen=True, order=True)
class Mention:
    """One thing that a sentence says.

    Args:
        part: name of the part.
        kind: `color` or `pattern`.
        value: name of the colour or pattern.
        denied: whether the sentence says that it is not so.
    """

    part: str
    kind: str
    value: str
    denied: bool = False


def mentions(sentence: str, words: Lexicon) -> frozenset[Mention]:
    """All that a sentence says of colours and patterns of parts; what it affirms and denies at once is left out.

    Args:
        sentence: one sentence, or several.
        words: words to look for.

    Example:
        >>> from sightline.tasks.attributes.data.lexicon import BIRDS
        >>> [(one.part, one.value) for one in sorted(mentions("A bird with black and white wings.", BIRDS))]
        [('wing', 'black'), ('wing', 'white')]
    """
    tokens = _tokens(sentence, words)
    tags = _tags(tokens, words)
    denials = _denials(tags, tokens)
    pairs = {
        Mention(part, kind.removesuffix("s"), value, run.start() in denials)
        for run in COLOURS.finditer(tags)
        for places, parts in _attached(tags, run.start(), run.end(), tokens=tokens, words=words)
        for kind, value in (words.kinds[tokens[at]] for at in places if tags[at] == "C")
        for part in parts
    }
    return frozenset(one for one in pairs if replace(one, denied=not one.denied) not in pairs)


def _tokens(sentence: str, words: Lexicon) -> list[str]:
    """Lower case; "n't" is a "not", and words that mean one thing together are one token."""
    text = re.sub(r"n['’]t\b", " not", sentence.lower()).replace("-", " ")
    text = re.sub(r"\s+", " ", text)
    joined = words.compounds.sub(lambda match: match[0].replace(" ", "_"), text)
    return [token.replace("_", " ") for token in TOKEN.findall(joined)]


def _tags(tokens: Sequence[str], words: Lexicon) -> str:
    """One letter a token."""
    kinds = [words.kinds.get(token) for token in tokens]
    tags = "".join(
        TAGS.get(token, "O") if kind is None else SECTION[kind[0]] for token, kind in zip(tokens, kinds, strict=True)
    )
    whole = ("parts", words.whole)
    for match in re.finditer(r"(?<=P)VD*P", tags):
        if kinds[match.end() - 1] == whole:
            # in "the bill of the bird is orange" the bill is, not the bird
            tags = f"{tags[: match.start()]}{'F' * len(match[0])}{tags[match.end() :]}"
    return tags


def _denials(tags: str, tokens: Sequence[str]) -> frozenset[int]:
    """Positions that a negation reaches: up to a comma, an "and" or the end of its clause."""
    reached: set[int] = set()
    for at, tag in enumerate(tags):
        if tag != "N" or tokens[at + 1 : at + 2] == ["only"]:
            continue
        end = at + 1
        while end < len(tags) and tags[end] != "X" and tokens[end] not in (",", "and"):
            end += 1
        reached |= set(range(at, end))
    return frozenset(reached)


def _attached(
    tags: str, start: int, end: int, *, tokens: Sequence[str], words: Lexicon
) -> Iterator[tuple[range, tuple[str, ...]]]:
    """Which parts the colours from `start` to `end` are said of: positions of colours, and names of parts."""
    first = tags.rfind("X", 0, start) + 1
    last = next((at for at in range(end, len(tags)) if tags[at] == "X"), len(tags))
    before, after = tags[first:start], tags[end:last]
    # a denial is no part of what links a colour to its part: "its belly is not white"
    before = before.replace("N", "F")

    def names(match: re.Match[str], shift: int) -> tuple[str, ...]:
        places = range(shift + match.start("parts"), shift + match.end("parts"))
        return tuple(words.kinds[tokens[at]][1] for at in places if tags[at] == "P")

    subject, following = SUBJECT.search(before), NEXT.match(after)
    cut = tags.rfind("K", start, end)
    if following and subject and cut > 0 and "A" not in before[subject.end("parts") :]:
        # "its belly is white and black wings": the last colour is the wings'
        yield range(start, cut), names(subject, first)
        yield range(cut, end), names(following, end)
        return
    pattern = words.kinds[tokens[end - 1]][0] == "patterns"
    bearer = BEARER.search(before) if pattern or MARKED.match(after) or COVER.match(after) else None
    ahead = following or LINKED.match(after) or (None if subject else LISTED.match(after))
    own = None if MARKED.match(after) else subject or MORE.search(before) or BESIDE.search(before)
    if ahead:
        yield range(start, end), names(ahead, end)
    elif behind := bearer or own:
        yield range(start, end), names(behind, first)
    elif COVER.match(after):
        yield range(start, end), (words.whole,)
