"""Deletion, insertion, AOPC, ROAD, masking and random subsets: numbers by hand and naive re-computations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import InputError
from sightline.metrics import (
    Probe,
    aopc,
    average_drop,
    average_gain,
    average_increase,
    deletion,
    deletion_curve,
    impute,
    infidelity,
    infidelity_of,
    insertion,
    insertion_curve,
    masked_scores,
    max_sensitivity,
    random_subsets,
    road,
    road_accuracy,
    sensitivity_n,
    subset_changes,
)
from sightline.results import Domain

ROW = torch.tensor([[[[0.4, 0.3, 0.2, 0.1]]]])
MAP = ROW[:, 0]


def test_deletion_insertion_and_aopc_by_hand(adder: Probe) -> None:
    # scores fall 1, .6, .3, .1, 0; rise 0, .4, .7, .9, 1
    assert deletion_curve(adder, ROW, MAP, steps=4, baseline="zero").scores.tolist() == [
        pytest.approx([1.0, 0.6, 0.3, 0.1, 0.0], abs=1e-6)
    ]
    assert deletion(adder, ROW, MAP, steps=4, baseline="zero").values.tolist() == pytest.approx([0.375])
    assert insertion(adder, ROW, MAP, steps=4, baseline="zero").values.tolist() == pytest.approx([0.625])
    assert aopc(adder, ROW, MAP, steps=4, baseline="zero").values.tolist() == pytest.approx([0.6])
    assert aopc(adder, ROW, MAP, steps=2, until=0.5, baseline="zero").values.tolist() == pytest.approx([1.1 / 3])


def test_road_gap_by_hand(adder: Probe) -> None:
    # least first leaves .9, .7; most first .6, .3
    found = road(adder, ROW, MAP, fractions=(0.25, 0.5), baseline="zero")
    assert found.values.tolist() == pytest.approx([(0.3 + 0.4) / 2 / 2])


def naive_deletion(
    model: nn.Module, x: Tensor, map_: Tensor, *, target: int, counts: list[int], fill: Tensor
) -> list[float]:
    order = map_.flatten().argsort(descending=True)
    scores = []
    for count in counts:
        picture = x.clone().flatten(1)
        picture[:, order[:count]] = fill.expand_as(x).flatten(1)[:, order[:count]]
        scores.append(float(model(picture.reshape(1, *x.shape)).softmax(1)[0, target]))
    return scores


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_curves_equal_a_naive_loop_for_every_chunk_size(network: nn.Module, batch_size: int) -> None:
    inputs, maps, targets = torch.rand(3, 3, 8, 8), torch.rand(3, 8, 8), torch.tensor([0, 1, 3])
    probe = Probe(network, targets, batch_size=batch_size)
    down = deletion_curve(probe, inputs, maps, steps=7)
    up = insertion_curve(probe, inputs, maps, steps=7, baseline="mean")
    network.eval()
    counts = [round(k * 64 / 7) for k in range(8)]
    for k in range(3):
        fill = inputs[k].mean((1, 2), keepdim=True)
        naive = naive_deletion(network, inputs[k], maps[k], target=int(targets[k]), counts=counts, fill=fill)
        assert down.scores[k].tolist() == pytest.approx(naive, abs=1e-6)
        base = fill.expand(3, 8, 8).contiguous()
        naive = naive_deletion(network, base, maps[k], target=int(targets[k]), counts=counts, fill=inputs[k])
        assert up.scores[k].tolist() == pytest.approx(naive, abs=1e-6)
    assert down.fractions.tolist() == [count / 64 for count in counts]


def test_road_equals_a_naive_loop_over_in_painted_pictures(network: nn.Module) -> None:
    inputs, maps, targets = torch.rand(2, 3, 8, 8), torch.rand(2, 8, 8), torch.tensor([0, 1])
    found = road(Probe(network, targets), inputs, maps, fractions=(0.2, 0.6), seed=4)
    correct = road_accuracy(Probe(network, targets), inputs, maps, fractions=(0.2, 0.6), seed=4)
    network.eval()
    for k in range(2):
        gaps = []
        for j, count in enumerate((12, 38)):
            order = maps[k].flatten().argsort()
            logits = []
            for gone in (order[:count], order.flip(0)[:count]):
                hidden = torch.zeros(64, dtype=torch.bool)
                hidden[gone] = True
                logits.append(network(impute(inputs[k : k + 1], hidden.reshape(1, 1, 8, 8), seed=4)))
            scores = [float(each.softmax(1)[0, targets[k]]) for each in logits]
            gaps.append(scores[0] - scores[1])
            assert bool(correct[k, j]) == (int(logits[1].argmax()) == int(targets[k]))
        assert float(found.values[k]) == pytest.approx(sum(gaps) / 4, abs=1e-5)


def test_road_accuracy_by_hand() -> None:
    inputs = torch.full((1, 1, 16, 16), 0.05)
    inputs[..., 4:12, 4:12] = 1.0  # a quarter; the mean is .29, and .05 once it is in-painted

    def model(x: Tensor) -> Tensor:
        return torch.stack([torch.full((len(x),), 0.15), x.flatten(1).mean(1)], dim=1)

    probe = Probe(model, torch.tensor([1]))
    assert road_accuracy(probe, inputs, inputs[:, 0], fractions=(0.01, 0.4)).tolist() == [[True, False]]
    kept = road_accuracy(probe, inputs, inputs[:, 0], fractions=(0.01, 0.4), least_first=True)
    assert kept.tolist() == [[True, True]]


def test_the_map_that_knows_the_model_wins_and_its_opposite_loses(adder: Probe) -> None:
    inputs = torch.rand(6, 1, 8, 8)
    truth, noise = inputs[:, 0], torch.rand(6, 8, 8)
    for metric, sign in ((deletion, -1), (insertion, 1), (aopc, 1), (road, 1)):
        best, chance, worst = (
            float((sign * metric(adder, inputs, maps, baseline="zero").values).mean())
            for maps in (truth, noise, -truth)
        )
        assert best > chance > worst


def test_words_are_deleted_word_by_word(total: Callable[[Tensor, Tensor], Tensor]) -> None:
    probe = Probe(lambda ids: ids.float(), total, domain=Domain("words"))
    found = deletion(probe, torch.tensor([[4, 3, 2, 1]]), torch.tensor([[0.4, 0.3, 0.2, 0.1]]), steps=4, baseline=0)
    assert found.values.tolist() == pytest.approx([3.75])


def test_cells_are_deleted_as_blocks(total: Callable[[Tensor, Tensor], Tensor]) -> None:
    inputs = torch.zeros(1, 1, 4, 4)
    inputs[..., :2, :2] = 0.25
    maps = torch.tensor([[[1.0, 0.1], [0.2, 0.3]]])
    curve = deletion_curve(Probe(lambda x: x, total, grid="cells"), inputs, maps, steps=20, baseline="zero")
    assert curve.scores.tolist() == [pytest.approx([1.0, 0.0, 0.0, 0.0, 0.0])]


def test_steps_and_fractions_out_of_range_are_refused(adder: Probe) -> None:
    with pytest.raises(InputError, match="at least one step"):
        deletion(adder, ROW, MAP, steps=0)
    with pytest.raises(InputError, match="between 0 and 1"):
        road(adder, ROW, MAP, fractions=(0.5, 1.0))
    with pytest.raises(InputError, match="until"):
        aopc(adder, ROW, MAP, until=0.0)
    with pytest.raises(InputError, match="reader"):
        road_accuracy(adder, ROW, MAP)
    with pytest.raises(InputError, match="1 to 4"):
        random_subsets(4, 5, draws=2)


def test_masking_by_hand(adder: Probe) -> None:
    # weights 1, .5, 0, 0 leave .4 + .15
    maps = torch.tensor([[[2.0, 1.0, 0.0, -1.0]]])
    assert [float(score) for score in masked_scores(adder, ROW, maps)] == pytest.approx([1.0, 0.55])
    assert average_drop(adder, ROW, maps).values.tolist() == pytest.approx([0.45])
    assert average_increase(adder, ROW, maps).values.tolist() == [0.0]
    assert average_gain(adder, ROW * 0.5, maps).values.tolist() == [0.0]
    mixed = torch.tensor([[[[0.4, -0.3, 0.2, 0.1]]]])  # .4 in all; weights 1, 0, .5, 0 leave .5
    maps = torch.tensor([[[2.0, 0.0, 1.0, -5.0]]])
    assert average_increase(adder, mixed, maps).values.tolist() == [1.0]
    assert average_gain(adder, mixed, maps).values.tolist() == pytest.approx([0.1 / 0.6])
    assert average_drop(adder, mixed, maps).values.tolist() == [0.0]


def test_masking_equals_a_naive_computation(network: nn.Module) -> None:
    inputs, maps, targets = torch.rand(3, 3, 8, 8), torch.randn(3, 4, 4), torch.tensor([0, 1, 3])
    found = average_drop(Probe(network, targets), inputs, maps).values
    network.eval()
    for k in range(3):
        big = nn.functional.interpolate(maps[k][None, None], size=(8, 8), mode="bilinear")[0, 0].clamp(min=0)
        before, after = (
            float(network(x[None]).softmax(1)[0, targets[k]]) for x in (inputs[k], inputs[k] * big / big.max())
        )
        assert float(found[k]) == pytest.approx(max(0.0, before - after) / before, abs=1e-5)


def test_infidelity_by_hand() -> None:
    promise, effect = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 2.0]])
    assert infidelity_of(promise, effect, scale=False).tolist() == pytest.approx([0.5])
    # best scale 6/5: errors .8 and .4
    assert infidelity_of(promise, effect).tolist() == pytest.approx([(0.64 + 0.16) / 2])


def test_exact_contributions_of_a_linear_model_are_faithful_and_negated_ones_are_not(adder: Probe) -> None:
    inputs = torch.randn(4, 1, 6, 6)
    assert infidelity(adder, inputs, inputs[:, 0], baseline="zero", scale=False).values.max() < 1e-8
    assert sensitivity_n(adder, inputs, inputs[:, 0], baseline="zero").values.tolist() == pytest.approx([1.0] * 4)
    assert sensitivity_n(adder, inputs, -inputs[:, 0], baseline="zero").values.tolist() == pytest.approx([-1.0] * 4)
    halved = infidelity(adder, inputs, inputs[:, 0] / 2, baseline="zero").values
    assert halved.max() < 1e-8
    assert infidelity(adder, inputs, inputs[:, 0] / 2, baseline="zero", scale=False).values.min() > 1e-3


@pytest.mark.parametrize("units", ["contribution", "gradient"])
def test_subset_changes_equal_a_naive_loop(network: nn.Module, units: str) -> None:
    inputs, maps, targets = torch.rand(2, 3, 6, 6), torch.randn(2, 6, 6), torch.tensor([0, 1])
    subsets = random_subsets(36, 9, draws=5)
    probe = Probe(network, targets, output="logit", batch_size=3)
    promise, effect = subset_changes(probe, inputs, maps, subsets=subsets, units=units)  # type: ignore[arg-type]
    assert subsets.sum(1).tolist() == [9] * 5
    network.eval()
    for k in range(2):
        for j in range(5):
            gone = subsets[j].reshape(6, 6)
            left = torch.where(gone, inputs[k].mean((1, 2), keepdim=True), inputs[k])
            whole, after = (float(network(x[None])[0, targets[k]]) for x in (inputs[k], left))
            slope = maps[k] * (inputs[k] - left) if units == "gradient" else maps[k] * gone
            assert float(promise[k, j]) == pytest.approx(float(slope.sum()), abs=1e-4)
            assert float(effect[k, j]) == pytest.approx(whole - after, abs=1e-5)


def test_sensitivity_n_equals_a_naive_correlation(network: nn.Module) -> None:
    inputs, maps = torch.rand(2, 3, 6, 6), torch.randn(2, 6, 6)
    probe = Probe(network, torch.tensor([0, 1]), output="logit")
    found = sensitivity_n(probe, inputs, maps, shares=(0.25, 0.5), draws=6, seed=3).values
    naive = []
    for k, size in enumerate((9, 18)):
        promise, effect = subset_changes(probe, inputs, maps, subsets=random_subsets(36, size, draws=6, seed=3 + k))
        naive.append([float(torch.corrcoef(torch.stack([promise[b], effect[b]]))[0, 1]) for b in range(2)])
    assert found.tolist() == pytest.approx(torch.tensor(naive).mean(0).tolist(), abs=1e-5)


def test_max_sensitivity_by_hand_and_naively() -> None:
    inputs = torch.rand(3, 1, 4, 4)
    explain = lambda x: x[:, 0] ** 2  # noqa: E731
    found = max_sensitivity(explain, inputs, explain(inputs), draws=5, radius=0.1, seed=7).values
    generator = torch.Generator().manual_seed(7)
    worst = [0.0] * 3
    for _ in range(5):
        shift = (torch.rand(1, 4, 4, generator=generator) * 2 - 1) * 0.1
        for k in range(3):
            moved = (inputs[k] + shift)[0] ** 2 - inputs[k, 0] ** 2
            worst[k] = max(worst[k], float(moved.norm() / (inputs[k, 0] ** 2).norm()))
    assert found.tolist() == pytest.approx(worst, rel=1e-5)
    still = max_sensitivity(lambda x: torch.ones(3, 4, 4), inputs, torch.ones(3, 4, 4))
    assert still.values.tolist() == [0.0] * 3
    doubled = max_sensitivity(lambda x: 2 * torch.ones(3, 4, 4), inputs, torch.ones(3, 4, 4))
    assert doubled.values.tolist() == [1.0] * 3
    with pytest.raises(InputError, match="changed their shape"):
        max_sensitivity(lambda x: x, inputs, torch.ones(3, 4, 4))
