"""How the data of an audit is read, and on which pictures the network's own figures are."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.common.statistics.intervals import wilson
from sightline.errors import InputError
from sightline.tasks.attributes.audit.judged import figures, judging
from sightline.tasks.attributes.audit.trained_on import IN_MEMORY, UNSAID, DataReading, TrainedOn
from sightline.tasks.attributes.data import SPLITS, AttributeData, read_attributes
from sightline.tasks.attributes.data.kept_reading import KeptReading, SplitConfig, digests
from sightline.tasks.attributes.data.lexicon import BIRDS, read_lexicon
from sightline.tasks.attributes.network.store import load_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from tests.tasks.attributes.audit.planted import observations

pytestmark = pytest.mark.usefixtures("one_thread")
SPLIT = np.array([0] * 6 + [1] * 2 + [2] * 4, np.int8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of one class per picture, in which pictures of one patient belong together."""
    root = tmp_path / "set"
    root.mkdir()
    rows = ["file,class,Patient,colour"]
    for at in range(60):
        Image.new("RGB", (32, 32), (200, 30, 4 * at) if at % 2 else (20, 30, 4 * at)).save(root / f"{at}.png")
        rows.append(f"{at}.png,{'ab'[at % 2]},p{at // 3},{'red' if at % 2 else 'dark'}")
    (root / "birds.csv").write_text("\n".join(rows) + "\n")
    return root


def kept(data: AttributeData, **options: object) -> KeptReading:
    return KeptReading(SplitConfig().but(**options), None, digests(data))


def test_what_a_recipe_asks_for_comes_back_with_its_words(tmp_path: Path) -> None:
    path = tmp_path / "words.toml"
    path.write_text('whole = "cap"\nmarks = ["dot"]\n[parts]\ncap = ["hat"]\n[colors]\nred = ["crimson"]\n')
    recipe = EatRecipe().but(
        attributes="mined", word_list=str(path), labels=("cap", "stem"), held_out=0.25, validation=0.2, seed=7
    )
    own = KeptReading.of(recipe, {"train": "abc"})
    path.unlink()
    again = KeptReading.from_json(own.to_json())
    assert again == own
    assert again.words is not None
    assert again.words.kinds["crimson"] == ("colors", "red")
    assert (again.options.labels, again.options.held_out, again.options.seed) == (("cap", "stem"), 0.25, 7)
    assert KeptReading.of(EatRecipe(), {}).words is None
    assert KeptReading.of(EatRecipe().but(attributes="mined"), {}).words == BIRDS


@pytest.mark.parametrize("content", ['{"options": {"color": 1}}', '{"options": {"held_out": 7.0}}', "[]", "{"])
def test_a_damaged_reading_is_refused(content: str) -> None:
    with pytest.raises((ValueError, InputError)):
        KeptReading.from_json(content)


def test_digests_are_of_names_below_the_root_and_of_each_split(folder: Path, tmp_path: Path) -> None:
    data = read_attributes(folder, group_by="Patient")
    own = digests(data)
    assert set(own) == {"train", "validation"}
    moved = folder.rename(tmp_path / "moved")
    assert digests(read_attributes(moved, group_by="patient")) == own
    assert digests(read_attributes(moved, group_by="patient", seed=5)) != own
    assert digests(data.take(range(59)))["train"] != own["train"] or data.split[59] == 1


def test_the_file_says_how_data_is_read_and_what_is_asked_wins(folder: Path) -> None:
    own = kept(read_attributes(folder, group_by="Patient", seed=3), group_by="Patient", seed=3)
    plain = DataReading.of(TrainedOn(), set(), own)
    data = plain.read(folder, "auto")
    assert data.groups
    assert plain.command() == []
    assert plain.described().endswith("which its file says: --group-by Patient --seed 3")
    assert plain.same_splits(data) == {"train", "validation", "test"}
    assert plain.doubts(data) == ()
    asked = DataReading.of(TrainedOn(seed=0), {"seed"}, own)
    assert asked.options == TrainedOn(group_by="Patient", seed=0)
    assert asked.command() == ["--seed", "0"]
    assert asked.described().endswith("--group-by Patient; asked instead: --seed 0")
    other = asked.read(folder, "auto")
    assert asked.same_splits(other) == frozenset()
    assert "the train and validation pictures of this data are not those" in asked.doubts(other)[0]


def test_what_nobody_kept_is_doubted(folder: Path) -> None:
    data = read_attributes(folder)
    old = DataReading.of(TrainedOn(group_by="Patient"), {"group_by"}, None)
    assert (old.doubts(data), old.described(), old.same_splits(data)) == ((UNSAID,), "", frozenset())
    assert old.command() == ["--group-by", "Patient"]
    drawn = DataReading.of(TrainedOn(), set(), KeptReading(SplitConfig()))
    assert (drawn.doubts(data), drawn.same_splits(data)) == ((IN_MEMORY,), frozenset())


def test_pictures_beside_those_of_the_training_were_not_learnt_from(folder: Path) -> None:
    data = read_attributes(folder)
    own = kept(replace(data, split=np.where(np.arange(60) > 50, 2, data.split).astype(np.int8)))
    some = [row for row in range(60) if row <= 50 or row == 55]
    less = replace(data, split=np.where(np.arange(60) > 50, 2, data.split).astype(np.int8)).take(some)
    assert DataReading(TrainedOn(), own).same_splits(less) == {"train", "validation", "test"}
    fewer = less.take([row for row in range(len(less)) if row != 3])
    assert "test" not in DataReading(TrainedOn(), own).same_splits(fewer)


def test_words_come_from_the_file_until_others_or_none_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "words.toml"
    path.write_text('[parts]\ncap = ["hat"]\n[colors]\nred = []\n')
    mined = KeptReading(SplitConfig(attributes="mined", word_list="lost.toml"), read_lexicon(path))
    assert DataReading.of(TrainedOn(), set(), mined).words == mined.words
    other = DataReading.of(TrainedOn(word_list="b.toml"), {"word_list"}, mined)
    assert (other.words, other.options.word_list) == (None, "b.toml")
    plain = DataReading.of(TrainedOn(attributes="annotated"), {"attributes"}, mined)
    assert (plain.words, plain.options.word_list, plain.command()) == (None, None, ["--attributes", "annotated"])


@pytest.mark.parametrize(
    ("known", "here", "rows", "words"),
    [
        (SPLITS, {0, 1, 2}, 2, "4 test pictures, which it did not learn from"),
        (SPLITS, {0, 1}, 1, "2 validation pictures, which chose its epoch"),
        (SPLITS, {0}, 0, "6 training pictures, which it learnt from"),
        (("validation",), {0, 1, 2}, 1, "2 validation pictures, which chose its epoch"),
        ((), {0, 1, 2}, 2, "4 test pictures of this data; whether it learnt from them is not known"),
        ((), {0}, 0, "6 training pictures of this data; whether it learnt from them is not known"),
    ],
)
def test_a_network_is_judged_on_what_it_did_not_learn_from(
    known: tuple[str, ...], here: set[int], rows: int, words: str
) -> None:
    split = SPLIT[np.isin(SPLIT, list(here))]
    own, what = judging(split, known)
    assert (own.numpy() == (split == rows)).all()
    assert what == words


def test_the_accuracy_is_of_these_pictures_alone_beside_their_most_frequent_class() -> None:
    seen, _ = observations(300)
    split = np.arange(300) % 3
    wrong = torch.from_numpy(split == 2) & (torch.arange(300) < 90)
    seen = replace(seen, class_logits=torch.where(wrong[:, None], -seen.class_logits, seen.class_logits))
    own = figures(seen, split.astype(np.int8), SPLITS)
    right = int((seen.decided == seen.labels)[split == 2].sum())
    low, high = wilson(right, 100)
    assert own["class accuracy"].startswith(f"{right / 100:.3f} ({low:.3f} to {high:.3f}) on 100 test pictures")
    share = int(seen.labels[split == 2].bincount().max()) / 100
    assert own["the most frequent class of these"] == f"{share:.3f}"


def test_pictures_without_a_class_give_no_accuracy_and_say_so() -> None:
    seen, _ = observations(30)
    split = (np.arange(30) % 3).astype(np.int8)
    seen = replace(seen, labels=torch.where(torch.from_numpy(split == 2), -1, seen.labels))
    assert figures(seen, split, SPLITS) == {
        "class accuracy": "unknown: no class of 10 test pictures, which it did not learn from"
    }


def test_an_audit_reads_as_the_training_did_and_says_what_its_figure_is_of(folder: Path, tmp_path: Path) -> None:
    net, out = tmp_path / "net.safetensors", tmp_path / "audit"
    words = [
        "train",
        "eat",
        "--toy",
        "--epochs",
        "1",
        "--weights",
        "random",
        "--data",
        str(folder),
        "--out",
        str(net),
    ]
    done = CliRunner().invoke(app, [*words, "--group-by", "patient", "--seed", "3", "--validation-share", "0.2"])
    assert done.exit_code == 0, done.output
    own = load_attribute_net(net).kept_reading
    assert own is not None
    assert asdict(own.options) | {"group_by": "patient", "seed": 3, "validation": 0.2} == asdict(own.options)
    ask = ["audit", "eat", "--weights", str(net), "--data", str(folder), "--out", str(out), "--kind", "constant"]
    plain = CliRunner().invoke(app, ask)
    assert plain.exit_code == 0, plain.output
    assert "which its file says: --group-by patient --validation-share 0.2 --seed 3" in plain.output.replace(
        "\n", " "
    )
    summary = json.loads((out / "summary.json").read_text())
    assert "validation pictures, which chose its epoch" in summary["facts"]["class accuracy"]
    assert "--group-by" not in summary["command"]
    assert "which its file says: --group-by patient" in (out / "audit.html").read_text()
    asked = CliRunner().invoke(app, [*ask, "--seed", "0"])
    assert asked.exit_code == 0, asked.output
    summary = json.loads((out / "summary.json").read_text())
    assert "whether it learnt from them is not known" in summary["facts"]["class accuracy"]
    assert summary["command"].endswith("--seed 0")
