"""Explanations of clicks: they sum to the logit, find what was planted, and are written as sentences and a page."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.tasks.clicks.explain.attribution import Average, attribution, average_of, sampled_parts
from sightline.tasks.clicks.explain.gradients import integrated_gradients
from sightline.tasks.clicks.explain.overall import pair_map, recovery
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.network.presets import PRESETS
from sightline.tasks.clicks.world import ClickWorld

N, D = 5, 4
PAIRS = [name for name, preset in PRESETS.items() if preset.pairs]


def network(model: str, **more: object) -> ClickNet:
    torch.manual_seed(0)
    net = ClickNet(ClickSpec(model=model, sizes=(4,) * N, width=D, hidden=(6,), numbers=(1,), **more))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.6)
    return net.double().eval()


def rows(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 4, (count, N), generator=draw)
    return ids, torch.rand(count, 1, generator=draw, dtype=torch.float64)


@pytest.mark.parametrize("model", list(PRESETS))
def test_base_fields_and_pairs_sum_to_the_logit(model: str) -> None:
    net, (ids, values) = network(model), rows()
    average = average_of(net, ids, values)
    own = attribution(net, ids[:1], values[:1], average)
    assert own.logit == pytest.approx(float(net(ids[:1], values[:1]).detach()))
    assert abs(own.gap) < 1e-6
    assert own.exact == (model in PAIRS)
    assert (own.pairs.tril() == 0).all()


@pytest.mark.parametrize("model", list(PRESETS))
def test_integrated_gradients_sum_to_the_logit_and_halve_a_pair(model: str) -> None:
    net, (ids, values) = network(model), rows()
    average = average_of(net, ids, values)
    own = attribution(net, ids[:1], values[:1], average)
    gradients = integrated_gradients(net, ids[:1], values[:1], average, steps=256)
    smooth = model not in ("autoint", "deepfm", "pnn", "nfm", "afm")  # a kink is met between two places of the sum
    assert float(gradients.sum()) == pytest.approx(own.logit - own.base, abs=1e-6 if smooth else 0.05)
    if own.exact and model != "sam2e":  # of degree 2, each field of a pair gets one half
        both = own.pairs + own.pairs.T
        assert torch.allclose(gradients, own.main + both.sum(1) / 2, atol=1e-6)


@pytest.mark.parametrize("model", [model for model in PAIRS if model != "lr"])
def test_one_sampled_order_of_a_sum_over_pairs_is_the_exact_attribution(model: str) -> None:
    net, (ids, values) = network(model), rows()
    average = average_of(net, ids, values)
    own = attribution(net, ids[:1], values[:1], average)
    with torch.no_grad():
        main, pairs, _ = sampled_parts(net, net.fields(ids[:1], values[:1])[0], average.fields, seed=3, orders=1)
    assert torch.allclose(pairs, own.pairs, atol=1e-9)
    assert torch.allclose(main + net.linear_terms(ids[:1], values[:1])[0] - average.linear, own.main, atol=1e-9)


def test_sampling_nears_the_average_over_all_orders() -> None:
    """The naive oracle: every order, one field after the other."""
    net, (ids, values) = network("sam3a"), rows()
    average: Average = average_of(net, ids, values)
    fields = net.fields(ids[:1], values[:1])[0].detach()

    @torch.no_grad()
    def value(present: set[int]) -> float:
        own = torch.stack([fields[i] if i in present else average.fields[i] for i in range(N)])
        return float(net.interaction(own[None]))

    want = torch.zeros(N, N, dtype=torch.float64)
    for order in permutations(range(N)):
        for place, j in enumerate(order):
            before = set(order[:place])
            for i in order[place + 1 :]:
                gain = value(before | {i, j}) - value(before | {j}) - value(before | {i}) + value(before)
                want[min(i, j), max(i, j)] += gain / 120
    with torch.no_grad():
        _, pairs, error = sampled_parts(net, fields, average.fields, seed=0, orders=400)
    assert ((pairs - want).abs() <= 4 * error + 1e-9).all()
    assert float((pairs - want).norm() / want.norm()) < 0.2


def test_a_map_that_is_the_truth_recalls_everything_and_an_equal_one_chance() -> None:
    planted = [(0, 1), (2, 4)]
    truth = torch.zeros(N, N)
    truth[0, 1], truth[2, 4] = 1.0, 0.5
    assert recovery(truth, planted) == recovery(truth, [(1, 0), (4, 2)])
    assert (recovery(truth, planted).recall, recovery(truth, planted).ranking) == (1.0, 1.0)
    equal = recovery(torch.ones(N, N), planted)
    assert (equal.recall, equal.ranking, equal.chance) == (pytest.approx(0.2), 0.5, 0.2)


def test_the_true_utility_recalls_the_planted_pairs_of_the_world() -> None:
    world = ClickWorld(3, pairs=6)
    drawn = world.draw(400)
    strengths = torch.zeros(world.count, world.count)
    base = world.draw(400, seed=9).cells
    for i in range(world.count):
        for j in range(i + 1, world.count):
            both, one, other = base.copy(), base.copy(), base.copy()
            both[:, [i, j]] = drawn.cells[:, [i, j]]
            one[:, i], other[:, j] = drawn.cells[:, i], drawn.cells[:, j]
            second = world.utility(both) - world.utility(one) - world.utility(other) + world.utility(base)
            strengths[i, j] = float(np.sqrt((second**2).mean()))
    assert recovery(strengths, world.pairs).recall == 1
    assert abs(drawn.clicked.mean() - (1 / (1 + np.exp(-drawn.utility))).mean()) < 0.06


def test_a_map_of_a_log_is_that_of_its_rows() -> None:
    net, (ids, values) = network("fwfm"), rows()
    average = average_of(net, ids, values)
    squares = [attribution(net, ids[r : r + 1], values[r : r + 1], average).pairs ** 2 for r in range(len(ids))]
    assert torch.allclose(pair_map(net, ids, values).double(), torch.stack(squares).mean(0).sqrt(), atol=1e-6)


def test_the_verb_writes_a_page_with_its_sentence_and_json(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from sightline.tasks.clicks.recipe import ClickRecipe
    from sightline.tasks.clicks.train.experiment import train_clicks
    from tests.tasks.clicks.logs import small_log

    log = small_log(tmp_path / "log.csv", rows=600)
    weights = tmp_path / "n.safetensors"
    train_clicks(log, weights, ClickRecipe().toy().but(epochs=8, batch_size=32, lr=0.02, patience=0))
    words = ["explain", "clicks", str(log), "--row", "3", "--weights", str(weights), "--out", str(tmp_path / "row")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "mostly because of a x b" in text
    assert "With " in text
    record = json.loads((tmp_path / "row" / "summary.json").read_text())
    parts = record["base"] + sum(record["main"].values()) + sum(pair["value"] for pair in record["pairs"])
    assert parts == pytest.approx(record["logit"], abs=1e-4)
    page = (tmp_path / "row" / "page.html").read_text()
    assert "What would have to change" in page
    assert page.count("<svg") == 2
    other = CliRunner().invoke(app, ["explain", "--help"])
    assert "sightline explain clicks" in other.output
