"""The verbs of `world` answer programs as well as people."""

import json

import pytest
from typer.testing import CliRunner

from sightline.cli.app import app

VERBS = {
    "render": (("--out", "birds", "--count", "4", "--size", "32"), {"scenes": 4, "species": 20}),
    "cues": (("--scenes", "20"), {"required": "foreground"}),
    "measure": (("--count", "4", "--size", "48"), {"size": 48}),
    "sheet": (("--out", "sheet.png", "--count", "2", "--columns", "2", "--size", "48"), {"out": "sheet.png"}),
    "certify": (("--pairs", "4"), {"cue": "foreground"}),
}


@pytest.mark.parametrize("verb", VERBS)
def test_json_is_all_that_is_written(tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    words, facts = VERBS[verb]
    result = CliRunner().invoke(app, ["world", verb, *words, "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert {name: record[name] for name in facts} == facts
