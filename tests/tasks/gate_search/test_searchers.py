"""Every searcher finds the optimum of a table within its budget, asks for nothing twice, and can be repeated."""

from itertools import islice

import pytest
import torch

from sightline.errors import GateError
from sightline.gates import Scheme
from sightline.tasks.gate_search.search import search
from sightline.tasks.gate_search.searchers import SEARCHERS
from sightline.tasks.gate_search.searchers.reinforce import (
    Learner,
    Policy,
    PolicyConfig,
    log_share,
    reinforce,
    reinforce_loss,
    replay_loss,
)
from tests.tasks.gate_search.tables import LENGTHS, Table, every

BUDGETS = {"exhaustive": 256, "greedy": 38, "random": 256, "reinforce": 150}


def test_every_searcher_has_a_budget_here():
    assert set(BUDGETS) == set(SEARCHERS)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", BUDGETS)
def test_the_optimum_of_a_table_is_found_within_the_budget(name, seed):
    table = Table(seed=seed)
    found = search(table, LENGTHS, searcher=name, budget=BUDGETS[name], sparsity=0.01, seed=seed)
    assert found.regret(table.best(0.01)) == pytest.approx(0, abs=1e-12)
    assert len(found.trials) <= BUDGETS[name]


@pytest.mark.parametrize("name", BUDGETS)
def test_nothing_is_evaluated_twice_and_what_comes_again_is_counted(name):
    table = Table()
    found = search(table, LENGTHS, searcher=name, budget=60)
    assert len(table.asked) == len(set(table.asked)) == len(found.trials) <= 60
    assert [trial.scheme for trial in found.trials] == table.asked
    assert table.asked[:2] == [Scheme.dense(LENGTHS), Scheme.empty(LENGTHS)]


@pytest.mark.parametrize("name", BUDGETS)
def test_a_seed_gives_one_search(name):
    runs = [search(Table(), LENGTHS, searcher=name, budget=40, seed=3) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", ["random", "reinforce"])
def test_another_seed_gives_another_search(name):
    runs = [search(Table(), LENGTHS, searcher=name, budget=40, seed=seed) for seed in (3, 4)]
    assert runs[0].trials != runs[1].trials


def test_a_searcher_that_is_sure_repeats_itself_and_the_repeats_are_no_evaluations():
    for patience, repeats in ((1000, 600 - 8), (20, 60)):
        found = search(Table((1, 2)), (1, 2), searcher="reinforce", budget=100, steps=200, patience=patience)
        assert found.ended == "done"
        assert len(found.trials) <= 8
        assert found.repeats >= repeats
    assert found.repeats < 300


def test_greedy_takes_at_most_the_triangle_and_one():
    table = Table()
    found = search(table, LENGTHS, searcher="greedy", budget=1000)
    bits = sum(LENGTHS)
    assert len(found.trials) == bits * (bits + 1) // 2 + 1
    assert found.ended == "done"


def test_greedy_misses_what_only_two_blocks_together_can_do():
    def trap(scheme):
        return {"001": 1.0, "110": 0.5}.get(str(scheme), 0.1)

    greedy = search(trap, (3,), searcher="greedy", sparsity=0.0, budget=100)
    assert search(trap, (3,), searcher="exhaustive", sparsity=0.0, budget=100).best.worth == 1.0
    assert greedy.best.worth == 0.5


def test_exhaustive_tries_all():
    table = Table()
    found = search(table, LENGTHS, searcher="exhaustive", budget=10_000)
    assert set(table.asked) == set(every())
    assert found.ended == "done"


def test_exhaustive_of_seventeen_blocks_is_refused_before_anything_is_evaluated():
    table = Table()
    with pytest.raises(GateError, match=r"2\^17"):
        search(table, (8, 9), searcher="exhaustive")
    assert not table.asked
    assert next(SEARCHERS["exhaustive"].make((8, 8), torch.Generator()))


def test_random_with_nothing_left_ends():
    found = search(Table((1, 2)), (1, 2), searcher="random", budget=1000)
    assert (len(found.trials), found.ended) == (8, "done")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_random_with_a_sure_coin_ends_too(share):
    found = search(Table(), LENGTHS, searcher="random", budget=50, share=share)
    assert found.ended == "done"


@pytest.mark.parametrize(("sparsity", "wanted"), [(1e6, Scheme.empty), (-1e6, Scheme.dense)])
@pytest.mark.parametrize("name", BUDGETS)
def test_a_sparsity_beyond_all_scores_gives_the_empty_and_the_dense_scheme(name, sparsity, wanted):
    found = search(Table(), LENGTHS, searcher=name, budget=BUDGETS[name], sparsity=sparsity)
    assert found.best.scheme == wanted(LENGTHS)


@pytest.mark.parametrize(("sparsity", "bit"), [(1e6, 0.0), (-1e6, 1.0)])
def test_the_policy_itself_goes_to_the_empty_and_the_dense_scheme(sparsity, bit):
    generator = torch.Generator().manual_seed(0)
    learner = Learner(8, generator, PolicyConfig())
    for _ in range(200):
        drawn = learner.policy.draw(3, generator)
        learner.learn(drawn, sparsity * (1 - drawn.mean(1)))
    assert (learner.policy.shares - bit).abs().max() < 0.1


def test_the_gradient_of_reinforce_is_unbiased():
    """Its expectation, written out over all eight schemes, is the gradient of minus the expected reward."""
    logits = torch.tensor([0.3, -0.8, 0.1], dtype=torch.float64, requires_grad=True)
    bits = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    rewards = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share = torch.stack([torch.where(row == 1, logits.sigmoid(), 1 - logits.sigmoid()).prod() for row in bits])
    (exact,) = torch.autograd.grad(-(share * rewards).sum(), logits)
    for baseline in (0.0, 0.7):
        expected = torch.zeros(3, dtype=torch.float64)
        for row, reward, weight in zip(bits, rewards, share.detach(), strict=True):
            (one,) = torch.autograd.grad(reinforce_loss(logits, row[None], reward[None] - baseline), logits)
            expected += weight * one
        assert torch.allclose(expected, exact, atol=1e-12)


def test_the_mean_of_drawn_gradients_comes_to_the_exact_one():
    policy = Policy(3)
    with torch.no_grad():
        policy.logits += torch.tensor([0.3, -0.8, 0.1])
    drawn = policy.draw(200_000, torch.Generator().manual_seed(1))
    rewards = drawn @ torch.tensor([1.0, 2.0, -1.0]) + 3 * drawn[:, 0] * drawn[:, 1]
    (mean,) = torch.autograd.grad(reinforce_loss(policy.logits, drawn, rewards), policy.logits)
    p = policy.shares
    slope = p * (1 - p)
    exact = -slope * torch.stack([1 + 3 * p[1], 2 + 3 * p[0], torch.tensor(-1.0)])
    assert torch.allclose(mean, exact, atol=0.01)


def test_log_share_sums_to_one_over_all_schemes():
    bits = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    assert log_share(torch.tensor([0.2, 1.0, -3.0]), bits).exp().sum() == pytest.approx(1)


def test_replay_stops_pulling_once_the_ratio_is_beyond_its_clip():
    logits = torch.zeros(2, requires_grad=True)
    row, now = torch.ones(1, 2), log_share(torch.zeros(2), torch.ones(1, 2))
    for before, moves in ((now, True), (now - 1.0, False)):
        (gradient,) = torch.autograd.grad(replay_loss(logits, row, torch.ones(1), before, 0.1), logits)
        assert bool(gradient.any()) == moves
    (gradient,) = torch.autograd.grad(replay_loss(logits, row, -torch.ones(1), now - 1.0, 0.1), logits)
    assert gradient.any()


def test_reinforce_draws_what_is_worth_more_more_often():
    course = reinforce((4,), torch.Generator().manual_seed(0), PolicyConfig(patience=1000))
    asked, draws = next(course), []
    for _ in range(200):
        draws.append(sum(scheme.flat()[0] for scheme in asked) / len(asked))
        asked = course.send([float(scheme.flat()[0]) for scheme in asked])
    assert sum(draws[-50:]) / 50 > 0.9


@pytest.mark.parametrize(
    "wrong",
    [{"batch": 0}, {"decay": 1.0}, {"rate": 0.0}, {"curiosity": -1.0}, {"clip": 0.0}, {"steps": 0}, {"patience": 0}],
)
def test_settings_out_of_range_are_refused_before_anything_is_evaluated(wrong):
    table = Table()
    with pytest.raises(GateError, match="reinforce takes"):
        search(table, LENGTHS, **wrong)
    assert not table.asked


def test_courses_have_no_common_state():
    one, other = (reinforce((4,), torch.Generator().manual_seed(0)) for _ in range(2))
    next(one)
    list(islice((one.send([1.0, 0.0, 0.0]) for _ in range(5)), 5))
    assert next(other) == next(reinforce((4,), torch.Generator().manual_seed(0)))
