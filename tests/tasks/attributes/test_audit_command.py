"""`sightline audit eat`: a page, a table, and sentences for what cannot be audited."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.tasks.attributes.data import read_attributes
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.network.store import save_attribute_net
from sightline.worlds.aviary import World, WorldConfig
from sightline.worlds.aviary.layout import write_world

run = CliRunner().invoke


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    config = WorldConfig(species=4, seed=3, attribute_noise=0.05)
    return write_world(World(config), tmp_path_factory.mktemp("world") / "birds", 60, size=48)


@pytest.fixture(scope="module")
def weights(world, tmp_path_factory):
    data = read_attributes(world)
    spec = AttributeSpec(
        backbone="timm:mobilenetv3_small_050", classes=data.classes, vocabulary=data.vocabulary, join="fusion",
        size=48,
        preprocess={"size": [48, 48], "mean": [0.5] * 3, "std": [0.25] * 3},
    )  # fmt: skip
    torch.manual_seed(0)
    net = AttributeNet(spec)
    return save_attribute_net(net.eval(), tmp_path_factory.mktemp("net") / "net.safetensors")


def asked(weights, world, out, *more):
    words = ["audit", "eat", "--weights", str(weights), "--data", str(world), "--out", str(out), "--scenes", "3"]
    return run(app, [*words, *more])


@pytest.fixture(scope="module")
def audited(weights, world, tmp_path_factory):
    """An audit of everything, in which heads are judged on few pictures: its folder, and what it printed."""
    out = tmp_path_factory.mktemp("audited") / "audit"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sightline.tasks.attributes.audit.unread.LEAST", 5)
        done = asked(weights, world, out, "--json")
    assert done.exit_code == 0, done.output
    return out, json.loads(done.stdout)


def test_page_and_tables_say_the_same(audited):
    out, said = audited
    records = json.loads((out / "findings.json").read_text())
    rows = list(csv.DictReader((out / "findings.csv").open()))
    assert said["findings"] == records
    assert [row["id"] for row in rows] == [record["id"] for record in records]
    assert all(json.loads(row["evidence"]) == record["evidence"] for row, record in zip(rows, records, strict=True))
    page = (out / "audit.html").read_text()
    heads = list(csv.DictReader((out / "heads.csv").open()))
    assert len(heads) == said["kinds"]["unread"]["tested"]
    assert all(float(one["skill over the class, from"]) <= float(one["skill over the class"]) for one in heads)
    assert said["kinds"]["background"]["says"].startswith("Class maps have")
    assert all(f'id="{kind}"' in page for kind in said["kinds"])
    assert set(json.loads((out / "summary.json").read_text())["kinds"]) == set(said["kinds"])
    assert all(count["tested"] or count["skipped"] for count in said["kinds"].values())


def test_the_command_of_a_finding_prints_it_again(audited, monkeypatch):
    monkeypatch.setattr("sightline.tasks.attributes.audit.unread.LEAST", 5)
    records = audited[1]["findings"]
    assert records
    first = records[-1]
    again = run(app, [*first["command"].split()[1:], "--json"])
    assert again.exit_code == 0, again.output
    assert [one for one in json.loads(again.stdout)["findings"] if one["id"] == first["id"]] == [first]


def test_a_table_for_people(weights, world, tmp_path):
    done = asked(weights, world, tmp_path / "audit", "--kind", "constant,label-noise", "--count", "30")
    assert done.exit_code == 0, done.output
    assert "constant" in done.stdout
    assert "background" not in done.stdout
    assert "not tested: 30 pictures are too few" in " ".join(done.stdout.split())


def test_another_network_is_refused(world, tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    done = asked(tmp_path / "plain.safetensors", world, tmp_path / "audit")
    assert done.exit_code == 1
    assert "not 'attributes'" in done.output
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--kind", "backgroud"), "near names: 'background'"),
        (("--split", "trian"), "near names: 'train'"),
    ],
)
def test_near_names_are_listed(weights, world, tmp_path, more, text):
    done = asked(weights, world, tmp_path / "audit", *more)
    assert done.exit_code == 1
    assert text in " ".join(done.output.split())


def test_a_folder_of_something_else_is_left_alone(weights, world, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = asked(weights, world, tmp_path)
    assert done.exit_code == 1
    assert (tmp_path / "mine.txt").read_text() == "mine"
