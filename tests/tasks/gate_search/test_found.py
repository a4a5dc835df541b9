"""The result: the front, the effects of blocks with their intervals, regret, refusals."""

import math

import pytest
import torch

from sightline.errors import GateError
from sightline.gates import Scheme
from sightline.tasks.gate_search.metrics import Effect, main_effects
from sightline.tasks.gate_search.report import page_of, search_page
from sightline.tasks.gate_search.search import search
from tests.tasks.gate_search.tables import LENGTHS, Table, every


def test_the_front_is_all_that_nothing_sparser_beats():
    table = Table()
    found = search(table, LENGTHS, searcher="exhaustive", budget=256)
    front = {trial.scheme for trial in found.front}
    for scheme, score in table.scores.items():
        beaten = any(
            (other.density <= scheme.density and better > score)
            or (other.density < scheme.density and better >= score)
            for other, better in table.scores.items()
        )
        assert (scheme in front) == (not beaten)
    assert [trial.scheme.density for trial in found.front] == sorted(trial.scheme.density for trial in found.front)


def test_the_best_of_equals_is_the_sparsest():
    found = search(lambda scheme: 1.0, LENGTHS, searcher="exhaustive", sparsity=0.0, budget=256)
    assert found.best.scheme == Scheme.empty(LENGTHS)


def test_effects_of_an_additive_table_are_its_own():
    table = Table(interplay=0.0)
    for name, budget in (("exhaustive", 256), ("greedy", 60), ("random", 60)):
        found = search(table, LENGTHS, searcher=name, budget=budget)
        means = torch.tensor([effect.mean for effect in found.effects()], dtype=torch.float64)
        assert torch.allclose(means, table.effects, atol=1e-9)


def test_effects_over_all_schemes_are_differences_of_means():
    table = Table(interplay=0.05)
    found = search(table, LENGTHS, searcher="exhaustive", budget=256)
    for place, effect in enumerate(found.effects()):
        on = [score for scheme, score in table.scores.items() if scheme.flat()[place]]
        off = [score for scheme, score in table.scores.items() if not scheme.flat()[place]]
        assert effect.mean == pytest.approx(sum(on) / 128 - sum(off) / 128)
        assert effect.low < effect.mean < effect.high
        assert (effect.on, effect.off) == (128, 128)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth, hits = torch.tensor([0.5, 0.0, -0.3]).double(), 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        bits = (torch.rand(80, 3, generator=generator) < 0.5).double()
        scores = bits @ truth + 0.2 * torch.randn(80, generator=generator, dtype=torch.float64)
        _, low, high = main_effects(bits, scores, draws=200, seed=seed)
        hits += int(((low <= truth) & (truth <= high)).sum())
    assert 0.88 < hits / 180 < 0.99


def test_a_bit_that_never_varies_has_no_effect_and_two_that_go_together_have_none():
    bits = torch.tensor([[1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]).float()
    mean, low, high = main_effects(bits, torch.tensor([0.0, 1.0, 0.5, 2.0]))
    assert torch.isnan(mean).tolist() == [True, True, True, False]
    assert torch.isnan(low[:3]).all()
    assert torch.isnan(high[:3]).all()


def test_verdicts():
    table = Table(interplay=0.0)
    table.effects[:] = torch.tensor([0.5, -0.5, 0, 0, 0, 0, 0, 0])
    scores = {s: float(table.effects @ torch.tensor(s.flat()).double()) + 1e-3 * hash(s) % 7e-3 for s in every()}
    effects = search(scores.__getitem__, LENGTHS, searcher="exhaustive", budget=256).effects()
    assert [effect.verdict for effect in effects[:2]] == ["helps", "harms"]
    two = search(scores.__getitem__, LENGTHS, budget=2).effects()
    assert {effect.verdict for effect in two} == {"unknown"}
    assert all(math.isnan(effect.mean) for effect in two)


def test_what_was_not_measured_says_why():
    nan = math.nan
    cases = {
        Effect(1, 1, nan, nan, nan, 1, 0): "not measured: only one scheme",
        Effect(1, 1, nan, nan, nan, 4, 0): "not measured: every scheme has this gate",
        Effect(1, 1, nan, nan, nan, 0, 4): "not measured: no scheme has this gate",
        Effect(1, 1, nan, nan, nan, 2, 2): "not measured: these schemes do not tell it from other gates",
        Effect(1, 1, 0.1, nan, nan, 2, 2): "no interval: too few schemes",
        Effect(1, 1, 0.1, -0.1, 0.3, 2, 2): "unclear: the interval contains 0",
        Effect(1, 1, 0.1, 0.05, 0.3, 2, 2): "helps",
        Effect(1, 1, -0.1, -0.2, -0.05, 2, 2): "harms",
    }
    assert {effect: effect.words for effect in cases} == cases


def test_the_page_says_the_best_scheme_first_and_every_effect():
    table = Table(interplay=0.0)
    result = search(table, LENGTHS, searcher="exhaustive", budget=256)
    page = search_page(result, {"model": "<b>net</b>"})
    assert page.index(f"The best scheme, {result.best.scheme}, reaches an accuracy of {result.best.score:.4f}") > 0
    assert "without gates" in page
    assert "of 256 possible ones" in page
    assert page.count('class="row"') == sum(LENGTHS)
    assert "<b>net" not in page
    one = search_page(search(table, LENGTHS, budget=2), {"model": "net"})
    assert "nan" not in one.split("<main")[1].split("</main>")[0]
    assert "not measured: " in one


def test_the_page_never_takes_the_place_of_the_log(tmp_path):
    assert page_of(tmp_path / "log.jsonl") == tmp_path / "log.html"
    assert page_of(tmp_path / "log.html") == tmp_path / "log.html.page.html"


def test_regret_against_a_number_a_table_and_a_function():
    table = Table()
    found = search(table, LENGTHS, budget=3, sparsity=0.0)
    wanted = table.best() - found.best.worth
    assert wanted > 0
    assert found.regret(table.best()) == found.regret(table.scores) == found.regret(Table()) == wanted
    assert search(table, LENGTHS, searcher="exhaustive", sparsity=0.0, budget=256).regret(table.scores) == 0


def test_the_course_never_falls_and_ends_at_the_best():
    found = search(Table(), LENGTHS, budget=30)
    assert found.course() == sorted(found.course())
    assert found.course()[-1] == found.best.worth


def test_the_record_is_plain():
    import json

    record = search(Table(), LENGTHS, budget=30).record()
    assert json.loads(json.dumps(record))["evaluations"] == 30


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"searcher": "greedi"}, "near names: 'greedy'"),
        ({"searcher": "greedy", "batch": 3}, "it knows none"),
        ({"pace": 3}, "it knows batch, rate"),
        ({"budget": 1}, "at least 2 schemes"),
        ({"budget": 2.5}, "at least 2 schemes"),
    ],
)
def test_what_cannot_be_searched_is_refused(wishes, sentence):
    with pytest.raises(GateError, match=sentence):
        search(Table(), LENGTHS, **wishes)


@pytest.mark.parametrize("lengths", [(), (2, 0), (2.5,), "ab"])
def test_lengths_are_numbers_of_blocks(lengths):
    with pytest.raises(GateError, match="lengths of a search"):
        search(Table(), lengths)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_refused_with_its_scheme(score):
    with pytest.raises(GateError, match=r"11\|111\|111 is"):
        search(lambda scheme: score, LENGTHS)


def test_no_score_at_all_is_refused():
    with pytest.raises(GateError, match="needs a score"):
        search(None, LENGTHS)


def test_main_effects_want_as_many_scores_as_schemes():
    with pytest.raises(GateError, match="2 schemes and 3 scores"):
        main_effects(torch.zeros(2, 3), torch.zeros(3))
