"""What is said of a decision, and what is not: from evidence about every attribute to a few statements.

An attribute is only named where the picture shows it: never because its class usually has it. Knows no network and
no sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Group, Vocabulary
from sightline.tasks.attributes.explain.counterfactual import Counterfactual
from sightline.tasks.attributes.explain.evidence import TYPICAL, Evidence
from sightline.tasks.attributes.explain.nouns import Words, denied, joined, phrases, touching
from sightline.tasks.attributes.network.skill import SEEN as READ

Role = Literal["why", "contrast", "absent", "against", "doubt", "change", "typical", "unproven"]

RARE = 0.1
"""An attribute is unusual for a class below this share of its pictures."""
MOST = 4
"""Most reasons for a decision that are said."""
WORTH = 0.1
"""What speaks against a decision is said from this share of its strongest reason on."""
REPEAT = 0.3
"""How much a second statement about the same part is held back, as a share of the strongest contribution."""
MINOR = 0.2
"""What is joined to a phrase contributes at least this share of what leads it."""
JOINED = 4
"""Most attributes in one phrase."""
FEW = 5
"""A change of more questions than these is not said: it tells nobody anything."""


@dataclass(frozen=True)
class Statement:
    """One thing that is said.

    Args:
        role: "why" it speaks for A; "contrast": B has another answer; "absent": B would have it; "against": it speaks
            against A; "doubt": it is there and unusual for A; "change": with it B would win; "typical": most pictures
            of A have it, and it was read off the class rather than seen; "unproven": read by a network whose readings
            nobody measured.
        members: the attributes that are named; for "change" those that would be there.
        words: what they are called together.
        probability: probability that they are as said, of the least sure of them; None where nothing was looked at.
        contribution: contribution to the decision, together; for "change" the gain.
        others: the attributes that B has instead ("contrast"), or that would go ("change").
        other: what those are called.
        share: for "doubt", the share of A's training pictures that have it.
    """

    role: Role
    members: tuple[int, ...]
    words: Words
    probability: float | None
    contribution: float
    others: tuple[int, ...] = ()
    other: Words | None = None
    share: float | None = None

    @property
    def text(self) -> str:
        """The phrase as it stands on a label: "red crown"."""
        return self.words.text

    @property
    def named(self) -> tuple[int, ...]:
        """All attributes that a sentence about it names."""
        return self.members + self.others


def select(
    alone: Evidence, pair: Evidence | None = None, *, most: int = MOST, counterfactual: Counterfactual | None = None
) -> tuple[Statement, ...]:
    """All that is worth saying of a decision.

    Args:
        alone: evidence for class A.
        pair: evidence for A rather than B; None where A does not lead, and no contrast is said.
        most: how many statements of role "why" at most; 3 to 5 are read.
        counterfactual: what would make it another class; said only where that would then win, every answer that would
            go was seen, and every answer that would come is surely missing and is one that the network reads.

    Returns:
        Statements, role by role, the strongest first. Empty where nothing is sure enough: then nothing is said.

    Raises:
        InputError: `most` is not positive.
    """
    if most < 1:
        raise InputError(f"at least one statement has to be allowed; got most={most}. Try: most=4")
    statements = [*why(alone, most=most)]
    if pair is not None:
        statements += [*contrast(pair), *absent(pair)]
    least = WORTH * max((one.contribution for one in statements if one.role == "why"), default=0.0)
    statements += [one for one in against(alone) if -one.contribution >= least]
    statements += doubt(alone, besides={at for statement in statements for at in statement.members})
    statements += (*typical(alone), *unproven(alone))
    changes = () if counterfactual is None else change(counterfactual, alone.vocabulary)
    return (*statements, *(changes if all(_may_change(alone, one) for one in changes) else ()))


def why(evidence: Evidence, *, most: int = MOST) -> tuple[Statement, ...]:
    """What is there and speaks for the decision."""
    return _strongest(evidence, "why", evidence.contributions, most)


def against(evidence: Evidence, *, most: int = 1) -> tuple[Statement, ...]:
    """What is there and speaks against the decision."""
    return _strongest(evidence, "against", -evidence.contributions, most)


def doubt(evidence: Evidence, *, besides: Iterable[int] = (), most: int = 1) -> tuple[Statement, ...]:
    """What is there and is unusual for class A, surest first; not what was named already."""
    shares, named = evidence.prototypes[evidence.target], set(besides)
    rare = [at for at in evidence.candidates if at not in named and float(shares[at]) < RARE]
    rare.sort(key=lambda at: (-float(evidence.present[at]), at))
    return tuple(_statement(evidence, "doubt", (at,), share=float(shares[at])) for at in rare[:most])


def typical(evidence: Evidence, *, most: int = 3) -> tuple[Statement, ...]:
    """What most pictures of class A have and the network says of this one too, though it was not shown to see it."""
    shares = torch.nan_to_num(evidence.prototypes[evidence.target])
    rows = sorted(evidence.usual, key=lambda at: (-float(evidence.discriminative[at]), at))
    return tuple(_statement(evidence, "typical", (at,), share=float(shares[at])) for at in rows[:most])


def unproven(evidence: Evidence, *, most: int = MOST) -> tuple[Statement, ...]:
    """What a network reads whose readings nobody measured, surest first."""
    rows = sorted(evidence.unproven, key=lambda at: (-float(evidence.present[at]), at))
    return tuple(_statement(evidence, "unproven", (at,)) for at in rows[:most])


def contrast(evidence: Evidence, *, most: int = 2) -> tuple[Statement, ...]:
    """Questions that the picture answers in A's way where most pictures of B answer otherwise."""
    if evidence.against is None:
        return ()
    candidates = [_differs(evidence, group) for group in evidence.vocabulary.groups]
    statements = [statement for statement in candidates if statement is not None and statement.contribution > 0]
    return tuple(sorted(statements, key=lambda one: (-one.contribution, one.members))[:most])


def absent(evidence: Evidence, *, most: int = 1) -> tuple[Statement, ...]:
    """What most pictures of B have, fewer of A, and this one surely not; only in a contrast.

    Where another value of the same question is there, that is said by `contrast` instead.
    """
    if evidence.against is None:
        return ()
    missing = [at for at in range(len(evidence.vocabulary)) if _misses(evidence, at)]
    missing.sort(key=lambda at: (-float(evidence.contributions[at]), at))
    return tuple(_statement(evidence, "absent", (at,)) for at in missing[:most])


def change(counterfactual: Counterfactual, vocabulary: Vocabulary) -> tuple[Statement, ...]:
    """What would make it class B; nothing where B would not win, wins as it is, or takes more than a few changes."""
    words = phrases(vocabulary)
    statements: list[Statement] = []
    for one in counterfactual.changes if counterfactual.wins and len(counterfactual.changes) <= FEW else ():
        members, others = (() if at is None else (at,) for at in (one.after, one.before))
        other = None if one.before is None else words[one.before]
        if one.after is not None:
            statements.append(Statement("change", members, words[one.after], None, one.gain, others, other))
        elif other is not None:
            statements.append(Statement("change", members, denied(other), None, one.gain, others))
    return tuple(statements)


def _may_change(evidence: Evidence, one: Statement) -> bool:
    """Whether what would go was seen and what would come is surely missing, by the one probability of presence."""
    read = evidence.standing
    known = all(read is None or float(read[at]) == READ for at in one.members)
    return known and set(one.others) <= set(evidence.candidates) and all(map(evidence.surely_not, one.members))


def _strongest(evidence: Evidence, role: Role, strength: Tensor, most: int) -> tuple[Statement, ...]:
    """Greedy: the strongest first, no question twice, no value again on a neighbouring part.

    A part comes again only where it is much stronger than what else could be said.
    """
    pool = [at for at in evidence.candidates if float(strength[at]) > 0]
    top = max((float(strength[at]) for at in pool), default=1.0)
    statements: list[Statement] = []
    while pool and len(statements) < most:
        parts = {_part(evidence, at) for statement in statements for at in statement.members} - {""}
        worth = {at: float(strength[at]) / top - REPEAT * (_part(evidence, at) in parts) for at in pool}
        lead = max(pool, key=lambda at: (worth[at], float(evidence.discriminative[at]), -at))
        members = _companions(evidence, lead, pool, strength)
        statements.append(_statement(evidence, role, members))
        answers = {other for at in members for other in evidence.group(at)}
        pool = [at for at in pool if at not in answers and not _neighbours(evidence, (*members, at))]
    return tuple(statements)


def _companions(evidence: Evidence, lead: int, pool: Sequence[int], strength: Tensor) -> tuple[int, ...]:
    """What is said in one phrase with `lead`: a second value of its question, or its value on neighbouring parts."""
    enough = [at for at in pool if at != lead and float(strength[at]) >= MINOR * float(strength[lead])]
    enough.sort(key=lambda at: (-float(strength[at]), at))
    words, question = evidence.words, evidence.group(lead)
    for at in enough:
        if at in question and joined([words[lead], words[at]]) is not None:
            return lead, at
    members: tuple[int, ...] = (lead,)
    # twice, because a part may touch only one that joins after it
    for at in [*enough, *enough]:
        if len(members) < JOINED and at not in members and _neighbours(evidence, (*members, at)):
            members = (*members, at)
    return members


def _neighbours(evidence: Evidence, ats: Sequence[int]) -> bool:
    """Whether these are one value on parts that lie together, and answer different questions."""
    words, questions = [evidence.words[at] for at in ats], {evidence.vocabulary.group_of[at] for at in ats}
    close = any(touching(words[-1].noun, one.noun) for one in words[:-1])
    return close and len(questions) == len(ats) and joined(words) is not None


def _differs(evidence: Evidence, group: Group) -> Statement | None:
    """The contrast within one question, if its answer is sure and B's usual answer is another."""
    candidates = [at for at in evidence.candidates if at in group.members]
    if not candidates or len(group.members) < 2 or evidence.against is None:
        return None
    theirs = torch.nan_to_num(evidence.prototypes[evidence.against])
    ours = max(candidates, key=lambda at: (float(evidence.present[at]), -at))
    other = max((at for at in group.members if at != ours), key=lambda at: (float(theirs[at]), -at))
    also = other in candidates or float(evidence.present[other]) >= float(evidence.thresholds[other])
    if also or float(theirs[other]) < TYPICAL or float(theirs[other]) <= float(theirs[ours]):
        return None
    weighed = group.members if group.exclusive else (ours, other)
    total = float(evidence.contributions[list(weighed)].sum())
    words, likely = evidence.words, float(evidence.present[ours])
    return Statement("contrast", (ours,), words[ours], likely, total, (other,), words[other])


def _misses(evidence: Evidence, at: int) -> bool:
    if evidence.against is None or not evidence.sees(at) or float(evidence.contributions[at]) <= 0:
        return False
    ours, theirs = (torch.nan_to_num(evidence.prototypes)[y, at] for y in (evidence.target, evidence.against))
    read = evidence.standing is None or float(evidence.standing[at]) == READ
    answered = any(other in evidence.sure for other in evidence.group(at))
    return (
        read and evidence.surely_not(at) and not answered and float(theirs) >= TYPICAL and float(theirs) > float(ours)
    )


def _statement(evidence: Evidence, role: Role, members: tuple[int, ...], *, share: float | None = None) -> Statement:
    words = joined([evidence.words[at] for at in members]) or evidence.words[members[0]]
    likely = min(float(evidence.present[at]) for at in members)
    total = sum(float(evidence.contributions[at]) for at in members)
    return Statement(role, members, words, 1 - likely if role == "absent" else likely, total, share=share)


def _part(evidence: Evidence, at: int) -> str:
    return evidence.vocabulary.attributes[at].part
