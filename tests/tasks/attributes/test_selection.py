import math

import pytest
import torch

from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.explain.contributions import linear_contributions
from sightline.tasks.attributes.explain.counterfactual import Change, Counterfactual
from sightline.tasks.attributes.explain.evidence import Evidence
from sightline.tasks.attributes.explain.selection import change, select

PARTS = ("crown", "throat", "breast", "belly", "wing")
COLOURS = ("red", "yellow", "black")
SPECIES, OTHER = 0, 1


def birds(exclusive=True):
    names = [(f"has_{part}_color", value, part) for part in PARTS for value in COLOURS]
    words = [Attribute(f"{group}::{value}", group, value, part, "part") for group, value, part in names]
    alone = [Attribute("has_eye_ring", "has_eye_ring", "", "eye", "part")]
    return Vocabulary((*words, *alone), tuple(f"has_{part}_color" for part in PARTS) if exclusive else ())


def evidence(said, *, words=None, likely=(), theirs=(), gains=None, against=None, visible=None, thresholds=None):
    """`said`: probability by name; `gains`: contributions by name, 1 where not given."""
    words = words or birds()
    present, contributions = torch.full((len(words),), 0.02), torch.zeros(len(words))
    prototypes = torch.full((3, len(words)), 0.01)
    for name, probability in said.items():
        present[at(words, name)] = probability
        contributions[at(words, name)] = 1.0
    for name, gain in (gains or {}).items():
        contributions[at(words, name)] = gain
    for row, given in ((SPECIES, likely), (OTHER, theirs)):
        for name in given:
            prototypes[row, at(words, name)] = 0.9
    sight = None
    if visible is not None:
        sight = torch.ones(len(words))
        for name in visible:
            sight[at(words, name)] = 0.1
    limits = torch.full((len(words),), 0.5) if thresholds is None else thresholds
    return Evidence(words, present, limits, contributions, prototypes, SPECIES, against, sight)


def at(words, name):
    part, _, value = name.partition(" ")
    return words.index(f"has_{part}_color::{value}" if value else name)


def said(seen, **more):
    """What is said where A leads: the same evidence serves A alone and A against B."""
    return select(seen, seen, **more)


def told(statements, role="why"):
    return [statement.text for statement in statements if statement.role == role]


def test_what_is_sure_and_speaks_for_it_is_named_strongest_first():
    gains = {"crown red": 1.0, "wing black": 3.0, "belly yellow": 2.0}
    found = said(evidence(dict.fromkeys(gains, 0.9), gains=gains))
    assert told(found) == ["black wings", "yellow belly", "red crown"]
    assert [one.contribution for one in found if one.role == "why"] == [3.0, 2.0, 1.0]


def test_nothing_is_said_below_its_own_threshold():
    given = {"crown red": 0.4, "wing black": 0.6}
    thresholds = torch.full((16,), 0.7)
    thresholds[at(birds(), "crown red")] = 0.3
    assert told(said(evidence(given, thresholds=thresholds))) == ["red crown"]


def test_every_named_attribute_is_a_candidate_above_its_threshold():
    words = birds()
    for seed in range(200):
        g = torch.Generator().manual_seed(seed)
        r, t, p = (torch.rand(16, generator=g) for _ in range(3))
        seen = Evidence(words, r, t, torch.randn(16, generator=g), torch.rand(3, 16, generator=g), 0, 1, p)
        for one in said(seen, most=5):
            named = [k for k in one.members if one.role in ("why", "against", "doubt", "contrast")]
            assert all(r[k] >= t[k] and p[k] >= 0.5 for k in named)
            assert one.role != "absent" or all(r[k] < t[k] and p[k] >= 0.5 for k in one.members)
            groups = [words.group_of[k] for k in one.members]
            assert len(groups) == len(set(groups))
        groups = [words.group_of[k] for one in said(seen, most=5) if one.role == "why" for k in one.members]
        assert len(groups) == len(set(groups))


def test_what_only_the_class_has_is_never_said():
    found = said(evidence({"wing black": 0.9}, likely=["crown red", "wing black"], gains={"crown red": 5.0}))
    assert [one.text for one in found] == ["black wings"]


def test_nothing_is_said_where_nothing_is_sure():
    assert said(evidence({}, likely=["crown red"], gains={"crown red": 2.0})) == ()


def test_only_the_likeliest_value_of_a_choice_is_named():
    found = said(evidence({"crown red": 0.6, "crown yellow": 0.7}, gains={"crown red": 9.0}))
    assert told(found) == ["yellow crown"]


def test_signs_count_what_speaks_against_is_not_a_reason():
    gains = {"crown red": -5.0, "wing black": 1.0, "belly yellow": -2.0}
    found = said(evidence(dict.fromkeys(gains, 0.9), gains=gains, likely=gains))
    assert told(found) == ["black wings"]
    assert told(found, "against") == ["red crown"]
    assert [one.contribution for one in found] == [1.0, -5.0]


def test_one_value_on_neighbouring_parts_is_said_once():
    given = {"breast yellow": 0.9, "belly yellow": 0.8, "throat yellow": 0.7, "crown yellow": 0.9}
    gains = {"breast yellow": 3.0, "belly yellow": 2.0, "throat yellow": 1.0, "crown yellow": 2.9}
    found = said(evidence(given, gains=gains))
    assert told(found) == ["yellow breast, belly and throat", "yellow crown"]
    words = birds()
    assert found[0].members == tuple(at(words, f"{part} yellow") for part in ("breast", "belly", "throat"))
    assert found[0].probability == pytest.approx(0.7)
    assert found[0].contribution == pytest.approx(6.0)


def test_a_chain_of_neighbours_is_found_whatever_the_order():
    gains = {"throat yellow": 3.0, "belly yellow": 2.0, "breast yellow": 1.0}
    found = said(evidence(dict.fromkeys(gains, 0.9), gains=gains))
    assert told(found) == ["yellow throat, breast and belly"]


def test_a_neighbour_that_hardly_counts_is_neither_joined_nor_said_again():
    gains = {"breast yellow": 3.0, "belly yellow": 0.1, "crown red": 0.1}
    assert told(said(evidence(dict.fromkeys(gains, 0.9), gains=gains))) == ["yellow breast", "red crown"]


def test_two_values_are_said_together_only_where_both_may_be_right():
    gains = {"wing black": 2.0, "wing red": 1.5}
    both = said(evidence(dict.fromkeys(gains, 0.9), gains=gains, words=birds(exclusive=False)))
    assert told(both) == ["black and red wings"]
    assert len(told(said(evidence(dict.fromkeys(gains, 0.9), gains=gains)))) == 1


def test_a_part_is_named_again_only_where_it_matters_much_more():
    words = Vocabulary(
        (
            Attribute("has_wing_color::red", "has_wing_color", "red", "wing", "part"),
            Attribute("has_wing_pattern::spotted", "has_wing_pattern", "spotted", "wing", "part"),
            Attribute("has_tail_shape::forked", "has_tail_shape", "forked", "tail", "part"),
        )
    )
    one = torch.ones(3)
    for tail, want in ((0.7, ["red wings", "forked tail"]), (0.1, ["red wings", "spotted wings"])):
        seen = Evidence(words, one, one / 2, torch.tensor([1.0, 0.8, tail]), torch.rand(2, 3), 0)
        assert told(said(seen, most=2)) == want


def test_equal_contributions_are_ordered_by_what_tells_the_class_apart():
    given = {"crown red": 0.9, "wing black": 0.9}
    assert told(said(evidence(given, likely=["wing black"], theirs=["crown red"]))) == [
        "black wings",
        "red crown",
    ]
    assert told(said(evidence(given, likely=["crown red"], theirs=["wing black"]))) == [
        "red crown",
        "black wings",
    ]


def test_no_more_is_said_than_asked_for():
    given = {"crown red": 0.9, "throat black": 0.9, "breast yellow": 0.9, "belly red": 0.9, "wing yellow": 0.9}
    for most in (1, 3, 5):
        assert len(told(said(evidence(given), most=most))) == most
    with pytest.raises(InputError, match="most=0"):
        said(evidence(given), most=0)


def test_a_contrast_names_the_question_that_is_answered_otherwise():
    gains = {"crown red": 2.0, "crown yellow": 0.5, "wing black": 5.0}
    found = said(
        evidence(
            {"crown red": 0.9, "wing black": 0.9},
            likely=["crown red", "wing black"],
            theirs=["crown yellow", "wing black"],
            gains=gains,
            against=OTHER,
        )
    )
    (one,) = [one for one in found if one.role == "contrast"]
    assert (one.text, one.other.text) == ("red crown", "yellow crown")
    assert one.contribution == pytest.approx(2.5)


def test_swapping_the_classes_swaps_the_roles():
    sides = {SPECIES: ["crown red"], OTHER: ["crown yellow"]}
    there = said(evidence({"crown red": 0.9}, likely=sides[0], theirs=sides[1], against=OTHER))
    back = said(evidence({"crown yellow": 0.9}, likely=sides[1], theirs=sides[0], against=OTHER))
    (one,), (two,) = ([s for s in found if s.role == "contrast"] for found in (there, back))
    assert (one.members, one.others) == (two.others, two.members)


def test_there_is_no_contrast_and_no_negation_without_a_second_class():
    found = said(evidence({"crown red": 0.9}, theirs=["crown yellow", "has_eye_ring"], gains={"has_eye_ring": 1.0}))
    assert {one.role for one in found} == {"why"}


def test_a_contrast_that_speaks_for_b_or_that_b_would_not_show_is_not_said():
    given = {"crown red": 0.9}
    for facts in (
        {"theirs": ["crown yellow"], "gains": {"crown red": -1.0}},
        {"theirs": []},
        {"theirs": ["crown yellow"], "visible": ["crown red"]},
    ):
        assert not told(said(evidence(given, against=OTHER, **facts)), "contrast")


def test_what_the_picture_has_too_is_no_contrast():
    facts = {"theirs": ["crown yellow"], "against": OTHER, "words": birds(exclusive=False)}
    assert told(said(evidence({"crown red": 0.9}, **facts)), "contrast") == ["red crown"]
    assert not told(said(evidence({"crown red": 0.9, "crown yellow": 0.6}, **facts)), "contrast")


def test_what_b_would_have_and_is_surely_missing_is_said():
    facts = {"theirs": ["has_eye_ring"], "gains": {"has_eye_ring": 1.0}, "against": OTHER}
    found = said(evidence({"has_eye_ring": 0.05}, **facts))
    (one,) = found
    assert (one.role, one.text) == ("absent", "eye ring")
    assert one.probability == pytest.approx(0.95)
    for unsure in (0.3, 0.6):
        low = torch.full((16,), 0.8)
        assert not told(said(evidence({"has_eye_ring": unsure}, thresholds=low, **facts)), "absent")
    assert not told(said(evidence({"has_eye_ring": 0.05}, visible=["has_eye_ring"], **facts)), "absent")


def test_a_part_that_cannot_be_seen_is_not_spoken_of():
    assert told(said(evidence({"crown red": 0.9, "wing black": 0.9}, visible=["wing black"]))) == ["red crown"]


def test_what_is_unusual_for_the_class_is_doubted_once():
    gains = {"crown red": 1.0, "wing black": 0.0, "belly red": 0.0}
    found = said(evidence(dict.fromkeys(gains, 0.9), gains=gains, likely=["crown red", "belly red"]))
    (one,) = [one for one in found if one.role == "doubt"]
    assert one.text == "black wings"
    assert one.share == pytest.approx(0.01)


def test_what_nobody_knows_of_the_class_is_no_doubt():
    seen = evidence({"wing black": 0.9}, gains={"wing black": 0.0})
    seen.prototypes[:] = math.nan
    assert said(seen) == ()


def test_a_change_is_said_only_where_b_would_win():
    words = birds()
    red, yellow, ring = at(words, "crown red"), at(words, "crown yellow"), words.index("has_eye_ring")
    changes = (
        Change("has_crown_color", red, yellow, "red", "yellow", 2.0),
        Change("has_eye_ring", ring, None, "", "", 1.0),
    )
    found = change(Counterfactual(SPECIES, OTHER, changes, True, 0.5, OTHER), words)
    assert [(one.text, one.members, one.others) for one in found] == [
        ("yellow crown", (yellow,), (red,)),
        ("no eye ring", (), (ring,)),
    ]
    assert change(Counterfactual(SPECIES, OTHER, changes, True, 0.5, 2), words) == ()
    assert change(Counterfactual(SPECIES, OTHER, 3 * changes, True, 0.5, OTHER), words) == ()
    assert change(Counterfactual(SPECIES, OTHER, changes, False, -0.5, SPECIES), words) == ()


def test_what_hardly_speaks_against_it_is_not_said():
    given = {"crown red": 0.9, "wing black": 0.9}
    for gain, words in ((-0.99, []), (-1.01, ["black wings"])):
        assert told(said(evidence(given, gains={"crown red": 10.0, "wing black": gain})), "against") == words


def test_no_contrast_is_said_where_the_class_does_not_lead():
    seen = evidence({"crown red": 0.9}, likely=["crown red"], theirs=["crown yellow"], against=OTHER)
    assert told(select(seen, seen), "contrast") == ["red crown"]
    assert told(select(seen), "contrast") == []


def test_a_change_of_an_answer_that_is_not_sure_is_not_said():
    words = birds()
    swap = Change("has_crown_color", at(words, "crown red"), at(words, "crown yellow"), "red", "yellow", 2.0)
    wins = Counterfactual(SPECIES, OTHER, (swap,), True, 0.5, OTHER)
    for likely, changes in ((0.9, ["yellow crown"]), (0.4, [])):
        assert told(said(evidence({"crown red": likely}), counterfactual=wins), "change") == changes


def test_the_same_evidence_gives_the_same_statements():
    given = {"crown red": 0.9, "wing black": 0.9, "belly yellow": 0.8}
    assert said(evidence(given)) == said(evidence(given))


def test_discriminativeness_is_the_share_above_the_mean_of_the_other_classes():
    seen = evidence({})
    seen.prototypes[:, 0] = torch.tensor([0.9, 0.2, 0.4])
    assert seen.discriminative[0] == pytest.approx(0.6)


def test_evidence_of_another_size_is_refused():
    with pytest.raises(InputError, match="16 attributes"):
        Evidence(birds(), torch.rand(16), torch.rand(15), torch.rand(16), torch.rand(3, 16), 0)
    with pytest.raises(InputError, match="class 5"):
        Evidence(birds(), torch.rand(16), torch.rand(16), torch.rand(16), torch.rand(3, 16), 5)


def test_of_twins_the_contrast_names_the_one_question_that_parts_them():
    words, g = birds(), torch.Generator().manual_seed(3)
    hits = 0
    for _ in range(50):
        codes = torch.randint(3, (5,), generator=g)
        planted = int(torch.randint(5, (1,), generator=g))
        twin = codes.clone()
        twin[planted] = (codes[planted] + 1) % 3
        others = torch.randint(3, (6, 5), generator=g)
        kinds = torch.nn.functional.one_hot(torch.stack([codes, twin, *others]), 3).flatten(1).float()
        prototypes = torch.cat([kinds, torch.zeros(len(kinds), 1)], 1)
        seen = (0.9 * prototypes[:1] + 0.05 * torch.rand(1, 16, generator=g)).clamp(0, 1)
        gains = linear_contributions(
            4 * prototypes, seen, prototypes.mean(0), target=torch.tensor([0]), against=torch.tensor([1])
        )
        known = Evidence(words, seen[0], torch.full((16,), 0.5), gains[0], prototypes, 0, 1)
        told = [one for one in said(known) if one.role == "contrast"]
        hits += [words.group_of[one.members[0]] for one in told] == [planted]
    assert hits == 50
