"""Training on clicks: its figures beside the simplest models, its files, and rows that no machine can hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

pytest.importorskip("lightning")

from sightline.errors import DataError, TrainingError
from sightline.tasks.clicks.data import batches
from sightline.tasks.clicks.data.batches import Part, Rows, WindowOrder
from sightline.tasks.clicks.metrics import outcome
from sightline.tasks.clicks.metrics.policy import Catalogue, own_value
from sightline.tasks.clicks.metrics.scores import (
    auc,
    auc_interval,
    calibration_error,
    group_auc,
    log_losses,
    normalised_entropy,
    off_policy,
    reliability,
)
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.network.presets import PRESETS
from sightline.tasks.clicks.network.store import load_clicks
from sightline.tasks.clicks.predict.predictions import row_of, write_predictions
from sightline.tasks.clicks.recipe import MODELS, ClickRecipe
from sightline.tasks.clicks.train.experiment import train_clicks
from tests.tasks.clicks.logs import small_log

TOY = ClickRecipe().toy().but(epochs=6, patience=0, batch_size=32, lr=0.02)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_log(tmp_path_factory.mktemp("log") / "log.csv", rows=1_500)


@pytest.fixture(scope="module")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("clicks") / "net.safetensors"
    return train_clicks(log, out, TOY)


def test_an_interaction_beats_logistic_regression_and_the_click_rate(trained) -> None:
    assert trained.loss < trained.logistic.loss - 0.05
    assert trained.loss < trained.constant - 0.05
    assert trained.auc > 0.7 > 0.6 > trained.logistic.auc
    assert trained.alarm == ""
    assert trained.group_auc[1] == 9


def test_card_and_page_show_the_controls_and_the_columns(trained) -> None:
    weights, card, page = trained.files
    text = card.read_text()
    assert "always the click rate" in text
    assert "logistic regression" in text
    assert "| users | user_id |" in text
    assert "<h3>Calibration</h3>" in page.read_text()
    assert weights.is_file()


def test_its_file_predicts_every_row_of_a_log(trained, log: Path, tmp_path: Path) -> None:
    figures = write_predictions(log, trained.files[0], tmp_path / "p.csv", lambda rows: None)
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0].replace('"', "") == "row,probability,utility"
    assert len(lines) == 1_501
    p = np.array([float(line.split(",")[1]) for line in lines[1:]])
    y = np.array([int(line.split(",")[0]) for line in log.read_text().splitlines()[1:]])
    assert figures["auc"] == pytest.approx(roc_auc_score(y, p))
    assert figures["loss"] == pytest.approx(log_loss(y, p))


def test_a_log_without_labels_or_with_other_columns(trained, log: Path, tmp_path: Path) -> None:
    rows = [line.partition(",")[2] for line in log.read_text().splitlines()]
    (tmp_path / "new.csv").write_text("\n".join(rows[:20]) + "\n")
    figures = write_predictions(tmp_path / "new.csv", trained.files[0], tmp_path / "p.parquet", lambda rows: None)
    assert figures["rows"] == 19
    assert figures["loss"] is None
    (tmp_path / "bad.csv").write_text("user_id,a\nu1,x\n")
    with pytest.raises(DataError, match="no column 'b', which the network reads"):
        write_predictions(tmp_path / "bad.csv", trained.files[0], tmp_path / "q.csv", lambda rows: None)
    with pytest.raises(DataError, match=r"--row 9999 was asked for, but the log .* has 1500 rows"):
        row_of(log, load_clicks(trained.files[0])[1].schema, 9999)


def test_validation_rows_of_one_label_have_no_auc_and_that_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"{int(n < 160 and n % 3 == 0)},{'xyz'[n % 3]},{n % 5}" for n in range(200)]
    path.write_text("\n".join(["click,a,b", *rows]) + "\n")
    own = train_clicks(path, tmp_path / "n.safetensors", TOY.but(split="order", epochs=1, monitor="auc"))
    assert own.auc is None
    assert own.entropy is None
    assert any("AUC and normalised entropy do not exist" in note for note in own.notes)
    assert any("the log loss chose the epoch" in note for note in own.notes)
    assert "does not exist: all labels are the same" in own.files[1].read_text()


def test_two_processes_train_the_network_that_one_trains(log: Path, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("sightline")
    if not script.exists() or not torch.distributed.is_gloo_available():
        pytest.skip("needs the console script and gloo")
    words = ["--model", "fm", "--width", "4", "--epochs", "1", "--batch-size", "128", "--patience", "0", "--json"]
    devices = ["--device", "cpu", "--devices", "2", "--out", str(tmp_path / "two.safetensors")]
    run = subprocess.run(
        [str(script), "train", "clicks", "--data", str(log), *words, *devices],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    recipe = ClickRecipe().but(model="fm", width=4, epochs=1, batch_size=128, patience=0, device="cpu")
    alone = train_clicks(log, tmp_path / "one.safetensors", recipe)
    assert json.loads(run.stdout)["loss"] == pytest.approx(alone.loss, abs=1e-5)


def test_another_log_in_the_same_folder_is_refused(trained, tmp_path: Path) -> None:
    other = small_log(tmp_path / "other.csv", rows=400)
    with pytest.raises(TrainingError, match="log"):
        train_clicks(other, trained.files[0], TOY)


def test_the_recipe_names_every_preset() -> None:
    assert list(PRESETS) == list(MODELS)


def test_figures_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    y = (draw.random(500) < 0.3).astype(float)
    s = np.round(draw.normal(size=500) + y, 1)  # many ties
    assert auc(s, y) == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    p = 1 / (1 + np.exp(-s))
    p[0], y[0] = 1.0, 0.0
    assert log_losses(p, y).mean() == pytest.approx(log_loss(y, p.clip(1e-15, 1 - 1e-15)), rel=1e-9)
    groups = draw.integers(0, 40, 500)
    own = [
        (roc_auc_score(y[groups == g], s[groups == g]), (groups == g).sum())
        for g in range(40)
        if 0 < y[groups == g].mean() < 1
    ]
    want = sum(value * rows for value, rows in own) / sum(rows for _, rows in own)
    value, count = group_auc(s, y, groups)
    assert (value, count) == (pytest.approx(want), len(own))
    assert auc(s, np.ones(500)) is None
    rate = y.mean()
    assert normalised_entropy(float(log_losses(np.full(500, rate), y).mean()), rate) == pytest.approx(1)


def test_the_interval_of_the_auc_covers_and_is_delong_s() -> None:
    draw = np.random.default_rng(1)
    truth, hits = 0.7602, 0  # P(N(1,1) > N(0,1)) = Phi(1 / sqrt 2)
    for _ in range(200):
        y = (draw.random(150) < 0.4).astype(float)
        low, high = auc_interval(draw.normal(size=150) + y, y)
        hits += low <= truth <= high
    assert 0.90 <= hits / 200 <= 0.99
    s, y = np.array([3.0, 1.0, 2.0, 0.5, 2.0]), np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    psi = np.array([[1, 1], [0, 1], [0.5, 1]])
    variance = psi.mean(1).var(ddof=1) / 3 + psi.mean(0).var(ddof=1) / 2
    low, _ = auc_interval(s, y)
    assert low == pytest.approx(max(0, psi.mean() - 1.959964 * variance**0.5), abs=1e-6)


def test_figures_of_large_logs_are_those_of_small_ones(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(trained.files[0].with_suffix(".work") / "log" / "train.parquet")
    net = load_clicks(trained.files[0])[0]
    monkeypatch.setattr(outcome, "_is_grouped", lambda part: False)
    exact = outcome.tested(net, part, 0.4, 0, outside=False)
    monkeypatch.setattr(outcome, "EXACT", 0)
    counted = outcome.tested(net, part, 0.4, 0, outside=False)
    assert (counted.rows, counted.clicks) == (exact.rows, exact.clicks)
    for name in ("loss", "constant", "entropy", "predicted"):
        assert getattr(counted, name) == pytest.approx(getattr(exact, name), rel=1e-12)
    assert counted.auc == pytest.approx(exact.auc, abs=1e-5)
    assert counted.interval == pytest.approx(exact.interval, abs=1e-5)
    assert counted.error == pytest.approx(exact.error, abs=0.02)  # bins are cut between other rows
    assert sum(own.rows for own in counted.bins) == exact.rows


def test_calibration_is_the_distance_of_predicted_and_observed_rates() -> None:
    p, y = np.repeat([0.2, 0.8], 100), np.concatenate([np.arange(100) < 20, np.arange(100) < 60]).astype(float)
    bins = reliability(p, y, 2)
    assert [(round(b.predicted, 2), b.observed) for b in bins] == [(0.2, 0.2), (0.8, 0.6)]
    assert calibration_error(bins) == pytest.approx(0.1)


def test_weighting_by_propensity_gives_the_value_of_another_policy() -> None:
    draw = np.random.default_rng(2)
    shown = np.array([0.7, 0.2, 0.1])
    rates = np.array([0.1, 0.3, 0.5])
    hits = np.zeros(2)
    for _ in range(200):
        items = draw.choice(3, 800, p=shown)
        clicks = (draw.random(800) < rates[items]).astype(float)
        for place, own in enumerate(off_policy("uniform", clicks, (1 / 3) / shown[items])):
            hits[place] += own.low <= rates.mean() <= own.high
    assert (hits / 200 > 0.88).all()


def test_the_value_of_a_network_s_own_choices_is_covered_by_its_intervals() -> None:
    torch.manual_seed(0)
    net = ClickNet(ClickSpec(model="fm", sizes=(6, 5), width=3)).eval()
    with torch.no_grad():
        net.embedding.weight.normal_()
    items = Catalogue(1, (1,), (), torch.arange(5)[:, None], torch.zeros(5, 0))
    everything = torch.cartesian_prod(torch.arange(6), torch.arange(5))
    with torch.no_grad():
        scores = net(everything, torch.zeros(30, 0)).view(6, 5).double()
    truth = float((scores.softmax(1) * scores.sigmoid()).sum(1).mean())
    draw, hits = np.random.default_rng(3), np.zeros(3)
    for _ in range(60):
        users, shown = draw.integers(0, 6, 500), draw.choice(5, 500, p=(0.4, 0.3, 0.1, 0.1, 0.1))
        clicked = draw.random(500) < scores.sigmoid().numpy()[users, shown]
        propensity = np.array((0.4, 0.3, 0.1, 0.1, 0.1))[shown]
        ids = torch.from_numpy(np.stack([users, shown], 1))
        none = torch.zeros(0)
        label, shares = torch.from_numpy(clicked).float(), torch.from_numpy(propensity)
        rows = Rows(ids, torch.zeros(500, 0), label, none, none, shares, none)
        own = own_value(net, SimpleNamespace(in_turn=lambda rows=rows: iter([rows])), items)
        hits += [one.low <= truth <= one.high for one in own]
    assert (hits / 60 > 0.85).all()
    assert own[2].high - own[2].low < own[0].high - own[0].low  # a model that knows the rates is worth something


def test_batches_show_every_row_once_in_an_order_of_seed_and_epoch(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(trained.files[0].with_suffix(".work") / "log" / "train.parquet")
    part.sizes = [len(part)]
    order = WindowOrder(part, 100, 3)
    first = [positions.tolist() for _, positions in order]
    assert len(first) == len(order)
    assert sorted(p for batch in first for p in batch) == list(range(len(part)))
    assert first == [positions.tolist() for _, positions in order]
    order.set_epoch(1)
    assert first != [positions.tolist() for _, positions in order]
    order.set_epoch(0)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(batches, "place_among", lambda rank=rank: (rank, 2))
        shares.append([positions.tolist() for _, positions in order])
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(batch) for batch in first]
