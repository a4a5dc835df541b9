"""`sightline gates sites` and `sightline gates list` say what the library says."""

import json

import pytest
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.errors import GateError
from sightline.gates import GATES


def run(*words):
    return CliRunner().invoke(app, ["gates", *words])


def test_sites_of_a_network_as_json():
    done = run("sites", "resnet18", "--scheme", "2,1,0,3", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["lengths"] == [2, 2, 2, 2]
    assert found["scheme"] == "10|01|00|11"
    assert [site["path"] for site in found["sites"] if site["plugged"]] == [
        "layer1.0", "layer2.1", "layer4.0", "layer4.1",
    ]  # fmt: skip


def test_sites_of_the_bundled_network_as_a_table():
    done = run("sites", "birdnet")
    assert done.exit_code == 0, done.output
    assert "stage1.0" in done.stdout
    assert "110|" not in done.stdout


@pytest.mark.parametrize("words", [("vgg11",), ("resnet18", "--scheme", "7,7,7,7")])
def test_what_cannot_be_is_one_sentence(words):
    done = run("sites", *words)
    assert done.exit_code == 1
    assert not isinstance(done.exception, GateError)
    assert done.stderr.startswith("error: ")


def test_the_list_names_every_gate():
    done = run("list", "--json")
    assert [row["gate"] for row in json.loads(done.stdout)] == list(GATES)
