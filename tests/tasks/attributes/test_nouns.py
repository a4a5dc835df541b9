import re

import pytest

from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.explain.nouns import (
    Words,
    an,
    base,
    clauses,
    denied,
    instead,
    joined,
    past,
    phrases,
    plain,
    touching,
)
from sightline.tasks.attributes.explain.wordlists import NEIGHBOURS
from sightline.worlds.aviary import attributes as aviary


def vocabulary(names, **facts):
    parts = [name.split("::") if "::" in name else (name, "yes") for name in names]
    return Vocabulary(tuple(Attribute(n, g, v, **facts) for n, (g, v) in zip(names, parts, strict=True)))


def said(*names, **facts):
    return [f"{words.verb} {words}".strip() for words in phrases(vocabulary(names, **facts))]


@pytest.fixture
def cub(pack):
    file = pack / "cub_200_2011_subset" / "CUB_200_2011" / "attributes.txt"
    return vocabulary([line.split()[1] for line in file.read_text().splitlines()])


def test_all_names_of_cub_are_said_in_plain_letters_and_no_two_alike(cub):
    texts = [words.text for words in phrases(cub)]
    assert len(texts) == len(set(texts)) == 312
    assert all(re.fullmatch(r"[a-z]+([ -][a-z]+)*", text) for text in texts)
    assert not [text for text in texts if re.search(r"(\b\w+\b) \1\b", text)]


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("has_crown_color::red", "has a red crown"),
        ("has_eye_color::black", "has a black eye"),
        ("has_crown_color::orange", "has an orange crown"),
        ("has_bill_shape::dagger", "has a dagger-shaped bill"),
        ("has_bill_shape::curved_(up_or_down)", "has a curved bill"),
        ("has_bill_shape::hooked_seabird", "has a hooked seabird bill"),
        ("has_bill_length::about_the_same_as_head", "has a bill about as long as the head"),
        ("has_breast_pattern::spotted", "has a spotted breast"),
        ("has_breast_pattern::solid", "has a solid-colored breast"),
        ("has_tail_shape::forked_tail", "has a forked tail"),
        ("has_tail_shape::forked", "has a forked tail"),
        ("has_tail_shape::fan-shaped_tail", "has a fan-shaped tail"),
        ("has_wing_shape::rounded-wings", "has rounded wings"),
        ("has_upper_tail_color::blue", "has a blue upper tail"),
        ("has_under_tail_color::blue", "has a blue undertail"),
        ("has_upperparts_color::olive", "has olive upperparts"),
        ("has_leg_color::grey", "has grey legs"),
        ("has_head_pattern::eyering", "has an eye ring"),
        ("has_head_pattern::unique_pattern", "has a unique head pattern"),
        ("has_size::very_small_(3_-_5_in)", "has a very small size"),
        ("has_shape::perching-like", "has a perching-bird shape"),
        ("has_shape::owl-like", "has an owl-like shape"),
        ("has_primary_color::blue", "has mainly blue plumage"),
    ],
)
def test_a_bird_attribute_is_said_as_people_say_it(name, want):
    assert said(name) == [want]


def test_all_names_of_the_aviary_are_said_and_no_two_alike():
    texts = [words.text for words in phrases(vocabulary(aviary.names()))]
    assert len(set(texts)) == len(aviary.names())
    assert not [text for text in texts if re.search(r"[_:()]", text)]


def test_all_predicates_of_awa2_are_said_with_a_verb_that_fits(pack):
    lines = (pack / "awa2_attributes" / "predicates.txt").read_text().splitlines()
    names = [line.split()[1] for line in lines]
    found = dict(zip(names, said(*names), strict=True))
    assert len(set(found.values())) == 85
    assert not [text for text in found.values() if text.startswith("shows")]
    assert found["hooves"] == "has hooves"
    assert found["fast"] == "is fast"
    assert found["flys"] == "flies"
    assert found["arctic"] == "lives in the arctic"
    assert found["newworld"] == "lives in the New World"
    assert found["vegetation"] == "eats plants"
    assert found["longneck"] == "has a long neck"


def test_the_same_name_is_said_as_its_data_set_means_it():
    assert said("ocean", "furry", "flys")[0] == "lives in the ocean"
    assert said("ocean", "sailing/ boating", "trees") == [
        "shows the ocean",
        "shows sailing or boating",
        "shows trees",
    ]
    assert said("wood (not part of a tree)", "open area", "dry") == ["shows cut wood", "is an open area", "is dry"]


def test_columns_of_a_table_are_said_by_rule():
    assert said("pigment_network::atypical", "streaks::irregular") == [
        "has an atypical pigment network",
        "has irregular streaks",
    ]
    assert said("blue_whitish_veil::present", "blue_whitish_veil::absent") == [
        "shows blue whitish veil",
        "shows no blue whitish veil",
    ]
    assert said("has_horns", "is_red", "is_red::no", "can_fly", "Wearing_Hat", "Black_Hair") == [
        "has horns",
        "is red",
        "is not red",
        "can fly",
        "wears a hat",
        "shows black hair",
    ]
    assert said("size::4", "number_of_legs::2") == ["has a size of 4", "has a number of legs of 2"]
    assert said("horn", scope="part") == ["has a horn"]
    assert said("osteophyte_grade", kind="ordinal") == ["has a high osteophyte grade"]


def test_two_attributes_that_would_read_alike_are_called_by_their_whole_names():
    assert said("bill::red", "has_bill_color::red") == ["has bill red", "has bill color red"]


@pytest.mark.parametrize(
    ("word", "want"),
    [
        *[
            (word, "an")
            for word in ("orange bill", "Acadian Flycatcher", "Ivory Gull", "hour", "unnamed", "Umbrella")
        ],
        *[(word, "a") for word in ("red bill", "European Goldfinch", "unique pattern", "one-eyed", "Ewe", "house")],
    ],
)
def test_the_article_goes_by_the_sound(word, want):
    assert an(word) == want


def words(text, **kwargs):
    value, noun = text.split(" ", 1)
    return Words(noun, value, **kwargs)


def test_one_value_on_neighbouring_parts_is_one_phrase():
    yellow = [words(f"yellow {part}", article="a") for part in ("breast", "belly", "throat")]
    assert str(joined(yellow[:2])) == "a yellow breast and belly"
    assert str(joined(yellow)) == "a yellow breast, belly and throat"
    assert joined([words("yellow breast"), words("yellow crown")]) is None
    assert joined([words("yellow breast"), words("red belly")]) is None
    assert joined([Words("eye ring"), Words("eye line")]) is None


def test_two_values_of_one_noun_are_one_phrase():
    assert str(joined([words("black wings"), words("white wings")])) == "black and white wings"
    assert joined([Words("plumage", "mainly black"), Words("plumage", "mainly white")]) is None


def test_parts_touch_both_ways():
    assert touching("breast", "belly")
    assert touching("belly", "breast")
    assert not touching("crown", "belly")


def test_clauses_gather_what_goes_with_one_verb():
    many = [
        Words("tail", verb="has", article="a"),
        Words("fast", verb="is"),
        Words("hooves"),
        Words("swims", verb=""),
    ]
    assert clauses(many) == "has a tail and hooves, is fast and swims"


def test_words_can_be_denied_and_put_after_would_and_if():
    cases = [
        (Words("crown", "red", article="a"), "has no red crown", "have a red crown", "had a red crown"),
        (Words("fast", verb="is"), "is not fast", "be fast", "were fast"),
        (Words("forager", verb="is", article="a"), "is not a forager", "be a forager", "were a forager"),
        (Words("flies", verb=""), "does not fly", "fly", "did fly"),
        (Words("hops", verb=""), "does not hop", "hop", "did hop"),
        (Words("the sea", verb="lives in"), "does not live in the sea", "live in the sea", "did live in the sea"),
        (Words("sand", verb="shows"), "shows no sand", "show sand", "did show sand"),
        (Words("fly", verb="can"), "can not fly", "be able to fly", "could fly"),
    ]
    for one, missing, would, did in cases:
        assert f"{denied(one).verb} {denied(one)}" == missing
        assert " ".join(base(one)).strip() == would
        assert " ".join(past(one)) == did


def test_a_denied_no_is_a_yes():
    assert str(denied(denied(Words("crown", "red", article="a")))) == "a red crown"
    assert str(denied(Words("no horizon"))) == "a horizon"


def test_one_answer_stands_instead_of_another():
    red, blue = words("red crown", article="a"), words("orange crown", article="an")
    assert instead(red, blue) == "a red instead of an orange crown"
    assert instead(words("red wings"), words("blue wings")) == "red instead of blue wings"
    assert instead(red, Words("eye ring", article="an")) == "a red crown instead of an eye ring"


def test_plain_keeps_abbreviations():
    assert plain("Left_MRI_grade_(0-4)") == "left MRI grade"


def test_neighbours_are_nouns_that_birds_have_and_stand_once(cub):
    nouns = {words.noun for words in phrases(cub)}
    pairs = [(one, other) for one, others in NEIGHBOURS.items() for other in others]
    assert {noun for pair in pairs for noun in pair} <= nouns
    assert not [pair for pair in pairs if pair[::-1] in pairs]


def test_the_verb_after_words_knows_whether_they_are_many():
    many = [*said_words("has_leg_color::grey", "hooves"), Words("teeth for meat"), Words("breast and belly", "red")]
    assert [one.plural for one in many] == [True, True, True, True]
    few = [*said_words("has_crown_color::grey", "has_primary_color::blue"), Words("number of legs", article="a")]
    assert [one.plural for one in few] == [False, False, False]


def said_words(*names):
    return phrases(vocabulary(names))
