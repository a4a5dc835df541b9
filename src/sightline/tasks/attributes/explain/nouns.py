"""What attributes are called in a sentence: from `has_bill_shape::dagger` to "a dagger-shaped bill".

Rules, with the lists of `wordlists` where rules end. Knows nothing of probabilities, classes or pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.explain.wordlists import AWA2, MASS, NEIGHBOURS, NOUNS, PLURALS, SUN, WHOLE

YES, NO = frozenset({"yes", "true", "present", "y"}), frozenset({"no", "false", "absent", "n", "none"})
PREFIXES = {
    "has": "has",
    "with": "has",
    "is": "is",
    "can": "can",
    "wears": "wears",
    "wearing": "wears",
    "eats": "eats",
}
IRREGULAR = {"has": "have", "is": "be", "can": "be able to", "does": ""}
PROPERTY = re.compile(r"^(?:has_)?(?:(?P<part>.+)_)?(?P<property>colou?r|pattern|shape|length|size)$")


@dataclass(frozen=True)
class Words:
    """One attribute, or a few that are said together, in words.

    Args:
        noun: what is spoken of: "bill", "eye ring", "the arctic".
        value: what is said of it: "red"; empty where the noun says all.
        verb: verb that follows "it": "has", "is", "lives in"; empty where the noun is itself a verb.
        article: "a", "an" or none.

    Example:
        >>> print(Words("crown", "red", article="a"))
        a red crown
    """

    noun: str
    value: str = ""
    verb: str = "has"
    article: str = ""

    @property
    def plural(self) -> bool:
        """Whether a verb after it takes its plural."""
        head = re.split(r" (?:for|of) ", self.noun)[0]
        many = (head.endswith("s") and not head.endswith("ss")) or head.endswith(("teeth", "feet"))
        return " and " in head or (many and not self.article)

    @property
    def text(self) -> str:
        """Without article, as it stands on a label: "red crown"."""
        return f"{self.value} {self.noun}".strip()

    def __str__(self) -> str:
        return f"{self.article} {self.text}".strip()


@lru_cache(maxsize=32)
def phrases(vocabulary: Vocabulary) -> tuple[Words, ...]:
    """The words of every attribute; no two read the same.

    Example:
        >>> names = ("has_bill_shape::dagger", "has_wing_color::black")
        >>> [str(words) for words in phrases(Vocabulary(tuple(Attribute(n, *n.split("::")) for n in names)))]
        ['a dagger-shaped bill', 'black wings']
    """
    table = _dialect(vocabulary)
    wordings = tuple(table.get(attribute.name) or _words(attribute) for attribute in vocabulary.attributes)
    texts = [words.text for words in wordings]
    return tuple(
        words if texts.count(words.text) == 1 else _in_full(attribute, words)
        for attribute, words in zip(vocabulary.attributes, wordings, strict=True)
    )


def an(text: str) -> str:
    """The article of a text that begins with these letters: "a" or "an".

    Example:
        >>> an("orange bill"), an("unique pattern"), an("Evening Grosbeak"), an("European Goldfinch")
        ('an', 'a', 'an', 'a')
    """
    word = text.lower()
    if re.match(r"(uni(?!n|m)|us[aeiu]|eu|ewe|one\b|once|ut[ei])", word):
        return "a"
    return "an" if re.match(r"([aeiou]|hour|heir|honest|honou?r)", word) else "a"


def together(items: Sequence[str]) -> str:
    """A list as it is said: "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def joined(many: Sequence[Words]) -> Words | None:
    """Several words as one phrase: of one value on neighbouring parts, or of several values of one noun.

    Returns:
        "a yellow breast and belly", "black and white wings"; None where they cannot be said as one, such as
        "mainly white" and "mainly black" plumage.
    """
    first = many[0]
    if len(many) == 1:
        return first
    if any(not words.value or " " in words.value or words.verb != "has" for words in many):
        return None
    if len({words.noun for words in many}) == 1:
        return replace(first, value=together([words.value for words in many]))
    apart = any(not any(touching(words.noun, other.noun) for other in many) for words in many)
    if len({words.value for words in many}) > 1 or apart:
        return None
    return replace(first, noun=together([words.noun for words in many]))


def touching(one: str, other: str) -> bool:
    """Whether the parts of two nouns lie together."""
    return other in NEIGHBOURS.get(one, ()) or one in NEIGHBOURS.get(other, ())


def clauses(many: Sequence[Words]) -> str:
    """What follows "it": "has a red crown and black legs, is fast and lives in the arctic"."""
    return gathered([(words.verb, str(words)) for words in many])


def gathered(pairs: Iterable[tuple[str, str]]) -> str:
    """Verbs and what follows them as one list, each verb once."""
    verbs: dict[str, list[str]] = {}
    for verb, rest in pairs:
        verbs.setdefault(verb, []).append(rest)
    return together([f"{verb} {together(rest)}".strip() for verb, rest in verbs.items()])


def denied(words: Words) -> Words:
    """The words for an attribute that is missing: "no red crown", "not fast", "does not swim"."""
    if words.text.startswith("no "):
        return replace(_with_article(words.text.removeprefix("no ")), verb=words.verb)
    if words.verb in ("has", "shows", "wears", "eats"):
        return replace(words, value=f"no {words.value}".strip(), article="")
    if words.verb in ("is", "can"):
        return Words(str(words), "not", words.verb)
    return Words(" ".join(["not", *base(words)]).replace("  ", " "), verb="does")


def instead(words: Words, other: Words) -> str:
    """One answer in place of another: "a red instead of a blue crown", "a crested head instead of an eye ring"."""
    if words.noun != other.noun or not (words.value and other.value) or words.verb != other.verb:
        return f"{words} instead of {other}"
    short = replace(words, noun="")
    return f"{short} instead of {other}"


def base(words: Words) -> tuple[str, str]:
    """What follows "would", verb and rest: "have", "a red crown"; "be", "fast"; "live in", "trees"; "", "swim"."""
    verb, _, rest = (words.verb or words.noun).partition(" ")
    stem = f"{verb[:-3]}y" if verb.endswith("ies") else verb.removesuffix("s")
    predicate = f"{IRREGULAR.get(verb, stem)} {rest}".strip()
    return (predicate, str(words)) if words.verb else ("", predicate)


def past(words: Words) -> tuple[str, str]:
    """What follows "if it", verb and rest: "had", "a red crown"; "were", "fast"; "did", "live in the arctic"."""
    verb = {"has": "had", "is": "were", "can": "could", "does": "did"}.get(words.verb)
    return (verb, str(words)) if verb else ("did", " ".join(base(words)).strip())


def plain(name: str) -> str:
    """A name without underscores, units in parentheses and capitals of title case."""
    spaced = re.sub(r"\s+", " ", re.sub(r"\([^)]*\)", " ", name.replace("::", " ").replace("_", " "))).strip()
    return " ".join(word.lower() if word[1:].islower() or len(word) == 1 else word for word in spaced.split(" "))


def _dialect(vocabulary: Vocabulary) -> dict[str, Words]:
    """The list of the data set that most plain names are in, if any is."""
    names = {name for name in vocabulary.names if "::" not in name}
    dialects = {key: table for key, table in _tables().items() if 2 * len(names & table.keys()) > len(names)}
    return max(dialects.values(), key=lambda table: len(names & table.keys()), default={})


@cache
def _tables() -> dict[str, dict[str, Words]]:
    return {"awa2": _read(AWA2), "sun": _read(SUN)}


def _read(lists: dict[str, str]) -> dict[str, Words]:
    """A list of `wordlists` by name."""
    words: dict[str, Words] = {}
    for verb, line in lists.items():
        for entry in line.split(","):
            name, _, wording = " ".join(entry.split()).partition("=")
            text = wording or " or ".join(part.strip() for part in name.split("/"))
            article, noun = (text.partition(" ")[::2]) if text.startswith(("a ", "an ")) else ("", text)
            words[name] = Words(noun, verb=verb, article=article)
    return words


def _words(attribute: Attribute) -> Words:
    group, value = _question(attribute)
    if not value:
        return _alone(attribute)
    short = group.removeprefix("has_")
    whole = WHOLE.get(f"{short}::{re.sub(r'_?[(].*', '', value)}")
    if whole:
        return _with_article(whole)
    if re.fullmatch(r"[-+]?[.\d]+", value):
        return _with_article(f"{plain(short)} of {value}")
    match = PROPERTY.match(group)
    return _of_part(match, plain(value)) if match else _of_column(attribute, group, plain(value))


def _question(attribute: Attribute) -> tuple[str, str]:
    """Group and value, the value empty where the name is a plain word."""
    group, _, value = attribute.name.partition("::")
    if not value and attribute.group != attribute.name:
        return attribute.group, attribute.value
    return group, value


def _of_part(match: re.Match[str], value: str) -> Words:
    """The rule of names such as CUB's: a property of a part, or of the whole bird."""
    part, aspect = plain(match["part"] or ""), match["property"]
    if part == "primary":
        return _with_article("plumage", f"mainly {value}")
    noun = NOUNS.get(part, part) or aspect
    if value == "solid":
        value = "solid-colored"
    short = re.sub(rf"[ -]{re.escape(noun)}$", "", value)
    return _with_article(noun, short)


def _of_column(attribute: Attribute, column: str, value: str) -> Words:
    """The rule of a table's column: its answer is an adjective, a number, yes or no."""
    if value in YES | NO:
        words = _alone(replace(attribute, name=column, kind="binary"))
        return words if value in YES else denied(words)
    noun = plain(column.removeprefix("has_"))
    return _with_article(noun, value)


def _alone(attribute: Attribute) -> Words:
    """The rule of a plain word; without a hint of what it is, it is something that the picture shows."""
    head, _, rest = attribute.name.partition("_")
    if attribute.order:
        return _upper(attribute)
    if attribute.kind != "binary":
        return _with_article(plain(attribute.name), "high")
    if rest and head.lower() in PREFIXES:
        verb, noun = PREFIXES[head.lower()], plain(rest)
        return replace(_with_article(noun), verb=verb) if verb in ("has", "wears") else Words(noun, verb=verb)
    text = " or ".join(part.strip() for part in plain(attribute.name).split("/"))
    if attribute.part or attribute.scope == "part":
        return _with_article(text)
    return Words(text, verb="shows")


def _upper(attribute: Attribute) -> Words:
    """A rank of which is said that it is in the upper half of its scale: "a size of at least medium"."""
    noun, least = plain(attribute.name.removeprefix("has_")), len(attribute.order) // 2
    if least == len(attribute.order) - 1:
        return _with_article(noun, plain(attribute.order[-1]))
    return _with_article(f"{noun} of at least {plain(attribute.order[least])}")


def _with_article(noun: str, value: str = "") -> Words:
    text = f"{value} {noun}".strip()
    last = noun.split(" of ")[0].split(" ")[-1]
    bare = last in PLURALS | MASS or (last.endswith("s") and not last.endswith(("ss", "us", "is")))
    return Words(noun, value, article="" if bare else an(text))


def _in_full(attribute: Attribute, words: Words) -> Words:
    """Two attributes read the same: each is called by its whole name."""
    return replace(words, noun=plain(attribute.name.removeprefix("has_")), value="", article="")
