"""A photo larger than the network's input is explained tile by tile."""

import csv

import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app
from sightline.errors import InputError
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess


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
        (("--tiles", "500"), "do not fit"),
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
