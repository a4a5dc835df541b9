"""A comparison reads real layouts, keeps its budget, can be resumed, and writes a page that can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.compare import Settings, compare, draw, prepare, read_samples, with_controls, within_budget
from sightline.compare.measure import forwards_per_sample
from sightline.errors import DataError, InputError, MethodError, ResultError
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from tests.tiny import build

pytest.importorskip("pyarrow", reason="comparisons are written with pyarrow: pip install 'sightline[audit]'")


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Six photos in COCO's form; the object is a bright box in the upper left."""
    (tmp_path / "coco" / "images").mkdir(parents=True)
    notes, images = [], []
    for i in range(6):
        picture = Image.effect_noise((24, 24), 20 + i).convert("RGB")
        picture.paste((255, 255, 255), (4, 2, 12, 10))
        picture.save(tmp_path / "coco" / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png"})
        notes.append({"image_id": i, "category_id": 1, "bbox": [4, 2, 8, 8]})
    content = {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "box"}]}
    (tmp_path / "coco" / "instances.json").write_text(json.dumps(content))
    return tmp_path / "coco"


def loaded() -> LoadedModel:
    return LoadedModel(build("residual"), "tiny", None, Preprocess((16, 16)), {"model": "tiny"})


def settings(**changes: object) -> Settings:
    facts = {"methods": with_controls(["gradcam", "gradxact"]), "metrics": ("energy-in-mask", "deletion"),
             "options": {"deletion": {"steps": 3}}}  # fmt: skip
    return Settings(**(facts | changes))  # type: ignore[arg-type]


def test_masks_go_through_the_same_cutting_as_the_photos(coco: Path) -> None:
    batch = prepare(read_samples(coco)[:2], Preprocess((24, 24), mean=(0.0,) * 3, std=(1.0,) * 3))
    assert batch.masks[0].nonzero().min(0).values.tolist() == [2, 4]
    assert batch.masks[0].nonzero().max(0).values.tolist() == [9, 11]
    assert (batch.inputs[0][:, batch.masks[0]] == 1).all()
    cut = prepare(read_samples(coco)[:1], Preprocess((12, 12), resize=24, mean=(0.0,) * 3, std=(1.0,) * 3))
    assert (cut.inputs[0][:, cut.masks[0]] == 1).all()
    assert cut.masks.sum() == 6 * 4


def test_a_comparison_has_every_method_place_and_metric_once_per_sample(coco: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    answer = compare(loaded(), read_samples(coco), settings(), folder=tmp_path / "out")
    table = pyarrow.parquet.read_table(tmp_path / "out" / "table.parquet").to_pylist()
    assert len(table) == 6 * 6 * 3 * 2
    assert {row["place"] for row in table} == {"early", "middle", "late"}
    assert {s.method for s in answer.standings if s.control} == {"uniform", "gaussian", "edges", "random"}
    uniform = [r["value"] for r in table if r["method"] == "uniform" and r["metric"] == "energy-in-mask"]
    assert all(value != value or value == pytest.approx(36 / 256, abs=0.06) for value in uniform)


def test_a_stopped_comparison_is_resumed_to_the_same_table(coco: Path, tmp_path: Path) -> None:
    whole = compare(loaded(), read_samples(coco), settings(), folder=tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(loaded(), read_samples(coco), settings(), folder=tmp_path / "out", step=stop)
    assert not (tmp_path / "out" / "table.parquet").exists()
    first = (tmp_path / "out" / "shards" / "00000.parquet").stat().st_mtime_ns
    resumed = compare(loaded(), read_samples(coco), settings(), folder=tmp_path / "out")
    assert (tmp_path / "out" / "shards" / "00000.parquet").stat().st_mtime_ns == first
    assert resumed.verdict == whole.verdict
    assert (tmp_path / "out" / "table.parquet").read_bytes() == (tmp_path / "whole" / "table.parquet").read_bytes()


def test_a_folder_with_another_comparison_is_refused(coco: Path, tmp_path: Path) -> None:
    compare(loaded(), read_samples(coco)[:2], settings(), folder=tmp_path)
    with pytest.raises(ResultError, match="other settings"):
        compare(loaded(), read_samples(coco)[:2], settings(seed=1), folder=tmp_path)


def test_a_budget_of_forwards_draws_fewer_photos(coco: Path) -> None:
    samples, wanted = read_samples(coco), settings()
    each = forwards_per_sample(wanted) + len(wanted.methods)
    assert forwards_per_sample(wanted) == 6 * 3 * 4
    assert len(within_budget(samples, wanted, 3 * each)) == 3
    assert len(within_budget(samples, wanted, None)) == 6
    with pytest.raises(InputError, match="is too small for two samples"):
        within_budget(samples, wanted, each)
    assert draw(samples, 3, 0) == draw(samples, 3, 0) != draw(samples, 3, 1)


def test_photos_alone_allow_only_metrics_that_need_no_place(coco: Path, tmp_path: Path) -> None:
    photos = read_samples(coco / "images")
    assert not any(sample.located for sample in photos)
    with pytest.raises(MethodError, match="where the object is"):
        compare(loaded(), photos, settings(), folder=tmp_path / "a")
    answer = compare(loaded(), photos, settings(metrics=("deletion",)), folder=tmp_path / "b")
    assert {s.metric for s in answer.standings} == {"deletion"}


@pytest.mark.parametrize("damage", ["no json", "missing photo", "no boxes"])
def test_broken_data_sets_are_one_clear_error(coco: Path, damage: str) -> None:
    file = coco / "instances.json"
    if damage == "no json":
        file.write_text("{")
    if damage == "missing photo":
        (coco / "images" / "3.png").unlink()
    if damage == "no boxes":
        file.write_text(json.dumps({"images": [], "categories": []}))
    with pytest.raises(DataError, match=r"instances\.json"):
        read_samples(coco)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"metrics": ("infidelty",)}, "near names: 'infidelity'"),
        ({"metrics": ("max-sensitivity",)}, "possible here"),
        ({"places": ("last",)}, "known places: early, middle, late"),
        ({"methods": ("grad",)}, "near names"),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(change: dict[str, object], text: str) -> None:
    with pytest.raises(MethodError, match=text):
        settings(**change)


def test_the_verb_writes_a_page_and_a_table(coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["evaluate", str(coco), "--method", "gradcam", "--metric", "energy-in-mask", "--out", str(out), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["wins"]["gradcam"]["of"] == 3
    page = (out / "comparison.html").read_text()
    assert "gradcam" in page
    assert "://" not in page
    assert said["verdict"] in page


def test_the_page_escapes_names(tmp_path: Path) -> None:
    from sightline.reports.comparison import Bar, Panel, comparison_page

    bar = Bar(
        "<script>alert(1)</script>", 0.5, 0.4, 0.6, 3, {"zero": 2}, control=False, level=True, beats_controls=False
    )
    empty = Bar("none", *(float("nan"),) * 3, 0, {"nan": 5}, control=True, level=False, beats_controls=False)
    page = comparison_page([Panel("m", "late", "higher", "all", (bar, empty))], title="<b>", verdict="v", facts={})
    assert "alert(1)</script>" not in page
    assert "&lt;b&gt;" in page
    assert "no sample could be scored: 5 nan" in page
    assert "2 skipped" in page


def test_forwards_run_through_a_copy_and_the_numbers_are_the_models_own(coco: Path, tmp_path: Path) -> None:
    samples, found = read_samples(coco)[:3], {}
    for fused in (True, False):
        answer = compare(loaded(), samples, settings(fused=fused), folder=tmp_path / str(fused))
        found[fused] = {(s.place, s.metric, s.method): s.interval and s.interval.mean for s in answer.standings}
        assert answer.forwards.startswith("a copy" if fused else "the model itself")
    assert found[True] == pytest.approx(found[False], abs=1e-4)


def test_maps_that_a_metric_cannot_score_cost_no_forwards(coco: Path) -> None:
    from sightline.compare import measure

    rows: list[int] = []
    model = loaded().model

    def judge(x: object) -> object:
        rows.append(len(x))
        return model(x)

    batch = prepare(read_samples(coco)[:2], Preprocess((16, 16)))
    chosen = settings(methods=("uniform", "random"), metrics=("deletion",), places=("late",))
    table = list(measure(model, batch, ["a", "b"], chosen, judge=judge))
    assert {(row.method, row.status) for row in table} == {("uniform", "flat"), ("random", "ok")}
    assert sum(rows) == 2 + 2 * 3


@pytest.mark.parametrize("name", ["table.parquet", "comparison.html", "run.json", "shards"])
def test_a_folder_with_files_of_the_users_is_left_alone(name, tmp_path):
    from sightline.compare.store import check_folder

    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(ResultError, match="not written by sightline"):
        check_folder(tmp_path)
    (tmp_path / "run.json").write_text('{"digest": "0", "settings": {}}')
    check_folder(tmp_path)
