"""What a text may claim: each rule on a case made by hand, and all of them on random networks."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from sightline.results import Decision
from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.explain.analysis import DecisionAnalysis
from sightline.tasks.attributes.explain.counterfactual import counterfactual
from sightline.tasks.attributes.explain.narrator import NO_NUMBERS, narration
from sightline.tasks.attributes.explain.speaking import PictureOutput
from sightline.tasks.attributes.explain.strategies import AlongWeights, Linear
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.skill import SEEN, TYPICAL, UNMEASURED, UNREAD, Skill

LABELS = ("Auklet", "Ani", "Finch")
PARTS = ("forehead", "crown", "upperparts", "breast", "bill")
COLOURS = ("black", "white", "red")
HYPOTHETICAL = ("change", "absent")
CLAIMS = r"because|Typical|also saw|speaks? against it\b|rather than an? |Unlike|would"


def vocabulary(exclusive: bool) -> Vocabulary:
    names = [(f"has_{part}_color", colour, part) for part in PARTS for colour in COLOURS]
    words = tuple(Attribute(f"{group}::{value}", group, value, part, "part") for group, value, part in names)
    return Vocabulary(words, tuple(f"has_{part}_color" for part in PARTS) if exclusive else ())


class Reader:
    """A network that was taught words, made of numbers."""

    labels = LABELS

    def __init__(self, exclusive=False, standing=None, named=True, **known):
        self.vocabulary, self.named = vocabulary(exclusive), named
        count = len(self.vocabulary)
        self.calibration = replace(Calibration.nothing(3, count), prototypes=torch.full((3, count), 0.2), **known)
        self.skill = Skill.given(torch.full((count,), SEEN) if standing is None else standing)


def at(name: str) -> int:
    part, colour = name.split(" ")
    return PARTS.index(part) * 3 + COLOURS.index(colour)


def text(reader: Reader, present, *, scores=(2.0, 1.0, 0.0), weights=None, means=0.1, against=None):
    """What is said of class 0 where attributes are there as given, and weigh as given in class 0."""
    a = torch.full((15,), 0.05)
    for name, value in present.items():
        a[at(name)] = value
    table = torch.zeros(3, 15)
    for (label, name), value in (weights or {}).items():
        table[label, at(name)] = value
    totals = torch.tensor(scores)
    strategy = Linear(table, totals - table @ a, a, torch.full((15,), means))
    output = PictureOutput(totals, torch.zeros(15), a, torch.zeros(15, 4, 4), strategy)
    return narration(reader, output, Decision(LABELS[0], 0.0, 0, against=against))


def test_only_what_beats_both_controls_is_a_reason():
    standing = torch.full((15,), UNREAD)
    standing[at("crown black")] = SEEN
    weights = {(0, "crown black"): 1.0, (0, "bill red"): 5.0}
    words = text(Reader(standing=standing, named=False), {"crown black": 0.9, "bill red": 0.9}, weights=weights)
    assert words.sentences[0] == "This is an Auklet, in part because it has a black crown."
    assert not any("red bill" in sentence for sentence in words.sentences)


def test_what_beats_the_frequency_only_is_typical_of_the_class_and_not_seen():
    reader = Reader(standing=torch.full((15,), TYPICAL))
    reader.calibration.prototypes[0, at("bill red")] = 0.9
    words = text(reader, {"bill red": 0.9, "crown black": 0.9}, weights={(0, "bill red"): 5.0})
    assert words.sentences[0] == (
        "This looks like an Auklet. No attribute of this network beats its controls, so none is named as a reason."
    )
    assert "Typical of an Auklet, known from the class rather than seen: a red bill." in words.sentences
    (phrase,) = words.phrases
    assert (phrase.role, phrase.map, phrase.box, phrase.contribution) == ("typical", None, None, None)
    assert not any("crown" in sentence for sentence in words.sentences)  # few auklets have one


def test_where_nothing_beats_a_control_one_sentence_says_so():
    reader = Reader(standing=torch.full((15,), UNREAD))
    words = text(reader, {"bill red": 0.99}, weights={(0, "bill red"): 5.0})
    assert words.sentences == (
        "This looks like an Auklet. No attribute of this network beats its controls, so none is named as a reason.",
    )
    assert words.phrases == ()


def test_a_network_that_nobody_measured_says_so_and_gives_no_reasons():
    reader = Reader(standing=torch.full((15,), UNMEASURED))
    weights = {(0, "bill red"): 5.0, (1, "crown black"): 9.0}
    words = text(reader, {"bill red": 0.99}, weights=weights)
    assert "never measured" in words.sentences[0]
    assert words.sentences[1] == "Unproven (its readings were never compared with controls): a red bill."
    assert {phrase.role for phrase in words.phrases} == {"unproven"}
    assert "because" not in " ".join(words.sentences)


def test_it_never_takes_a_change_to_what_is_there_already():
    """The black forehead of the Rhinoceros Auklet: the raw probability said no, the calibrated one yes."""
    reader = Reader(offset=torch.full((15,), 1.5))
    weights = {(1, "forehead black"): 9.0, (0, "crown black"): 1.0}
    present = {"forehead black": 0.4, "crown black": 0.9}
    words = text(reader, present, weights=weights, scores=(2.0, 1.0, 0.0))
    assert float(reader.calibration.calibrated(torch.tensor([[0.4] * 15]))[0, 0]) > 0.5
    assert not any("would be" in sentence for sentence in words.sentences)


def test_the_calibrated_probability_decides_what_a_change_starts_from():
    words = vocabulary(exclusive=False)
    head = torch.zeros(2, 15)
    head[1, at("crown black")] = 9.0
    a = torch.full((15,), 0.4)
    raw = counterfactual(head, torch.tensor([5.0, 0.0]), a, words, target=0, against=1)
    assert [one.after for one in raw.changes] == [at("crown black")]
    there = counterfactual(head, torch.tensor([5.0, 0.0]), a, words, target=0, against=1, present=a + 0.5)
    assert all(one.after is None for one in there.changes)


def test_a_decision_is_changed_from_what_the_calibrated_probability_says_is_there():
    reader = Reader(offset=torch.full((15,), 3.0))
    table = torch.zeros(3, 15)
    table[1, at("crown black")] = 9.0
    a = torch.full((15,), 0.4)
    strategy = Linear(table, torch.tensor([5.0, 0.0, 0.0]) - table @ a, a, a)
    output = PictureOutput(torch.tensor([5.0, 0.0, 0.0]), a, a, torch.zeros(15, 4, 4), strategy)
    assert DecisionAnalysis(reader, output, Decision("Auklet", 0.0, 0)).counterfactual is None
    reader.calibration = replace(reader.calibration, offset=torch.zeros(15))
    change = DecisionAnalysis(reader, output, Decision("Auklet", 0.0, 0)).counterfactual
    assert [one.after for one in change.changes] == [at("crown black")]


def test_of_two_colours_of_one_part_the_likelier_is_named_unless_both_are_sure():
    """A white crown speaks against it, and the model also saw a black crown: of one bird."""
    weights = {(0, "crown white"): -3.0, (0, "crown black"): 1.0, (0, "bill red"): 4.0}
    present = {"crown white": 0.75, "crown black": 0.7, "bill red": 0.9}
    words = text(Reader(), present, weights=weights)
    assert "Its white crown speaks against it." in words.sentences
    assert not any("black crown" in sentence for sentence in words.sentences)
    both = text(Reader(), {**present, "crown white": 0.85, "crown black": 0.9}, weights=weights)
    assert sum("crown" in sentence for sentence in both.sentences) == 2


def test_nothing_is_a_cause_where_attributes_do_not_carry_the_decision():
    weights = {(0, "bill red"): 1.0, (1, "bill red"): 4.0}
    words = text(Reader(named=False), {"bill red": 0.9}, weights=weights)
    assert words.sentences[0] == (
        "This looks like an Auklet; the model sees that it has a red bill, but attributes do not carry this decision."
    )
    assert words.sentences[-1].startswith("Attributes speak against its lead of 1 over an Ani (by 2.4);")
    assert words.phrases[0].said is not None


@pytest.mark.parametrize(("missing", "says"), [(0.15, True), (0.45, False), (0.21, False)])
def test_it_lacks_something_only_where_that_is_surely_missing(missing, says):
    """No solid-coloured back, at 51 %."""
    reader = Reader()
    reader.calibration.prototypes[1, at("crown black")] = 0.9
    weights = {(0, "crown black"): -4.0, (0, "bill red"): 1.0}
    words = text(reader, {"bill red": 0.9, "crown black": missing}, weights=weights, against=1, means=0.5)
    assert ("Unlike a typical Ani, it has no black crown." in words.sentences) is says


def test_a_denial_among_the_reasons_has_to_be_sure():
    words = Vocabulary((Attribute("crest::no", "crest", "no"), Attribute("crest::yes", "crest", "yes")), ("crest",))
    reader = Reader()
    reader.vocabulary, reader.skill = words, Skill.given(torch.full((2,), SEEN))
    reader.calibration = replace(Calibration.nothing(3, 2), prototypes=torch.full((3, 2), 0.5))
    for likely, says in ((0.7, False), (0.85, True)):
        a = torch.tensor([likely, 1 - likely])
        table = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
        strategy = Linear(table, torch.zeros(3), a, torch.full((2,), 0.5))
        output = PictureOutput(table @ a, torch.zeros(2), a, torch.zeros(2, 4, 4), strategy)
        sentences = narration(reader, output, Decision("Auklet", 0.0, 0)).sentences
        assert ("because it shows no crest" in sentences[0]) is says


def test_logits_that_are_nan_are_reported():
    a, nan = torch.full((15,), 0.9), torch.full((15,), torch.nan)
    for scores, logits, likely in ((nan[:3], a, a), (a[:3], nan, a), (a[:3], a, nan)):
        strategy = Linear(torch.zeros(3, 15), torch.zeros(3), likely, a)
        words = narration(
            Reader(), PictureOutput(scores, logits, likely, torch.zeros(15, 4, 4), strategy), Decision("x", 0.0, 0)
        )
        assert words.sentences == (NO_NUMBERS,)


def random_case(seed: int):
    """A network of any standing, calibration and join, and what it says of a picture."""
    draw = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.rand(*shape, generator=draw)  # noqa: E731
    exclusive, causal = bool(rand(1) < 0.5), bool(rand(1) < 0.7)
    known = {"slope": 0.5 + 2 * rand(15), "offset": 2 * rand(15) - 1, "threshold": rand(15)}
    standing = torch.tensor([UNREAD, TYPICAL, SEEN])[torch.randint(3, (15,), generator=draw)]
    if rand(1) < 0.2:
        standing = torch.full((15,), UNMEASURED)
    reader = Reader(exclusive, standing, bool(rand(1) < 0.5), **known)
    reader.calibration = replace(reader.calibration, prototypes=rand(3, 15))
    reader.skill = replace(reader.skill, floor=torch.full((15,), 0.5 + 0.4 * float(rand(1))))
    a = rand(15) ** (0.3 + 2 * rand(1))
    if exclusive:
        a = (a.view(5, 3) / a.view(5, 3).sum(1, keepdim=True)).flatten()
    weights = torch.randn(3, 15, generator=draw)
    rest = torch.randn(3, generator=draw)
    scores = weights @ a + rest
    strategy = Linear(weights, rest, a, rand(15)) if causal else AlongWeights(weights, torch.eye(15), a, rand(15))
    output = PictureOutput(scores, a.logit(), a, torch.zeros(15, 4, 4), strategy)
    against = None if rand(1) < 0.5 else int((scores.argmax() + 1) % 3)
    this = int(scores.argmax()) if rand(1) < 0.8 else int(scores.argmin())
    against = None if against == this else against
    return reader, output, Decision(LABELS[this], 0.0, this, against=against)


@pytest.mark.parametrize("block", range(8))
def test_no_text_of_a_random_network_breaks_a_rule(block):
    for seed in range(250 * block, 250 * (block + 1)):
        reader, output, decision = random_case(seed)
        analysis = DecisionAnalysis(reader, output, decision)
        sentences = " ".join(narration(reader, output, decision).sentences)
        present = reader.calibration.calibrated(output.probabilities[None])[0]
        standing, statements = reader.skill.standing, analysis.statements
        claims = {k: one.role for one in statements if one.role not in HYPOTHETICAL for k in one.members}
        for group in reader.vocabulary.groups:
            values = [k for k in claims if k in group.members]
            assert len(values) <= 1 or not group.exclusive, seed
            assert len(values) <= 1 or all(present[k] >= 0.8 for k in values), seed
        for one in statements:
            if one.role == "change":
                assert all(present[k] <= 0.2 and k not in claims for k in one.members), seed
                assert all(present[k] >= 0.5 for k in one.others), seed
            if one.role == "absent":
                assert all(present[k] <= 0.2 and k not in claims for k in one.members), seed
            if one.role in ("why", "contrast", "against", "doubt", "absent"):
                assert all(standing[k] == SEEN for k in one.members), seed
            if one.role in ("why", "contrast", "against", "doubt"):
                assert all(present[k] >= reader.skill.floor[k] for k in one.members), seed
            if one.role == "typical":
                assert all(standing[k] == TYPICAL for k in one.members), seed
        assert "because" not in sentences or analysis.carried > 0, seed
        assert "because" not in sentences or bool((standing == SEEN).any()), seed
        if not reader.skill.measured:
            assert not re.search(
                r"because|Typical|also saw|speaks? against it\b|rather than an? |Unlike|would", sentences
            ), seed


def test_the_battery_meets_every_kind_of_statement():
    roles = [one.role for seed in range(600) for one in DecisionAnalysis(*random_case(seed)).statements]
    kinds = {"why", "contrast", "absent", "against", "doubt", "change", "typical", "unproven"}
    assert kinds == set(roles)
