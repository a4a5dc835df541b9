"""Statements as sentences.

Templates, no language model: the same statements always read the same. Where attributes are not on the way from the
picture to the class, the sentence says that it tells of an association. Knows no network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sightline.tasks.attributes.explain.nouns import (
    Words,
    an,
    base,
    clauses,
    denied,
    gathered,
    instead,
    past,
    together,
)
from sightline.tasks.attributes.explain.selection import Role, Statement

ASSOCIATED = "associated with this decision (not shown to cause it)"
ROLES: tuple[Role, ...] = ("why", "contrast", "absent", "against", "doubt", "change", "typical", "unproven")
OPENINGS = (
    r"because it ",
    r"not shown to cause it\): ",
    r"what speaks for it is(?:, in part,)? that it ",
    r", which would ",
    r"Unlike a typical .*?, it ",
    r"(?:^|(?<=\. ))Its ",
    r"(?:^|(?<=\. ))That it ",
    r"The model also saw (?:that it )?",
    r"the model sees that it ",
    r"rather than seen: (?:it )?",
    r"compared with controls\): (?:it )?",
    r" if it ",
)
LITTLE = ("of", "the", "in", "on", "and", "with", "de", "la")


def class_name(name: str) -> str:
    """A class as people write it.

    Example:
        >>> class_name("001.Black_footed_Albatross"), class_name("grizzly+bear")
        ('Black-footed Albatross', 'grizzly bear')
    """
    spaced = " ".join(re.sub(r"^\d+[._ ]", "", name).replace("_", " ").replace("+", " ").split())
    chained = re.sub(r"\b([A-Z]\w+) and ([a-z]\w+)(?= [A-Z])", r"\1-and-\2", spaced)
    hyphened = rf"\b([A-Z]\w+) ((?!(?:{'|'.join(LITTLE)}) )[a-z]\w+)(?= [A-Z])"
    return re.sub(rf"{hyphened}|\b([A-Z]\w+) ([a-z]{{2,}}ed)(?= [a-z])", _hyphen, chained)


def _hyphen(match: re.Match[str]) -> str:
    return "-".join(part for part in match.groups() if part)


@dataclass(frozen=True)
class Sentence:
    """A sentence, and what it says.

    Args:
        text: text of the sentence.
        statements: statements that it makes, in any order; none where it says that there is nothing to say.
    """

    text: str
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Manner:
    """What a text may claim.

    Args:
        causal: whether the decision was made from the attributes; False says "associated" instead of "because".
        decided: whether the network decides for A; False says so, and a change then leads to A.
        partly: whether something without a name takes part in the decision; True says "in part because".
        carries: whether attributes together speak for the decision; False says no "because".
        reads: whether the network was shown to read any attribute; None where nobody measured it.
        label: whether it is about a label that a picture has beside others, or beside none, rather than its class.
    """

    causal: bool = True
    decided: bool = True
    partly: bool = False
    carries: bool = True
    reads: bool | None = True
    label: bool = False

    def opening(self, name: str) -> str:
        """Such as "This looks like a Wren"."""
        return f"It is flagged as {class_name(name)}" if self.label else f"This looks like {_a(name)}"

    def decision(self, name: str) -> str:
        """Such as "This is a Wren"."""
        return self.opening(name) if self.label else f"This is {_a(name)}"

    def typical(self, name: str) -> str:
        """Such as "Typical of a Wren, known from the class rather than seen"."""
        if self.label:
            return f"Usual with {class_name(name)}, known from the labels rather than seen"
        return f"Typical of {_a(name)}, known from the class rather than seen"


def tell(
    statements: Sequence[Statement], name: str, other: str | None = None, *, manner: Manner = Manner()
) -> tuple[Sentence, ...]:
    """All statements as sentences, one for each role or statement.

    Args:
        statements: what is said, of any roles.
        name: name of class A, as the data set has it.
        other: name of class B, for a contrast and for what would change the decision.
        manner: what may be claimed.

    Returns:
        Sentences; where nothing speaks for the decision the first one says so.
    """
    of = {role: tuple(one for one in statements if one.role == role) for role in ROLES}
    others = any(one.role not in ("change", "typical", "unproven") for one in statements)
    head = _reasons(name, of["why"], manner) if of["why"] else unsure(name, manner, others=others)
    sentences = [Sentence(head, of["why"])]
    if other is not None:
        sentences += [Sentence(contrast(name, other, of["contrast"]), of["contrast"])] if of["contrast"] else []
        sentences += [Sentence(absent(other, one), (one,)) for one in of["absent"]]
    sentences += [Sentence(against(one, causal=manner.causal), (one,)) for one in of["against"]]
    sentences += [Sentence(doubt(name, one), (one,)) for one in of["doubt"]]
    sentences += [Sentence(typical(manner.typical(name), of["typical"]), of["typical"])] if of["typical"] else []
    sentences += [Sentence(unproven(of["unproven"]), of["unproven"])] if of["unproven"] else []
    if other is not None and of["change"]:
        sentences.append(Sentence(change(other if manner.decided else name, of["change"]), of["change"]))
    return tuple(sentences)


def _reasons(name: str, statements: Sequence[Statement], manner: Manner) -> str:
    """The sentence about what speaks for class A."""
    if not manner.decided:
        return undecided(name, statements, causal=manner.causal, partly=manner.partly)
    if manner.causal and not manner.carries:
        return (
            f"{manner.opening(name)}; the model sees that it {clauses([one.words for one in statements])}, but "
            "attributes do not carry this decision."
        )
    return why(name, statements, manner)


def why(name: str, statements: Sequence[Statement], manner: Manner = Manner()) -> str:
    """Such as "This is a Cardinal because it has a red crown and a cone-shaped bill."."""
    words = [one.words for one in statements]
    if manner.causal:
        return f"{manner.decision(name)}{', in part' if manner.partly else ''} because it {clauses(words)}."
    return f"{manner.decision(name)}; {ASSOCIATED}: {_things(statements)}."


def undecided(name: str, statements: Sequence[Statement], *, causal: bool = True, partly: bool = False) -> str:
    """What speaks for a class that the network does not decide for."""
    reasons = clauses([one.words for one in statements])
    if causal:
        opening = "what speaks for it is, in part," if partly else "what speaks for it is"
        return f"The network does not take this for {_a(name)}; {opening} that it {reasons}."
    return (
        f"The network does not take this for {_a(name)}; associated with one (not shown to cause it): it {reasons}."
    )


def unsure(name: str, manner: Manner = Manner(), *, others: bool = False) -> str:
    """What is said where no attribute speaks for the decision; `others` where some are sure, but not for it."""
    decided = manner.decided
    head = manner.opening(name) if decided else f"The network does not take this for {_a(name)}"
    if manner.reads is None:
        return (
            f"{head}. Whether this network reads attributes right was never measured, so none is named as a reason."
        )
    if not manner.reads:
        return f"{head}. No attribute of this network beats its controls, so none is named as a reason."
    if others:
        return f"{head}, {'but' if decided else 'and'} no attribute that is sure enough to be named speaks for it."
    return f"{head}, {'but' if decided else 'and'} no attribute is sure enough to be named."


def typical(head: str, statements: Sequence[Statement]) -> str:
    """Such as "Typical of a Wren, known from the class rather than seen: a red crown and black legs."."""
    return f"{head}: {_things(statements)}."


def unproven(statements: Sequence[Statement]) -> str:
    """Such as "Unproven (its readings were never compared with controls): a red crown."."""
    return f"Unproven (its readings were never compared with controls): {_things(statements)}."


def shares(other: str, moved: float, lead: float) -> str:
    """Such as "Attributes carry 0.5 of its lead of 2 over a Finch; features without a name carry the rest."."""
    if moved <= 0:
        return (
            f"Attributes speak against its lead of {lead:.2g} over {_a(other)} (by {-moved:.2g}); features without a "
            "name carry it."
        )
    if moved > lead:
        return (
            f"Attributes carry its lead of {lead:.2g} over {_a(other)} (by {moved:.2g}); features without a name "
            f"take {moved - lead:.2g} away."
        )
    carried = f"Attributes carry {moved:.2g} of its lead of {lead:.2g} over {_a(other)}"
    return f"{carried}; features without a name carry the rest."


def label_shares(moved: float, lead: float) -> str:
    """Such as "Attributes add 0.5 to a score that is 2 above its threshold; ..."."""
    above = f"a score that is {lead:.2g} above its threshold; features without a name carry"
    if moved <= 0:
        return f"Attributes take {-moved:.2g} from {above} it."
    if moved > lead:
        return (
            f"Attributes carry a score that is {lead:.2g} above its threshold (by {moved:.2g}); features without a "
            f"name take {moved - lead:.2g} away."
        )
    return f"Attributes add {moved:.2g} to {above} the rest."


def contrast(name: str, other: str, statements: Sequence[Statement]) -> str:
    """Such as "It is a Wren rather than a Finch, which would have a cone-shaped instead of a needle-shaped bill."."""
    pairs = [(base(one.other)[0], contrasted(one)) for one in statements if one.other is not None]
    return f"It is {_a(name)} rather than {_a(other)}, which would {gathered(pairs)}."


def contrasted(statement: Statement) -> str:
    """Such as "a cone-shaped instead of a needle-shaped bill"."""
    theirs = statement.other or statement.words
    return _for(theirs, base(theirs)[1], statement.words)


def changed(statement: Statement) -> str:
    """Such as "a red instead of a blue crown"."""
    rest = past(statement.words)[1]
    return rest if statement.other is None else _for(statement.words, rest, statement.other)


def absent(other: str, statement: Statement) -> str:
    """Such as "Unlike a typical Cardinal, it has no red crown."."""
    kind = class_name(other)
    return f"Unlike a typical {kind}, it {clauses([denied(statement.words)])}."


def against(statement: Statement, *, causal: bool = True) -> str:
    """Such as "Its black legs speak against it." or "That it is fast speaks against it."."""
    words, only = statement.words, "" if causal else ", by association only"
    if words.verb != "has" or words.text.startswith("no "):
        return f"That it {clauses([words])} speaks against it{only}."
    return f"Its {words.text} {'speak' if words.plural else 'speaks'} against it{only}."


def doubt(name: str, statement: Statement) -> str:
    """Such as "The model also saw a red crown, which is unusual for a Wren (only 2 % of training pictures)."."""
    words, share = statement.words, statement.share
    observation = str(words) if words.verb in ("has", "shows") else f"that it {clauses([words])}"
    rate = "" if share is None else f" ({_rate(share)} training pictures)"
    return f"The model also saw {observation}, which is unusual for {_a(name)}{rate}."


def change(other: str, statements: Sequence[Statement]) -> str:
    """Such as "It would be a Cardinal if it had a red instead of a blue crown and no wing bar."."""
    pairs = [(past(one.words)[0], changed(one)) for one in statements]
    return f"It would be {_a(other)} if it {gathered(pairs)}."


def spans(sentence: Sentence) -> tuple[tuple[int, int] | None, ...]:
    """For each statement of a sentence where it is said, first letter and behind the last; none lies over another.

    Example:
        >>> crown = Statement("why", (0,), Words("crown", "red", article="a"), 0.9, 1.0)
        >>> spans(Sentence("This is a Red Crown because it has a red crown.", (crown,)))
        ((35, 46),)
    """
    opening = re.search("|".join(OPENINGS), sentence.text)
    start, occupied = 0 if opening is None else opening.end(), set[int]()
    ranges: list[tuple[int, int] | None] = []
    for one in sentence.statements:
        places = (
            (at.start(), at.end())
            for form in _forms(one)
            for at in re.finditer(rf"(?<![\w-]){re.escape(form)}(?![\w-])", sentence.text)
        )
        # before `start` is the class's name, which may have the same words
        free = (p for p in places if p[0] >= start and not occupied & set(range(*p)))
        place = next(free, None)
        occupied |= set(range(*place)) if place else set()
        ranges.append(place)
    return tuple(ranges)


def _forms(statement: Statement) -> list[str]:
    """How a statement may stand in a sentence, the longest first."""
    words = statement.words
    if statement.role == "contrast":
        return [contrasted(statement)]
    if statement.role == "change":
        return [changed(statement)]
    if statement.role == "absent":
        words = denied(words)
    return sorted({str(words), words.text, " ".join(base(words)).strip(), base(words)[1]}, key=len, reverse=True)


def _for(words: Words, rest: str, other: Words) -> str:
    """`rest`, which says `words`, in place of another answer."""
    return instead(words, other) if rest == str(words) else f"{rest} instead of {other}"


def _things(statements: Sequence[Statement]) -> str:
    """A list of what is there; a clause where something in it is no thing."""
    words = [one.words for one in statements]
    plain_things = all(one.verb in ("has", "shows") for one in words)
    return together([str(one) for one in words]) if plain_things else f"it {clauses(words)}"


def _a(name: str) -> str:
    cleaned = class_name(name)
    return f"{an(cleaned)} {cleaned}"


def _rate(share: float) -> str:
    if share == 0:
        return "none of the"
    return f"only {100 * share:.0f} % of" if share >= 0.005 else "less than 1 % of"
