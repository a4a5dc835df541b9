"""A photo larger than the network's input is explained tile by tile."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app
from sightline.cli.job import ExplainJob, JobResult, run
from sightline.cli.texts import Texts, run_texts
from sightline.cli.tiled import together
from sightline.errors import InputError, ResultError
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from sightline.reports.page_picture import picture_of_page
from sightline.reports.subject import subjects_of


class Colours(nn.Module):
    """Scores of red, green and blue: the mean of each channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.conv.weight.data = torch.eye(3)[:, :, None, None]

    def forward(self, x):
        return self.conv(x).mean((2, 3))


@pytest.fixture(scope="module")
def model():
    settings = Preprocess((16, 16), mean=(0.0,) * 3, std=(1.0,) * 3)
    return LoadedModel(Colours().eval(), "colours", ("red", "green", "blue"), settings)


@pytest.fixture(scope="module")
def photo():
    """Blue, with a red square in the upper right."""
    image = Image.new("RGB", (96, 64), (0, 0, 200))
    image.paste((250, 0, 0), (64, 0, 96, 32))
    return image


def test_the_evidence_of_a_class_lies_where_it_is_in_the_photo(model, photo):
    item = sightline.explain_tiles(model, photo, 32, overlap=0.0, target="red", method="gradxact").one()
    map_ = item.flow.main.values
    assert map_.shape == (32, 48)
    assert float(map_[:16, 32:].sum() / map_.sum()) == pytest.approx(1.0, abs=1e-5)
    assert item.original.whole


def test_the_score_is_the_mean_over_the_tiles(model, photo):
    item = sightline.explain_tiles(model, photo, 32, overlap=0.0, target="red", method="gradxact").one()
    page = picture_of_page(subjects_of([item])[0])
    assert page.image
    assert not page.seen  # the network saw tiles, and never the photo as a whole
    assert item.decision.score == pytest.approx(250 / 255 / 6, rel=1e-4)
    rows = item.provenance["tiles"]["rows"]
    assert [row["top"] for row in rows] == ["blue", "blue", "red", "blue", "blue", "blue"]
    assert item.decision.probability is None


def test_without_a_target_the_tiles_choose_the_class(model, photo):
    item = sightline.explain_tiles(model, photo, 32, overlap=0.0, method="gradxact").one()
    assert item.decision.label == "blue"
    assert item.sentences[:2] == (
        "Read in 6 tiles of 32 x 32 pixels, 3 across and 2 down.",
        "Overall: blue, the top class of 5 of 6 tiles, with the largest sum of probabilities there.",
    )
    assert item.sentences[-1] == "Top classes of the tiles: blue 5, red 1."


def test_a_network_whose_input_is_not_square_reads_tiles_of_its_shape(model):
    upright = replace(model, preprocess=model.preprocess.with_(size=(16, 12)))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 72, 3), dtype=np.uint8))
    item = sightline.explain_tiles(upright, image, 24, overlap=0.0, target="red", method="gradxact").one()
    boxes = [(24 * x, 32 * y, 24 * x + 24, 32 * y + 32) for y in range(2) for x in range(3)]
    reds = [np.array(image.crop(box).resize((12, 16), Image.Resampling.BILINEAR))[..., 0] / 255 for box in boxes]
    expected = np.block([reds[:3], reds[3:]])
    assert item.decision.score == pytest.approx(expected.mean(), rel=1e-5)
    assert np.allclose(item.flow.main.values, expected / (16 * 12), atol=1e-6)


def test_a_photo_smaller_than_a_tile_is_read_without_bars(model, photo):
    item = sightline.explain_tiles(model, photo, 400, overlap=0.0, target="red", method="gradxact").one()
    left, right = (np.array(photo)[:, columns, 0].mean() / 255 for columns in (slice(0, 64), slice(32, 96)))
    assert item.decision.score == pytest.approx((left + right) / 2, rel=0.02)
    assert item.sentences[0] == (
        "Read in 2 tiles of 64 x 64 pixels, 2 across and 1 down; the photo is too small for tiles of 400."
    )


def test_all_tiles_of_a_photo_of_16_bits_have_the_levels_of_the_photo(model):
    values = np.full((32, 96), 1000, dtype=np.uint16)
    values[:, 32:64], values[:, 64:] = 2000, 5000
    image = Image.fromarray(values)
    item = sightline.explain_tiles(model, image, 32, overlap=0.0, target="red", method="gradxact").one()
    scores = [row["score"] for row in item.provenance["tiles"]["rows"]]
    assert scores[2] > 0.25
    assert scores[:2] == pytest.approx([scores[2] / 5, scores[2] * 2 / 5], abs=0.003)
    assert item.provenance["notes"]


def test_the_value_that_is_white_holds_for_tiles(model, tmp_path):
    Image.fromarray(np.full((40, 40), 2047, dtype=np.uint16)).save(tmp_path / "deep.png")
    job = ExplainJob(tmp_path / "out", ("arrays",), target="red", tiles=24, levels={"white": 8188.0, "black": 0.0})
    result = run([tmp_path / "deep.png"], model, job, result=JobResult(), step=lambda path: None)
    assert result.photos[0]["explanations"][0]["score"] == pytest.approx(0.25, abs=0.003)


@pytest.fixture
def folder(photo, tmp_path):
    """Two photos of one name, a small one, one too long and thin, and a damaged one."""
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / name).parent.mkdir()
        photo.rotate(180 if name[0] == "b" else 0).save(tmp_path / name)
    photo.resize((20, 14)).save(tmp_path / "small.png")
    Image.new("RGB", (6000, 4)).save(tmp_path / "thin.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a/x.png").read_bytes()[:60])
    return tmp_path


def test_a_folder_is_read_in_tiles_photo_by_photo(model, photo, folder):
    upright = replace(model, preprocess=model.preprocess.with_(size=(16, 12)))
    job = ExplainJob(folder / "out", ("html",), target="red", methods=("gradxact",), tiles=24, batch_size=3)
    names = ("a/x.png", "cut.png", "b/x.png", "small.png", "thin.png")
    files, steps = [folder / name for name in names], []
    result = run(files, upright, job, result=JobResult(), step=steps.append)
    assert steps == files
    assert [error["source"].rpartition("/")[2] for error in result.errors] == ["cut.png", "thin.png"]
    assert "at most 2500 are read" in result.errors[1]["error"]
    assert [record["source"] for record in result.photos] == [str(files[at]) for at in (0, 2, 3)]
    assert len({record["folder"] for record in result.photos}) == 3
    for record, image in zip(result.photos, (photo, photo.rotate(180), photo.resize((20, 14))), strict=True):
        alone = sightline.explain_tiles(upright, image, 24, target="red", method="gradxact").one()
        assert record["explanations"][0]["score"] == pytest.approx(alone.decision.score, rel=1e-6)
        assert record["explanations"][0]["sentences"] == list(alone.sentences)
        assert {"page.html", "thumbnail.jpg", "tiles.csv"} <= set(record["files"])
    page = (folder / "out/index.html").read_text()
    assert page.count("thumbnail.jpg") == 3
    assert "cut.png" in page


def test_large_photos_are_open_one_at_a_time(tmp_path):
    assert together(ExplainJob(tmp_path, tiles=512, batch_size=64), 4) == 1
    assert together(ExplainJob(tmp_path, batch_size=64), 4) == 64
    assert together(ExplainJob(tmp_path), 4) == 4


def test_texts_of_other_tiles_are_not_continued(model, folder):
    job = ExplainJob(folder, target="red", methods=("gradxact",), tiles=24)
    files, texts, steps = [folder / "a/x.png", folder / "b/x.png"], Texts(folder / "texts.csv"), iter([None])
    with pytest.raises(StopIteration):
        run_texts(files, model, job, texts, result=JobResult(), step=lambda: next(steps))
    for other in (replace(job, tiles=32), replace(job, overlap=0.5)):
        with pytest.raises(ResultError):
            run_texts(files, model, other, texts, result=JobResult(), step=lambda: None)
    assert run_texts(files, model, job, texts, result=JobResult(), step=lambda: None) == 2


def test_how_many_tiles_go_together_changes_nothing(model, photo):
    one, all_ = (
        sightline.explain_tiles(model, photo, 24, target="red", method="gradxact", batch_size=size).one()
        for size in (1, 64)
    )
    assert torch.allclose(one.flow.main.values, all_.flow.main.values, atol=1e-7)


def test_a_decision_that_differs_among_tiles_is_refused(model, photo):
    with pytest.raises(InputError, match="name one class"):
        sightline.explain_tiles(model, photo, 32, target="top2")
    with pytest.raises(InputError, match="name one class"):
        sightline.explain_tiles(model, photo, 32, target="red", contrast="runner-up", method="gradxact", overlap=0.0)


def test_the_command_writes_a_table_of_tiles(photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo.resize((240, 160)).save("big.png")
    network = ("-m", "timm:test_convnext", "--weights", "random", "--layers", "last")
    result = CliRunner().invoke(app, ["explain", "big.png", "--tiles", "80", "--format", "png", *network])
    assert result.exit_code == 0, result.output
    assert "Read in 12 tiles of 80 x 80 pixels" in " ".join(result.stdout.split())
    with (tmp_path / "sightline_out/big/tiles.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--tiles", "80", "--set", "a=b"), "--set"),
        (("--tiles", "80", "--box", "top3"), "--box"),
    ],
)
def test_what_tiles_cannot_do_is_refused(photo, tmp_path, monkeypatch, options, reason):
    monkeypatch.chdir(tmp_path)
    photo.save("big.png")
    result = CliRunner().invoke(
        app, ["explain", "big.png", *options, "-m", "timm:test_convnext", "--weights", "random"]
    )
    assert result.exit_code != 0
    assert reason in " ".join(str(result.output).split())
