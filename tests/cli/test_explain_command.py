"""`sightline explain` from inside: what it writes, what it says, and what it leaves alone when something is wrong."""

import json
import os
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from sightline.api.other_maps import ALONE
from sightline.cli.app import app
from sightline.cli.explain import _photos

MODEL = ("-m", "timm:test_convnext", "--weights", "random")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, with two photos."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).integers(0, 255, (2, 90, 120, 3), np.uint8)
    for name, pixels in zip(("one.png", "zwei ö.jpg"), values, strict=True):
        Image.fromarray(pixels).save(name)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def explain(*arguments):
    return run("explain", *arguments, *MODEL)


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_photo_gives_a_folder_of_all_formats(here):
    result = explain("one.png", "--format", "png,gif", "--format", "html,arrays", "--method", "gradcam,layercam")
    assert result.exit_code == 0, result.output
    files = ["arrays.safetensors", "manifest.json", "montage.png", "page.html", "summary.json", "walk.gif"]
    assert tree(here / "sightline_out") == ["one", *(f"one/{name}" for name in files)]
    assert "montage.png" in result.stdout
    assert "layercam" in result.stdout


def test_json_holds_what_a_script_needs_and_nothing_else_is_printed(here):
    result = explain("one.png", "--json", "--format", "arrays", "--topk", "2")
    facts = json.loads(result.stdout)
    (photo,) = facts["photos"]
    first, second = photo["explanations"]
    assert facts["errors"] == []
    assert facts["model"]["model"] == "timm:test_convnext"
    assert photo["files"] == ["arrays.safetensors", "manifest.json", "summary.json"]
    assert photo["folder"] == os.path.join("sightline_out", "one")
    assert first["score"] >= second["score"]
    assert 0 < first["probability"] < 1
    layer = first["layers"][0]
    assert {"layer", "status", "shape", "min", "max", "mean", "sum"} <= layer.keys()
    written = json.loads((here / "sightline_out" / "one" / "summary.json").read_text())
    assert written["explanations"] == photo["explanations"]


def test_what_is_written_can_be_loaded_and_says_where_it_is_from(here):
    import sightline

    explain("one.png", "--format", "arrays", "--seed", "4")
    found = sightline.load(here / "sightline_out" / "one").one()
    assert found.source == "one.png"
    assert found.image.shape == (3, 160, 160)
    assert found.provenance["weights"] == "random, seed 4"
    assert found.provenance["preprocess"]["size"] == [160, 160]


def test_preprocessing_can_be_changed(here):
    result = explain("one.png", "--size", "64x96", "--mean", "0.5", "--std", "0.5", "--fit", "pad", "--json")
    assert json.loads(result.stdout)["model"]["preprocess"] == {
        "size": [64, 96],
        "resize": 67,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "interpolation": "bicubic",
        "fit": "pad",
    }


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("href", "src")]


def test_the_network_of_drawn_birds_shows_a_drawn_scene_where_no_photo_is_named():
    (scene,) = _photos(None, "birdnet")
    assert scene.name == "scene.png"
    assert _photos(None, None) == [scene]
    with pytest.raises(typer.BadParameter):
        _photos(None, "resnet18")


def test_several_photos_get_their_own_folders_and_one_index(here):
    (here / "sub").mkdir()
    Image.new("RGB", (30, 30), "green").save(here / "sub" / "one.png")
    result = explain(here, "--out", "results", "--format", "html")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (here / "results").iterdir()) == ["index.html", "one", "one-2", "zwei ö"]
    links = Links()
    links.feed((here / "results" / "index.html").read_text(encoding="utf-8"))
    folders = ("one", "one-2", "zwei%20%C3%B6")
    files = [f"{folder}/{name}" for folder in folders for name in ("page.html", "thumbnail.jpg")]
    assert [link for link in links.found if not link.startswith(("data:", "#"))] == files


def test_wrong_labels_are_marked_where_the_true_classes_are_known(here):
    (here / "truth.csv").write_text("image,label\none.png,goldfish\nzwei ö.jpg,unicorn\n", encoding="utf-8")
    result = explain("one.png", "zwei ö.jpg", "--truth", "truth.csv", "--format", "html", "--json")
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)["photos"]
    right = first["explanations"][0]["decision"] == "goldfish"
    assert (first["truth"], first["right"]) == ("goldfish", right)
    assert (second["truth"], second["right"]) == ("unicorn", None)
    text = (here / "sightline_out" / "index.html").read_text(encoding="utf-8")
    assert ("✓ right" if right else "✗ true class: goldfish") in text
    assert "true class: unicorn" in text


def test_a_class_that_was_asked_for_is_neither_right_nor_wrong(here):
    (here / "truth.csv").write_text("image,label\none.png,goldfish\n", encoding="utf-8")
    result = explain("one.png", "--truth", "truth.csv", "--target", "goldfish", "--format", "arrays", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["photos"][0]["right"] is None


def test_labels_are_escaped_in_the_index(here):
    names = "\n".join(f"<b>class {number}</b>" for number in range(1000))
    (here / "labels.txt").write_text(names)
    explain("one.png", "zwei ö.jpg", "--labels", "labels.txt", "--format", "html")
    text = (here / "sightline_out" / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;class" in text
    assert "<b>" not in text


def test_a_bad_photo_among_many_is_reported_and_the_others_go_on(here):
    (here / "bad.jpg").write_bytes(b"no picture")
    result = explain("one.png", "bad.jpg", "missing.png", "zwei ö.jpg", "--json", "--format", "arrays")
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert [photo["source"] for photo in facts["photos"]] == ["one.png", "zwei ö.jpg"]
    assert [error["source"] for error in facts["errors"]] == ["missing.png", "bad.jpg"]
    assert "error: 'bad.jpg' is not an image file" in result.stderr
    assert sorted(path.name for path in (here / "sightline_out").iterdir()) == ["one", "zwei ö"]


def test_notes_on_odd_photos_are_said(here):
    Image.new("CMYK", (50, 50)).save("ink.tif")
    assert "CMYK" in explain("ink.tif", "--format", "arrays").stderr


BAD = {
    "missing photo": (["missing.png"], "there is no file"),
    "no picture": (["bad.jpg"], "not an image file of a known format"),
    "empty folder": (["empty"], "holds no picture"),
    "unknown class": (["one.png", "--target", "zebre"], "'zebra'"),
    "class out of range": (["one.png", "--target", "1000"], "0 to 999"),
    "unknown method": (["one.png", "--method", "gradcm"], "'gradcam'"),
    "unknown layer": (["one.png", "--layers", "stages.9"], "no layer 'stages.9'"),
    "unknown format": (["one.png", "--format", "pgn"], "'png'"),
    "out is a file": (["one.png", "--out", "bad.jpg/x"], "is a file"),
    "size": (["one.png", "--size", "big"], "--size 'big' is not understood"),
    "mean": (["one.png", "--mean", "0.5,0.5"], "3 channels"),
    "std": (["one.png", "--std", "a"], "--std 'a' is not understood"),
    "model argument": (["one.png", "--model-arg", "7"], "--model-arg '7' is not understood"),
    "labels": (["one.png", "--labels", "labels.txt"], "1 names, but the model has 1000"),
    "device": (["one.png", "--device", "cuda:77"], "CUDA devices are there"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(here, arguments, says):
    (here / "bad.jpg").write_bytes(b"no picture")
    (here / "labels.txt").write_text("only one")
    (here / "empty").mkdir()
    before = tree(here)
    result = explain(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert says in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert tree(here) == before


def test_a_model_that_cannot_take_the_size_says_so(here):
    result = run("explain", "one.png", "-m", "timm:test_vit", "--weights", "random", "--size", "100")
    assert result.exit_code == 1
    assert "cannot take an input of 100 x 100" in result.stderr
    assert "img_size=100" in result.stderr


@pytest.mark.parametrize("arguments", [["-m", "resnet18"], ["one.png", "--topk", "2", "--target", "3"]])
def test_options_that_exclude_each_other_are_wrong_usage(here, arguments):
    assert run("explain", *arguments).exit_code == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_sentence(here):
    (here / "locked").mkdir(mode=0o500)
    result = explain("one.png", "--out", "locked")
    assert result.exit_code == 1
    assert "no permission" in result.stderr


def test_an_older_result_is_replaced_and_anything_else_is_left_alone(here):
    assert explain("one.png", "--format", "arrays,png").exit_code == 0
    assert explain("one.png", "--format", "arrays").exit_code == 0
    assert "one/montage.png" not in tree(here / "sightline_out")
    (here / "mine" / "one").mkdir(parents=True)
    (here / "mine" / "one" / "thesis.txt").write_text("years of work")
    result = explain("one.png", "--out", "mine")
    assert result.exit_code == 1
    assert "left alone" in result.stderr
    assert tree(here / "mine") == ["one", "one/thesis.txt"]


def test_an_error_on_the_way_keeps_the_older_result(here, monkeypatch):
    from sightline import reports
    from sightline.errors import ResultError

    explain("one.png", "--format", "arrays")
    before = tree(here)

    def full(*arguments, **options):
        raise ResultError("the disk is full")

    monkeypatch.setattr(reports, "save_page", full)
    assert explain("one.png", "--format", "arrays,html").exit_code == 1
    assert tree(here) == before


@pytest.mark.pack
def test_real_weights_and_photos_by_the_command_line(here, pack):
    photo = pack / "photos_with_masks" / "both_dog_cat.png"
    weights = pack / "models" / "mobilenet_v2_imagenet.safetensors"
    arguments = ("--weights", weights, "--target", "tiger cat", "--contrast", "bull mastiff", "--json")
    result = run("explain", photo, "-m", "mobilenet_v2", *arguments, "--format", "png,html,arrays")
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(result.stdout)["photos"][0]["explanations"]
    assert "tiger cat" in found["decision"]
    assert found["layers"][-1]["status"] == "ok"


@pytest.fixture
def scene(here):
    """The bundled scene under two names, and a folder with masks of their halves."""
    pixels = Image.open(resources.files("sightline") / "assets" / "scene.png").convert("RGB")
    (here / "masks").mkdir()
    for name, side in (("left", 0), ("right", 1)):
        pixels.save(f"{name}.png")
        mask = np.zeros(pixels.size[::-1], np.uint8)
        half = pixels.size[0] // 2
        mask[:, side * half : (side + 1) * half] = 255
        Image.fromarray(mask).save(here / "masks" / f"{name}.png")
    return here


def energies(photo):
    return [one["energy"] for one in photo["explanations"][0]["phrases"] if one["energy"] is not None]


def test_masks_say_how_much_of_each_phrase_lies_on_the_object(scene):
    result = run(
        "explain", "left.png", "right.png", "--model", "birdnet", "--masks", "masks", "--format", "arrays", "--json"
    )
    assert result.exit_code == 0, result.output
    left, right = (energies(photo) for photo in json.loads(result.stdout)["photos"])
    assert left
    assert np.add(left, right) == pytest.approx(1.0, abs=1e-4)
    assert max(left + right) > 0.55
    phrases = json.loads(result.stdout)["photos"][0]["explanations"][0]["phrases"]
    assert [one["object_area"] for one in phrases if one["energy"] is not None] == [0.5] * len(left)
    # one photo twice: what the other's maps have on this one's half is the mean of its own phrases
    others = [one["object_others"] for one in phrases if one["energy"] is not None]
    assert others == pytest.approx([np.mean(left)] * len(left), abs=5e-3)
    words = "explain left.png --model birdnet --masks masks/left.png --format arrays --json --out alone"
    alone = run(*words.split())
    (photo,) = json.loads(alone.stdout)["photos"]
    assert {one["object_others"] for one in photo["explanations"][0]["phrases"]} == {None}
    assert ALONE in photo["notes"]
    bare = run("explain", "left.png", "--format", "arrays", "--json")
    assert ALONE not in json.loads(bare.stdout)["photos"][0]["notes"]
    assert energies(json.loads(bare.stdout)["photos"][0]) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("left.png", "right.png", "--masks", "masks/left.png"), "names one file for 2 photos"),
        (("left.png", "--masks", "nowhere"), "neither a file nor a folder"),
        (("other.png", "--masks", "masks"), "holds no mask of the name 'other'"),
        (("small.png", "--masks", "masks/left.png"), "they must be of one size"),
    ],
)
def test_masks_that_do_not_fit_are_refused(scene, words, said):
    Image.open("left.png").save("other.png")
    Image.open("left.png").resize((50, 40)).save("small.png")
    result = run("explain", *words)
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.stderr.split())
    assert not (scene / "sightline_out").exists()


def decisions(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["photos"][0]["explanations"]


@pytest.mark.parametrize("mode", ["softmax", "sigmoid", "given", "none", "auto"])
def test_probabilities_are_as_the_user_says(here, mode):
    (item,) = decisions(explain("one.png", "--json", "--format", "arrays", "--target", "5", "--probabilities", mode))
    score = item["score"]
    if mode == "sigmoid":
        assert item["probability"] == pytest.approx(1 / (1 + np.exp(-score)), abs=1e-6)
    elif mode in ("given", "none"):
        assert item["probability"] == (pytest.approx(score) if mode == "given" else None)
    else:
        assert 0 < item["probability"] < 0.1


def test_a_class_is_set_apart_from_those_most_like_it(here):
    asked = ("one.png", "--json", "--format", "arrays", "--target", "5", "--method", "gradcam")
    (alone,) = decisions(explain(*asked, "--contrast", "closest:2", "--contrast-weight", "0"))
    (apart,) = decisions(explain(*asked, "--contrast", "closest:2"))
    (plain,) = decisions(explain(*asked))
    assert alone["score"] == pytest.approx(plain["score"], abs=1e-6)
    assert apart["score"] != plain["score"]
    assert apart["decision"].endswith("(closest by the classifier)")


def test_a_value_is_explained_up_and_down(here):
    up, down = decisions(explain("one.png", "--json", "--format", "arrays", "--target", "both value:7"))
    assert up["score"] == pytest.approx(-down["score"])
    assert up["probability"] is None
    assert up["decision"].startswith("higher ")
    assert down["decision"].startswith("lower ")


def test_one_logit_may_have_two_labels(here):
    (here / "two.txt").write_text("benign\nmalignant\n")
    (item,) = decisions(
        explain("one.png", "--json", "--format", "arrays", "--labels", "two.txt", "--model-arg", "num_classes=1")
    )
    assert item["decision"] in ("benign", "malignant")
    assert item["probability"] > 0.5
    assert item["score"] > 0
