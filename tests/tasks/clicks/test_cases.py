"""Choices whose alternatives are rows: whole cases in batches, the multinomial logit's loss, shares that sum to 1."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sightline.errors import DataError, TrainingError
from sightline.tasks.clicks.data import cases, pieces, writer
from sightline.tasks.clicks.data.batches import Part
from sightline.tasks.clicks.data.cases import CaseOrder, order_of
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.data.prepare import Dealing, Prepared, prepare
from sightline.tasks.clicks.explain.run import explain_row
from sightline.tasks.clicks.logit.model import Design, estimate
from sightline.tasks.clicks.logit.reading import read_long
from sightline.tasks.clicks.network.choice import case_losses, choice_log_shares
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.predict.predictions import write_predictions
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.tasks.clicks.train.experiment import schema_of, train_clicks

TOY = ClickRecipe().toy().but(case="case", epochs=8, lr=0.05, batch_size=64)


def slates(path: Path, *, count: int = 250, outside: bool = False) -> Path:
    """Choices among 2 to 4 alternatives, whose utility is a table over two fields and a price."""
    draw = np.random.default_rng(3)
    lines = ["case,click,kind,place,price,there"]
    for case in range(count):
        kinds = draw.choice(list("abcd"), draw.integers(2, 5), replace=False).tolist()
        places = draw.choice(list("xyz"), len(kinds)).tolist()
        prices = draw.normal(size=len(kinds)).round(3)
        utility = [
            2.0 * (k + p in ("ax", "by", "cz")) - price for k, p, price in zip(kinds, places, prices, strict=True)
        ]
        noisy = np.array([*utility, 0.0 if outside else -np.inf]) + draw.gumbel(size=len(kinds) + 1)
        for place, (kind, where, price) in enumerate(zip(kinds, places, prices, strict=True)):
            lines.append(f"s{case},{int(noisy.argmax() == place)},{kind},{where},{price},1")
    path.write_text("\n".join(lines) + "\n")
    return path


def prepared(path: Path, folder: Path, **words: Any) -> Prepared:
    encoder = Encoder(schema_of(path, TOY.but(**words).data))
    return prepare(path, encoder, Dealing(), folder, test=None, min_count=1, report=lambda rows: None)


@pytest.mark.parametrize("outside", [False, True])
def test_a_case_s_loss_is_the_multinomial_logit_s(outside: bool) -> None:
    sizes, draw = (3, 1, 4), torch.Generator().manual_seed(0)
    utilities = torch.randn(8, generator=draw, dtype=torch.double, requires_grad=True)
    own = torch.repeat_interleave(torch.tensor([7, 5, 9]), torch.tensor(sizes))
    chosen = torch.tensor([0, 1, 0, 1, 0, 0, 0, float(not outside)], dtype=torch.double)
    losses = case_losses(utilities, chosen, own, outside=outside)
    table = torch.full((3, 5), -torch.inf, dtype=torch.double)
    parts = zip(table, utilities.split(sizes), strict=True)
    table = torch.stack([torch.cat([part, row[len(part) :]]) for row, part in parts])
    if outside:
        table = torch.cat([table[:, :4], torch.zeros(3, 1, dtype=torch.double)], 1)
    shares = choice_log_shares(table, table > -torch.inf)
    want = -shares[torch.arange(3), torch.tensor([1, 0, 4 if outside else 3])]
    assert losses.tolist() == pytest.approx(want.tolist(), abs=1e-12)
    for one, other in zip(*(torch.autograd.grad(x.sum(), [utilities]) for x in (losses, want)), strict=True):
        assert torch.allclose(one, other, atol=1e-12)
    moved = case_losses(utilities + 3, chosen, own, outside=outside)
    assert torch.allclose(moved, losses) != outside


@pytest.mark.parametrize("world", [1, 2])
def test_batches_hold_whole_cases_and_each_case_once(world: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(writer, "GROUP_ROWS", 50)
    data = prepared(slates(tmp_path / "log.csv"), tmp_path / "work")
    part = Part(data.path("train"))
    known = pq.read_table(part.path)["case"].to_numpy()
    sizes = dict(zip(*np.unique(known, return_counts=True), strict=True))
    assert len(part.sizes) > 5
    seen: list[int] = []
    steps = set()
    for rank in range(world):
        monkeypatch.setattr(cases, "place_among", lambda rank=rank: (rank, world))
        order = order_of(part, 30, 0)
        assert isinstance(order, CaseOrder)
        batches = [part[place][3].tolist() for place in order]
        steps.add(len(batches))
        assert len(order) == len(batches)
        for batch in batches:
            runs = [(case, len(list(rows))) for case, rows in itertools.groupby(batch)]
            assert all(sizes[case] == count for case, count in runs)
            seen += [case for case, _ in runs]
    assert len(steps) == 1
    assert len(seen) == len(set(seen))
    assert len(sizes) - len(seen) < world


def test_whether_nothing_could_be_chosen_is_learnt_from_the_log(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(writer, "GROUP_ROWS", 50)
    inside = prepared(slates(tmp_path / "log.csv"), tmp_path / "a")
    outside = prepared(slates(tmp_path / "out.csv", outside=True), tmp_path / "b")
    assert (inside.encoder.schema.outside, outside.encoder.schema.outside) == (False, True)


@pytest.mark.parametrize(
    ("row", "change", "words", "text"),
    [
        (3, ("case", "s0"), {}, "has rows in several places; sort the log by it"),
        (2, ("click", "1"), {}, "has more than one click"),
        (1, ("there", "0"), {"available": "there"}, r"line 3: this alternative was chosen, but was not available"),
        (1, ("click", "1"), {"split": "time"}, "needs --split-by random"),
    ],
)
def test_choices_that_cannot_be_are_refused(row: int, change: Any, words: Any, text: str, tmp_path: Path) -> None:
    names = ["case", "click", "kind", "there"]
    table = [[f"s{n // 2}", str(n % 2), "ab"[n % 2], "1"] for n in range(40)]
    table[5 if change[0] == "case" else row][names.index(change[0])] = change[1]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([",".join(names), *map(",".join, table)]) + "\n")
    encoder = Encoder(schema_of(path, TOY.but(**{k: v for k, v in words.items() if k != "split"}).data))
    dealing = Dealing(split=words.get("split", "random"), validation=0.01, test=0.01)
    with pytest.raises(DataError, match=text):
        prepare(path, encoder, dealing, tmp_path / "w", test=None, min_count=1, report=lambda rows: None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    folder = tmp_path_factory.mktemp("slates")
    log, weights = slates(folder / "log.csv", count=700), folder / "net.safetensors"
    return log, weights, train_clicks(log, weights, TOY.but(model="fwfm", number=("price",)))


def test_ray_s_rows_are_refused_for_choices(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--case needs whole choices"):
        train_clicks(slates(tmp_path / "log.csv"), tmp_path / "net.safetensors", TOY.but(reader="ray"))


def test_a_network_of_choices_beats_equal_shares_and_a_linear_utility(trained: Any) -> None:
    _, weights, own = trained
    assert own.cases > 40
    assert own.loss < own.logistic.loss - 0.05 < own.constant - 0.1
    assert own.hits > 0.5
    assert "equal shares" in weights.with_suffix(".md").read_text()


def test_its_shares_sum_to_1_and_an_explanation_has_the_same_share(
    trained: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    log, weights, _ = trained
    monkeypatch.setattr(pieces, "BLOCK", 2_000)
    monkeypatch.setattr(pieces, "ROWS", 20)  # so that many choices lie in two pieces
    figures = write_predictions(log, weights, tmp_path / "p.csv", lambda rows: None)
    shares = np.array([float(line.split(",")[1]) for line in (tmp_path / "p.csv").read_text().splitlines()[1:]])
    names = [line.split(",")[0] for line in log.read_text().splitlines()[1:]]
    _, places = np.unique(names, return_inverse=True)
    assert np.bincount(places, shares) == pytest.approx(1.0)
    clicks = np.array([line.split(",")[1] == "1" for line in log.read_text().splitlines()[1:]])
    assert figures["loss"] == pytest.approx(-np.log(shares[clicks]).mean())
    story, record = explain_row(log, weights, 5, tmp_path / "row")
    assert record["probability"] == pytest.approx(shares[4], abs=1e-6)
    assert record["alternatives"] == (np.array(names) == names[4]).sum()
    assert story.sentence.startswith(f"Of {record['alternatives']} alternatives this one is chosen")


def test_a_linear_network_of_choices_is_the_multinomial_logit(tmp_path: Path) -> None:
    log = slates(tmp_path / "log.csv")
    table = read_long(log, case="case", alternative="kind", choice="click")
    fit = estimate(Design.of(table, generic=("price",)))
    schema = schema_of(log, TOY.but(number=("price",), drop=("place", "there")).data)
    encoder = Encoder(schema, "none", vocabularies={"kind": {k: 2 + n for n, k in enumerate("abcd")}})
    own = prepare(log, encoder, Dealing(), tmp_path / "w", test=None, min_count=1, report=lambda rows: None)
    rows = [part for name in ("train", "validation", "test") for part in Part(own.path(name)).in_turn()]
    ids, values = (torch.cat([getattr(part, what) for part in rows]) for what in ("ids", "values"))
    labels, case = (torch.cat([getattr(part, what) for part in rows]) for what in ("labels", "case"))
    net = ClickNet(ClickSpec(model="lr", sizes=own.encoder.sizes, numbers=own.encoder.numbers)).double()
    optimiser = torch.optim.LBFGS([p for p in net.parameters() if p.requires_grad], max_iter=200)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = case_losses(net(ids.long(), values.double()), labels.double(), case, outside=False).mean()
        torch.autograd.backward(total)
        return total

    optimiser.step(loss)
    assert -float(loss().detach()) * len(table) == pytest.approx(fit.log_likelihood, abs=1e-3)
