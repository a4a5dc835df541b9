"""`sightline explain --texts`: a row per picture, safe in spreadsheets, resumable, bad pictures passed over."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sightline.cli.texts as texts
from sightline.cli.app import app
from sightline.errors import ResultError

SCENE = Path(texts.__file__).parents[1] / "assets" / "scene.png"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a.png", "=1+1.png", "c.png"):
        shutil.copy(SCENE, folder / name)
    (folder / "bad.png").write_bytes(SCENE.read_bytes()[:500])
    return folder


def run(folder: Path | str, out: Path, *more: str) -> tuple[int, str]:
    arguments = ["explain", str(folder), "--model", "birdnet", "--method", "gradcam", "--layers", "last"]
    done = CliRunner().invoke(app, [*arguments, "--texts", str(out), *more])
    return done.exit_code, done.output


def test_each_picture_has_a_row_and_a_bad_one_says_why(photos: Path, tmp_path: Path) -> None:
    code, output = run(photos, tmp_path / "out.csv")
    assert code == 1  # a picture could not be read
    assert "4 rows" in output
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert set(rows) == {"a.png", "=1+1.png", "c.png", "bad.png"}
    assert "damaged" in rows["bad.png"]["error"]
    good = rows["a.png"]
    assert good["error"] == ""
    assert good["text"].startswith(("This is", "This looks", "The network"))
    assert 0 < float(good["probability"]) <= 1
    assert not (tmp_path / "out.csv.work").exists()
    assert not (tmp_path / "sightline_out").exists()


def test_json_holds_phrases_with_their_roles(photos: Path, tmp_path: Path) -> None:
    for name in ("out.json", "out.jsonl"):
        run(photos / "a.png", tmp_path / name)
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row == json.loads((tmp_path / "out.jsonl").read_text())
    assert tuple(row) == texts.COLUMNS
    assert all(phrase["role"] not in texts.UNSEEN for phrase in row["seen"])


@pytest.mark.parametrize("start", texts.FORMULAS)
def test_no_cell_runs_as_a_formula(start: str) -> None:
    row = dict.fromkeys(texts.COLUMNS, "") | {
        "file": f"{start}x.png",
        "seen": [{"text": "=red", "role": "why", "probability": 0.9}],
        "typical": [],
        "score": -1.5,
    }
    (cells,) = list(csv.reader(texts.as_csv([row]).splitlines()[1:]))
    assert not cells[0].startswith(texts.FORMULAS)
    assert cells[6] == "'=red 0.90"
    assert float(cells[4]) == -1.5  # a number stays one


def test_a_run_that_stopped_goes_on_and_ends_the_same(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(photos, tmp_path / "whole.jsonl")
    monkeypatch.setattr(texts, "CHUNK", 2)
    asked: list[int] = []
    whole = texts.explained

    def cut(inputs, *rest):  # type: ignore[no-untyped-def]
        asked.append(len(inputs))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return whole(inputs, *rest)

    monkeypatch.setattr(texts, "explained", cut)
    assert run(photos, tmp_path / "out.jsonl")[0] != 0
    assert not (tmp_path / "out.jsonl").exists()
    with (tmp_path / "out.jsonl.work" / "rows.jsonl").open("a") as file:
        file.write('{"file": "cut sho')
    asked.clear()
    asked += [0, 0]
    run(photos, tmp_path / "out.jsonl")
    assert sum(asked) == 1  # the last good one; those before it were not read again

    def lines(name: str) -> list[dict[str, object]]:
        rows = sorted(map(json.loads, (tmp_path / name).read_text().splitlines()), key=lambda row: row["file"])
        return [{key: row[key] for key in ("file", "decision", "text", "where", "error")} for row in rows]

    assert lines("out.jsonl") == lines("whole.jsonl")


def test_another_runs_rows_and_a_file_of_the_user_are_left_alone(photos: Path, tmp_path: Path) -> None:
    out = texts.Texts(tmp_path / "out.csv")
    out.work.mkdir()
    out.rows.write_text('{"file": "x", "error": ""}\n')
    (out.work / "run.json").write_text('{"seed": 9}')
    code, output = run(photos / "a.png", out.path)
    assert code == 1
    assert "begin anew" in output
    out.path.write_text("mine")
    with pytest.raises(ResultError, match="is there already"):
        out.check()
    assert out.path.read_text() == "mine"


def test_options_that_do_not_go_together_are_refused(photos: Path, tmp_path: Path) -> None:
    assert "leave --format" in run(photos, tmp_path / "out.csv", "--format", "png")[1]
    assert ".csv" in run(photos, tmp_path / "out.txt")[1]
