"""A battery over the registry: every metric is tested by being registered."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import InputError, MethodError
from sightline.metrics import METRICS, Metric, Probe, RandomSubsets, SampleStatus, bootstrap, summarise, table
from sightline.metrics.scores import REASONS, scored

B, SIDE = 6, 10
OPTIONS: dict[str, dict[str, Any]] = {
    "energy-in-box": {"size": (SIDE, SIDE)},
    "part-localisation": {"size": (SIDE, SIDE), "sigma": 2.0},
    "deletion": {"steps": 6},
    "insertion": {"steps": 6},
    "aopc": {"steps": 6},
    "infidelity": {"subsets": RandomSubsets(draws=7)},
    "sensitivity-n": {"draws": 9, "shares": (0.2, 0.5)},
}
NAMES = tuple(METRICS)


class Case:
    """Arguments for every metric on `b` samples, with maps that the caller may replace."""

    def __init__(self, network: nn.Module, name: str, *, b: int = B) -> None:
        draw = torch.Generator().manual_seed(11)
        self.rows = 0
        shape = (b, 2, SIDE, SIDE) if name == "part-localisation" else (b, SIDE, SIDE)
        masks = torch.zeros(b, SIDE, SIDE, dtype=torch.bool)
        masks[:, 2:6, 3:8] = True
        parts = torch.zeros(b, 3, SIDE, SIDE, dtype=torch.bool)
        for k, place in enumerate((0, 4, 8)):
            parts[:, k, place : place + 2, place : place + 2] = True

        def counted(x: Tensor) -> Tensor:
            self.rows += len(x)
            return network.eval()(x)

        self.values: dict[str, Any] = {
            "inputs": torch.rand(b, 3, SIDE, SIDE, generator=draw),
            "maps": torch.rand(shape, generator=draw) + 0.01,
            "after": torch.rand(shape, generator=draw) + 0.01,
            "masks": masks,
            "boxes": torch.tensor([3.0, 2.0, 5.0, 4.0]).repeat(b, 1),
            "points": torch.tensor([4.0, 4.0, 1.0]).expand(b, 2, 1, 3).clone(),
            "parts": parts,
            "probe": Probe(counted, torch.arange(b) % 4, batch_size=5),
            "explain": lambda x: x.sum(1),
            "explain_model": lambda model, x: x.mean(1) + model.eval()(x)[:, :1, None] * torch.sin(9 * x[:, 0]),
            "model": network,
            "other": network,
        }

    def arguments(self, name: str, **replaced: Any) -> list[Any]:
        return [{**self.values, **replaced}[need] for need in METRICS[name].needs]

    def one(self, k: int) -> dict[str, Any]:
        cut = {key: value[k : k + 1] for key, value in self.values.items() if isinstance(value, Tensor)}
        probe = self.values["probe"]
        return {**cut, "probe": Probe(probe.model, probe.targets[k : k + 1], batch_size=5)}


@pytest.mark.parametrize("name", NAMES)
def test_batch_gives_what_singles_give_within_its_range(name: str, network: nn.Module) -> None:
    case, spec = Case(network, name), METRICS[name]
    found = spec(*case.arguments(name), **OPTIONS.get(name, {}))
    singles = [spec(*case.arguments(name, **case.one(k)), **OPTIONS.get(name, {})) for k in range(B)]
    assert torch.allclose(found.values, torch.cat([s.values for s in singles]), atol=2e-4, equal_nan=True)
    assert found.status.tolist() == [int(s.status) for s in singles]
    values = found.values[found.ok]
    assert len(values)
    assert float(values.min()) >= spec.low - 1e-5
    assert float(values.max()) <= spec.high + 1e-5


@pytest.mark.parametrize("name", [name for name in NAMES if "probe" in METRICS[name].needs])
def test_it_costs_the_forwards_that_it_says(name: str, network: nn.Module) -> None:
    case, options = Case(network, name), OPTIONS.get(name, {})
    METRICS[name](*case.arguments(name), **options)
    said = METRICS[name].forwards(**options, **({"parts": 3} if "parts" in METRICS[name].needs else {}))
    assert case.rows == said * B


@pytest.mark.parametrize("name", [name for name in NAMES if "maps" in METRICS[name].needs])
def test_maps_that_cannot_be_scored_are_counted_and_touch_nobody_else(name: str, network: nn.Module) -> None:
    case, spec, options = Case(network, name), METRICS[name], OPTIONS.get(name, {})
    good = spec(*case.arguments(name), **options)
    maps = case.values["maps"].clone()
    maps[0].fill_(1.0)[..., 0, 0] = float("nan")
    maps[1] = 0
    maps[2] = 3.5
    maps[3, ..., 1, 1] = float("inf")
    found = spec(*case.arguments(name, maps=maps), **options)
    statuses = found.statuses()
    assert statuses[0] == statuses[3] == SampleStatus.NAN
    assert statuses[1] in (SampleStatus.ZERO, SampleStatus.UNDEFINED)
    assert (statuses[2] == SampleStatus.FLAT) == (SampleStatus.FLAT in spec.skips and name not in SCORES_FLAT)
    assert torch.isnan(found.values[[0, 1, 3]]).all()
    assert torch.allclose(found.values[4:], good.values[4:], atol=1e-6, equal_nan=True)
    result = summarise(name, found)
    assert result.skipped["nan"] == 2
    assert result.n == sum(status == "ok" for status in statuses)


SCORES_FLAT = ("max-sensitivity", "counterfactual-agreement", "counterfactual-shift")


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].expected and "maps" in METRICS[n].needs])
def test_random_maps_score_their_analytic_expectation(name: str, network: nn.Module) -> None:
    many = 60 if name == "road" else 240
    case, spec, options = Case(network, name, b=many), METRICS[name], OPTIONS.get(name, {})
    draw = torch.Generator().manual_seed(23)
    shape = case.values["maps"].shape
    fresh = {key: torch.rand(shape, generator=draw) for key in ("maps", "after")}
    fresh["explain"] = lambda x: torch.rand(shape, generator=draw)  # type: ignore[assignment]
    if name == "max-sensitivity":
        options = {"draws": 1}
    probe = Probe(network, torch.arange(many) % 4, batch_size=420)
    arguments = case.arguments(name, **fresh, probe=probe)
    found = spec(*arguments, **options)
    assert spec.expected is not None
    expected = float(spec.expected(*arguments, **options).mean())
    interval = bootstrap(found.values[found.ok], confidence=0.999)
    slack = 0.02 if "terms of order" in spec.chance else 1e-6
    assert interval.low - slack <= expected <= interval.high + slack


@pytest.mark.parametrize("name", ["model-randomisation", "label-randomisation"])
def test_random_maps_pass_the_randomisation_tests(name: str, network: nn.Module) -> None:
    draw = torch.Generator().manual_seed(4)
    case = Case(network, name, b=100)
    random = lambda model, x: torch.rand(len(x), SIDE, SIDE, generator=draw)  # noqa: E731
    found = METRICS[name](*case.arguments(name, explain_model=random))
    interval = bootstrap(found.values, confidence=0.999)
    assert interval.low <= float(METRICS[name].expected(*case.arguments(name)).mean()) <= interval.high  # type: ignore[misc]


READS_SCORES = [n for n in NAMES if "probe" in METRICS[n].needs and n not in ("preservation-check", "deletion-check")]


@pytest.mark.parametrize("name", READS_SCORES)
def test_scores_of_the_model_that_are_not_finite_are_counted(name: str, network: nn.Module) -> None:
    case, spec = Case(network, name), METRICS[name]
    reader = lambda output, samples: torch.where(samples == 2, torch.nan, output[:, 0].sigmoid())  # noqa: E731
    found = spec(*case.arguments(name, probe=Probe(network, reader)), **OPTIONS.get(name, {}))
    assert found.statuses()[2] == SampleStatus.MODEL_NAN
    assert SampleStatus.MODEL_NAN not in (*found.statuses()[:2], *found.statuses()[3:])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_it_is_complete_and_its_sources_are_known(name: str) -> None:
    spec = METRICS[name]
    bibliography = (Path(__file__).parents[2] / "docs" / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"@\w+\{([^,\s]+),", bibliography))
    assert spec.cite
    assert set(spec.cite) <= keys
    assert all(spec.row().values())
    assert spec.low < spec.high
    assert spec.function.__doc__
    cited = set(re.findall(r"[\[;] ?([a-z]+\d{4}[a-z]+)", spec.function.__doc__))
    assert cited <= keys


def test_the_table_has_a_row_for_every_metric_and_stands_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for family in dict.fromkeys(spec.family for spec in METRICS.values()):
        assert table(family) in text, f"docs/metrics.md is not what table({family!r}) gives"
    assert len(table().splitlines()) == 2 + len(METRICS)
    assert table("none") == ""  # type: ignore[arg-type]


def test_unknown_metrics_are_named_with_near_ones() -> None:
    with pytest.raises(MethodError, match="'deletion'"):
        METRICS["deletoin"]


def test_every_status_is_explained() -> None:
    assert set(REASONS) == set(SampleStatus)


@pytest.fixture
def energy() -> Callable[[], Metric]:
    return lambda: Metric("energy-in-mask")


def test_metric_remembers_updates_and_resets(energy: Callable[[], Metric]) -> None:
    maps, masks = torch.rand(7, 5, 5), torch.rand(7, 5, 5) < 0.5
    maps[1] = float("nan")
    shell, whole = energy(), energy()
    shell.update(maps[:3], masks[:3])
    batch = shell(maps[3:], masks[3:])
    whole.update(maps, masks)
    result = shell.compute()
    assert len(batch) == 4
    assert result.n == 6
    assert result.skipped == {"nan": 1}
    assert result.values.isnan().tolist() == [False, True, *[False] * 5]
    assert torch.allclose(result.values, whole.compute().values, rtol=0, atol=0, equal_nan=True)
    assert result.mean == pytest.approx(whole.compute().mean)
    ok = torch.isfinite(result.values)
    assert result.expected == pytest.approx(float(masks.float().mean((1, 2))[ok].mean()), abs=1e-6)
    assert "1 nan" in repr(result)
    assert "7 samples" in repr(shell)
    shell.reset()
    with pytest.raises(InputError, match="before any update"):
        shell.compute()
    with pytest.raises(InputError, match="takes maps, masks"):
        shell.update(maps)


def test_ranks_put_their_states_together_in_order(energy: Callable[[], Metric]) -> None:
    maps, masks = torch.rand(9, 5, 5), torch.rand(9, 5, 5) < 0.5
    ranks, whole = [energy(), energy()], energy()
    whole.update(maps, masks)
    ranks[0].update(maps[:4], masks[:4])
    ranks[1].update(maps[4:], masks[4:])
    joined = energy()
    queues = [[torch.cat(rank._state[name]) for rank in ranks] for name in Metric.states]
    joined.sync(lambda own: queues.pop(0))
    assert torch.equal(joined.compute().values, whole.compute().values)
    ranks[0].merge(ranks[1])
    assert torch.equal(ranks[0].compute().values, whole.compute().values)
    with pytest.raises(InputError, match="cannot take over"):
        joined.merge(Metric("sparseness"))
    alone = joined.compute().values
    joined.sync()
    assert torch.equal(joined.compute().values, alone)


def test_results_compare_in_pairs_and_over_classes() -> None:
    ours = summarise("m", scored(torch.tensor([1.0, 2.0, float("nan"), 4.0])), expected=0.5)
    theirs = summarise("m", scored(torch.tensor([0.0, 1.0, 2.0, 3.0])))
    difference = ours.minus(theirs)
    assert (difference.mean, difference.n) == (1.0, 3)
    assert ours.macro(torch.tensor([0, 0, 1, 1])).mean == pytest.approx((1.5 + 4) / 2)
    assert ours.row()["skipped"] == {"undefined": 1}
    assert ours.row()["better"] == "higher"
    assert ours.to("cpu").mean == pytest.approx(7 / 3)
    with pytest.raises(InputError, match="one metric"):
        ours.minus(summarise("other", scored(torch.ones(4))))


def test_nothing_scored_is_said_and_not_averaged() -> None:
    result = summarise("m", scored(torch.full((3,), math.nan)))
    assert result.n == 0
    assert math.isnan(result.mean)
    assert result.skipped == {"undefined": 3}
