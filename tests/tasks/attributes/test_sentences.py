import pytest
import torch

from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.explain.evidence import Evidence
from sightline.tasks.attributes.explain.nouns import Words, joined, phrases
from sightline.tasks.attributes.explain.parsing import parse
from sightline.tasks.attributes.explain.selection import Statement, select
from sightline.tasks.attributes.explain.sentences import (
    Manner,
    against,
    class_name,
    contrast,
    doubt,
    label_shares,
    shares,
    tell,
    unsure,
    why,
)  # fmt: skip
from sightline.worlds.aviary import attributes as aviary


def vocabulary(names, exclusive=()):
    parts = [name.split("::") if "::" in name else (name, "yes") for name in names]
    return Vocabulary(tuple(Attribute(n, g, v) for n, (g, v) in zip(names, parts, strict=True)), exclusive)


def birds():
    return vocabulary(aviary.names(), tuple(group.name for group in aviary.GROUPS))


def narrate(statements, name, other=None, *, causal=True):
    return " ".join(sentence.text for sentence in tell(statements, name, other, manner=Manner(causal=causal)))


def statement(words, *names, role="why", other=None, share=None):
    ats = tuple(words.index(name) for name in names)
    others = () if other is None else (words.index(other),)
    said = phrases(words)
    return Statement(
        role, ats, joined([said[at] for at in ats]), 0.9, 1.0, others, said[others[0]] if others else None, share
    )


RED, BLUE = "has_crown_color::red", "has_crown_color::blue"
BREAST, BELLY, LEGS = "has_breast_color::yellow", "has_belly_color::yellow", "has_leg_color::black"


def everything(words):
    return [
        statement(words, RED),
        statement(words, BREAST, BELLY),
        statement(words, RED, role="contrast", other=BLUE),
        statement(words, LEGS, role="contrast", other="has_leg_color::grey"),
        statement(words, "has_head_pattern::eyebrow", role="absent"),
        statement(words, LEGS, role="against"),
        statement(words, "has_tail_shape::forked", role="doubt", share=0.02),
        statement(words, BLUE, role="change", other=RED),
    ]


def test_the_whole_text_reads_as_it_always_did():
    assert narrate(everything(birds()), "012.Red_capped_Wren", "Olive_Finch") == (
        "This is a Red-capped Wren because it has a red crown and a yellow breast and belly. "
        "It is a Red-capped Wren rather than an Olive Finch, which would have a blue instead of a red crown and grey "
        "instead of black legs. "
        "Unlike a typical Olive Finch, it has no eyebrow stripe. "
        "Its black legs speak against it. "
        "The model also saw a forked tail, which is unusual for a Red-capped Wren (only 2 % of training pictures). "
        "It would be an Olive Finch if it had a blue instead of a red crown."
    )


def test_without_a_path_from_words_to_class_nothing_is_called_a_cause():
    words = birds()
    said = narrate([statement(words, RED), statement(words, LEGS)], "Wren", causal=False)
    assert said == (
        "This is a Wren; associated with this decision (not shown to cause it): a red crown and black legs."
    )
    assert "because" not in said


def test_a_text_about_nothing_says_so():
    assert narrate((), "Ovenbird") == ("This looks like an Ovenbird, but no attribute is sure enough to be named.")
    only = statement(birds(), LEGS, role="against")
    assert narrate([only], "Ovenbird").startswith(unsure("Ovenbird", others=True))
    assert "speak against" in narrate([only], "Ovenbird")


def test_without_a_second_class_nothing_is_said_of_it():
    assert "rather" not in narrate(everything(birds()), "Wren")
    assert "would be" not in narrate(everything(birds()), "Wren")


def test_words_of_all_verbs_make_sentences():
    said = [Words("hooves"), Words("fast", verb="is"), Words("hops", verb=""), Words("the arctic", verb="lives in")]
    ones = [Statement("why", (), words, 0.9, 1.0, share=0.0) for words in said]
    assert why("zebra", ones) == "This is a zebra because it has hooves, is fast, hops and lives in the arctic."
    assert against(ones[1]) == "That it is fast speaks against it."
    assert doubt("zebra", ones[2]) == (
        "The model also saw that it hops, which is unusual for a zebra (none of the training pictures)."
    )
    assert doubt("zebra", ones[0]).startswith("The model also saw hooves, which")


def test_swapping_the_classes_swaps_their_names_and_their_words():
    words = birds()
    there = contrast("Wren", "Finch", [statement(words, RED, role="contrast", other=BLUE)])
    back = contrast("Finch", "Wren", [statement(words, BLUE, role="contrast", other=RED)])
    assert there == "It is a Wren rather than a Finch, which would have a blue instead of a red crown."
    assert back == "It is a Finch rather than a Wren, which would have a red instead of a blue crown."


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("001.Black_footed_Albatross", "Black-footed Albatross"),
        ("191.Red_headed_Woodpecker", "Red-headed Woodpecker"),
        ("158.Bay_breasted_Warbler", "Bay-breasted Warbler"),
        ("159.Black_and_white_Warbler", "Black-and-white Warbler"),
        ("188.American_Three_toed_Woodpecker", "American Three-toed Woodpecker"),
        ("025.Pelagic_Cormorant", "Pelagic Cormorant"),
        ("180.Worm_eating_Warbler", "Worm-eating Warbler"),
        ("Red_breasted_merganser", "Red-breasted merganser"),
        ("Bird_of_Paradise", "Bird of Paradise"),
        ("grizzly+bear", "grizzly bear"),
        ("German_shepherd", "German shepherd"),
        ("airport_terminal", "airport terminal"),
    ],
)
def test_class_names_are_written_as_people_write_them(name, want):
    assert class_name(name) == want


def test_no_class_of_cub_keeps_a_number_or_an_underscore(pack):
    lines = (pack / "cub_200_2011_subset" / "CUB_200_2011" / "classes.txt").read_text().splitlines()
    cleaned = [class_name(line.split()[1]) for line in lines]
    assert len(set(cleaned)) == 200
    assert not [name for name in cleaned if "_" in name or any(letter.isdigit() for letter in name)]


def test_every_sentence_leads_back_to_its_attributes():
    words = birds()
    for one in everything(words):
        text = narrate([one], "Red-capped Wren", "Olive Finch")
        assert sorted(parse(text, words)) == sorted(one.named), text
    named = {at for one in everything(words) for at in one.named}
    assert set(parse(narrate(everything(words), "Red crown Wren", "Blue belly"), words)) == named


def cub(pack):
    file = pack / "cub_200_2011_subset" / "CUB_200_2011" / "attributes.txt"
    names = [line.split()[1] for line in file.read_text().splitlines()]
    return vocabulary(names)


def animals(pack):
    lines = (pack / "awa2_attributes" / "predicates.txt").read_text().splitlines()
    return vocabulary([line.split()[1] for line in lines])


@pytest.mark.parametrize("source", [cub, animals])
def test_every_attribute_comes_back_alone_in_every_kind_of_sentence(pack, source):
    words = source(pack)
    for name in words.names:
        for role in ("why", "absent", "against", "doubt", "change"):
            one = statement(words, name, role=role, share=0.0)
            for causal in (True, False):
                text = narrate([one], "Blue Whale", "Red_winged_Ant", causal=causal)
                assert parse(text, words) == one.members, text


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_is_selected_at_random_comes_back_from_its_text(pack, exclusive):
    words = cub(pack)
    if exclusive:
        words = vocabulary(words.names, tuple(group.name for group in words.groups))
    merged = 0
    for seed in range(150):
        g = torch.Generator().manual_seed(seed)
        k = len(words)
        seen = Evidence(
            words, torch.rand(k, generator=g), torch.full((k,), 0.5), torch.randn(k, generator=g),
            torch.rand(4, k, generator=g), 0, 1,
        )  # fmt: skip
        said = select(seen, seen, most=5)
        merged += sum(len(one.members) > 1 for one in said)
        for causal in (True, False):
            text = narrate(said, "Black_footed_Albatross", "Yellow_breasted_Chat", causal=causal)
            assert sorted(parse(text, words)) == sorted({at for one in said for at in one.named}), text
    assert merged > 20


def test_a_value_of_one_attribute_is_not_read_into_the_next():
    words = birds()
    assert [
        words.names[at] for at in parse("This is a Wren because it has a red crown and a blue belly.", words)
    ] == [
        RED,
        "has_belly_color::blue",
    ]
    assert parse("This is a red crown Wren.", words) == ()


def test_a_longer_name_is_not_read_as_a_shorter_one():
    words = vocabulary(("natural", "natural light", "enclosed area", "semi-enclosed area", "sand"))
    for name in words.names:
        assert parse(narrate([statement(words, name)], "Beach"), words) == (words.index(name),)
    assert parse("This is a beach because it is an un-enclosed area.", words) == ()


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (-0.5, "Attributes speak against its lead of 2 over a Wren (by 0.5); features without a name carry it."),
        (0.5, "Attributes carry 0.5 of its lead of 2 over a Wren; features without a name carry the rest."),
        (
            3.0,
            "Attributes carry its lead of 2 over a Wren (by 3); features without a name take 1 away.",
        ),
    ],
)
def test_no_more_than_the_lead_is_a_part_of_the_lead(moved: float, words: str) -> None:
    assert shares("Wren", moved, 2.0) == words
    against = label_shares(moved, 2.0).endswith("features without a name take 1 away.")
    assert against is (moved > 2)
