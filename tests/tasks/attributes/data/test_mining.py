"""What sentences say of colours and patterns of parts, on sentences made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import BIRDS, Lexicon, read_attributes, read_lexicon
from sightline.tasks.attributes.data.captions import read_captions
from sightline.tasks.attributes.data.mined import answers, count_mentions
from sightline.tasks.attributes.data.mining import mentions

SENTENCES = {
    # lists and ranges
    "A bird with black and white wings.": "wing black, wing white",
    "a white head, neck, throat, and breast.": "head white, nape white, throat white, breast white",
    "Its belly is white and black wings.": "belly white, wing black",
    "orange bill, white crown, and black eyering": "bill orange, crown white, eye ring black",
    "an orange, pointed bill": "bill orange",
    "black wings and a long beak": "wing black",
    "brown back, white belly, and dark grey wings": "back brown, belly white, wing grey",
    # synonyms
    "a gray beak and a grey tummy": "bill grey, belly grey",
    "an orange-billed bird with reddish coverts": "bill orange, wing red",
    "the abdomen is greyish": "belly grey",
    # a verb between
    "wings that are black and a bill that is orange": "wing black, bill orange",
    "its bill is long and orange": "bill orange",
    "the bill of the bird is orange": "bill orange",
    "its wings, tail, and back are black": "wing black, tail black, back black",
    "the bill is black and the crown is red": "bill black, crown red",
    # marks and places
    "a black bird with a red patch on its wings": "body black, wing red",
    "wings with white spots": "wing white, wing spotted",
    "white spots on its brown back": "back brown, back white, back spotted",
    "a speckled breast": "breast spotted",
    # all of it
    "this bird is black with white and has a very short beak": "body black, body white",
    "it is covered in brown feathers": "body brown",
    "black feathers covering the rest of its body": "body black",
    "all black except for its white belly": "belly white",
    "black covering most of its body except its chest, belly and vent which is white": (
        "body black, breast white, belly white"
    ),
    # denials
    "no white on the wings and a black bill": "-wing white, bill black",
    "this bird lacks white wing bars": "-wing white",
    "it doesn't have a red crown": "-crown red",
    "without any red or yellow on its tail": "-tail red, -tail yellow",
    "the belly isn’t white": "-belly white",
    "not only black wings": "wing black",
    "white wings, but no white on the wings": "",
    # nothing
    "A large bird near the water.": "",
    "": "",
}


def spoken(text: str, words: Lexicon = BIRDS) -> set[str]:
    return {f"{'-' * one.denied}{one.part} {one.value}" for one in mentions(text, words)}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_says_what_it_says(sentence):
    assert spoken(sentence) == {one for one in SENTENCES[sentence].split(", ") if one}


def test_case_and_blanks_do_not_matter():
    for sentence in SENTENCES:
        assert spoken(f"  {sentence.upper()}  ") == spoken(sentence)


def test_agreement_is_certainty():
    captions = [
        ["a white belly", "the belly is white", "black wings"],
        ["a white belly", "black wings", "a bird"],
        ["no white on the belly", "black wings", "black wings"],
        ["a white belly"],
        [],
    ]
    counts = count_mentions(captions)
    belly = counts.names.index(("belly", "color", "white"))
    targets, weights = answers(counts)
    # two agree; one alone is not known; one denies it; the only one says it; nobody wrote
    assert targets[:, belly].tolist() == [1, 0, 0, 1, 0]
    assert weights[:, belly].tolist() == [1, 0, 1, 1, 0]
    wing = counts.names.index(("wing", "color", "black"))
    assert weights[:, wing].tolist() == [0, 0, 1, 0.5, 0]


def captioned(folder: Path, rows: dict[str, list[str]]) -> Path:
    """A table of photos with sentences of COCO's form beside it."""
    from PIL import Image

    lines = ["file,class,split,note"]
    for number, name in enumerate(rows):
        Image.new("RGB", (8, 8)).save(folder / name)
        lines.append(f"{name},{'ab'[number % 2]},train,x")
    (folder / "attributes.csv").write_text("\n".join(lines))
    images = [{"id": at, "file_name": name} for at, name in enumerate(rows)]
    pairs = [(at, text) for at, texts in enumerate(rows.values()) for text in texts]
    annotations = [{"image_id": at, "caption": text} for at, text in pairs]
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


ROWS = {
    f"{at}.png": ["a red bill", "its beak is red"] if at % 3 else ["black wings", "wings of black", "a dog"]
    for at in range(12)
}


def test_captions_of_any_set_become_attributes_of_its_pictures(tmp_path):
    data = read_attributes(captioned(tmp_path, ROWS), mined=BIRDS)
    assert data.vocabulary.names == ("has_bill_color::red", "has_wing_color::black")
    want = [[1, 0] if int(file.stem) % 3 else [0, 1] for file in data.files]
    assert data.targets.tolist() == want
    assert data.level == "image"
    assert any("mined from 28 sentences" in note for note in data.notes)
    twice = read_attributes(tmp_path, mined=BIRDS)
    assert np.array_equal(twice.weights, data.weights)


def test_sentences_are_found_as_files_as_coco_and_as_a_plain_table(tmp_path):
    files = [tmp_path / "images" / "001.Finch" / f"{name}.jpg" for name in "ab"]
    (tmp_path / "text" / "001.Finch").mkdir(parents=True)
    (tmp_path / "text" / "001.Finch" / "a.txt").write_text("one\ntwo\n")
    assert read_captions(tmp_path, files) == (("one", "two"), ())
    other = tmp_path / "other"
    other.mkdir()
    (other / "captions.json").write_text(json.dumps({"b.jpg": ["three"]}))
    assert read_captions(other, files) == ((), ("three",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"z.jpg": ["three"]}, "for none of the 1 photos"),
        ({"a.jpg": "three"}, "not a table of sentences"),
        ([1], "not a table of sentences"),
        ({"annotations": [{"caption": "x"}], "images": []}, "not a table of sentences"),
        (None, "no sentences for the photos"),
    ],
)
def test_sentences_that_do_not_fit_are_refused(tmp_path, content, says):
    root = tmp_path / "set"
    root.mkdir()
    if content is not None:
        (root / "captions.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=says):
        read_captions(root, [root / "a.jpg"])


def test_words_of_other_things_come_from_a_file(tmp_path):
    path = tmp_path / "cars.toml"
    path.write_text(
        'whole = "car"\nmarks = ["stripe"]\n[parts]\ncar = ["cars", "vehicle"]\nroof = ["top"]\n[colors]\nred = []\n'
        'grey = ["gray"]\n[patterns]\nrusty = ["rust"]\n'
    )
    words = read_lexicon(path)
    assert spoken("a red car with a gray top", words) == {"car red", "roof grey"}
    assert spoken("the vehicle is rusty", words) == {"car rusty"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[colors]\nred = []", "names no parts"),
        ("[parts]\nbill = []", "neither colors nor patterns"),
        ("[parts]\nbill = 'beak'\n[colors]\nred = []", "not a list of words"),
        ("parts = 3\n[colors]\nred = []", "not a table"),
        ("[parts]\nbill = []\n[colours]\nred = []", "'colours'"),
        ("whole = 'x'\n[parts]\nbill = []\n[colors]\nred = []", "whole object 'x'"),
    ],
)
def test_a_word_list_that_does_not_fit_is_refused(tmp_path, text, says):
    (tmp_path / "words.toml").write_text(text)
    with pytest.raises(DataError, match=says):
        read_lexicon(tmp_path / "words.toml")


def test_a_word_with_two_meanings_is_refused():
    with pytest.raises(DataError, match="each word"):
        mentions("a red bill", Lexicon({"bill": ("red",)}, {"red": ()}, {}))


def test_sentences_without_a_common_attribute_are_refused(tmp_path):
    with pytest.raises(DataError, match="common enough"):
        read_attributes(captioned(tmp_path, {f"{at}.png": ["a dog"] for at in range(4)}), mined=BIRDS)


def test_the_sentences_of_cub_give_attributes_that_differ_within_classes(pack):
    data = read_attributes(pack / "cub_200_2011_subset" / "CUB_200_2011", incomplete=True, mined=BIRDS)
    truth, labels = data.targets, data.labels
    means = np.stack([truth[labels == y].mean(0) for y in np.unique(labels)])
    inner = ((truth - means[np.unique(labels, return_inverse=True)[1]]) ** 2).mean(0).sum()
    assert len(data.vocabulary) >= 16
    assert 0.55 < inner / truth.var(0).sum() < 0.7


def test_a_training_takes_mined_attributes(tmp_path):
    from sightline.errors import TrainingError
    from sightline.tasks.attributes.data.pictures import gather
    from sightline.tasks.attributes.recipe import EatRecipe

    (tmp_path / "set").mkdir()
    folder = captioned(tmp_path / "set", ROWS)
    recipe = EatRecipe().but(attributes="mined", size=8)
    pictures = gather(folder, recipe, tmp_path / "work")
    assert pictures.vocabulary.names == ("has_bill_color::red", "has_wing_color::black")
    (tmp_path / "words.toml").write_text('[parts]\nwing = ["wings"]\n[colors]\nblack = []\n')
    own = gather(folder, recipe.but(word_list=str(tmp_path / "words.toml")), tmp_path / "work")
    assert own.vocabulary.names == ("has_wing_color::black",)
    with pytest.raises(TrainingError, match="--attributes mined"):
        gather(folder, EatRecipe().but(size=8, word_list="x.toml"), tmp_path / "work")


def test_what_as_many_deny_as_affirm_is_not_there():
    counts = count_mentions(
        [["a white belly", "the belly is white", "no white on the belly", "the belly isn't white"]]
    )
    targets, weights = answers(counts)
    assert (targets.tolist(), weights.tolist()) == ([[0.0]], [[1.0]])
