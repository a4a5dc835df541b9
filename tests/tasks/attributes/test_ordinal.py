"""Ranks read by ordered thresholds: equations worked out one by one in float64, words, files."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch

from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.explain.nouns import phrases
from sightline.tasks.attributes.metrics.distance import distances
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.network.ordinal import OrderedThresholds, rank_logs
from sightline.tasks.attributes.network.store import load_attribute_net, save_attribute_net
from sightline.tasks.attributes.train.losses import attribute_loss


def rank(name: str, *order: str) -> Attribute:
    return Attribute(name, name, name, kind="ordinal", order=order)


HORNS = Attribute("horns", "horns", "horns")
WORDS = Vocabulary((HORNS, rank("size", "tiny", "small", "large", "huge"), rank("grade", "low", "high")))


@pytest.fixture
def ranks() -> OrderedThresholds:
    own = OrderedThresholds(WORDS).double()
    with torch.no_grad():
        own.steps[0].copy_(torch.tensor([-1.5, 0.3, 1.0]))
        own.steps[1].fill_(0.4)
    return own


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def edges_of(ranks: OrderedThresholds, at: int) -> list[float]:
    first, *rest = ranks.steps[at].tolist()
    edges = [first]
    for step in rest:
        edges.append(edges[-1] + math.log1p(math.exp(step)) + 1e-3)
    return edges


def shares_of(z: float, edges: list[float]) -> list[float]:
    """P(rank) as differences of P(rank > r)."""
    above = [1.0, *(sigmoid(z - edge) for edge in edges), 0.0]
    return [one - other for one, other in itertools.pairwise(above)]


def test_a_rank_is_read_as_its_expected_place_on_the_scale(ranks: OrderedThresholds) -> None:
    draw = torch.Generator().manual_seed(0)
    logits, plain = (torch.randn(6, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    read = ranks.read(logits * 2, plain)
    assert torch.equal(read[:, 0], plain[:, 0])
    for row in range(6):
        for place, column in ((0, 1), (1, 2)):
            shares = shares_of(2 * float(logits[row, column]), edges_of(ranks, place))
            assert sum(shares) == pytest.approx(1)
            expected = sum(at * share for at, share in enumerate(shares)) / (len(shares) - 1)
            assert float(read[row, column]) == pytest.approx(expected, abs=1e-12)


def test_the_loss_is_that_of_the_rank_and_a_target_between_two_is_shared(ranks: OrderedThresholds) -> None:
    logits = torch.tensor([[0.3, -0.7, 1.1], [0.0, 2.0, -2.0], [0.0, 0.4, 0.2]], dtype=torch.float64)
    targets = torch.tensor([[1.0, 0.0, 1.0], [0.0, 2 / 3, 0.0], [0.0, 0.5, 1.0]], dtype=torch.float64)
    weights = torch.tensor([[1.0, 1.0, 0.5], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    total, mass = 0.0, 0.0
    for row in range(3):
        z, t = float(logits[row, 0]), float(targets[row, 0])
        losses = [-t * math.log(sigmoid(z)) - (1 - t) * math.log(1 - sigmoid(z))]
        for place, column in ((0, 1), (1, 2)):
            shares = shares_of(float(logits[row, column]), edges_of(ranks, place))
            at = float(targets[row, column]) * (len(shares) - 1)
            low = min(math.floor(at + 1e-12), len(shares) - 2)
            losses.append(-(1 - at + low) * math.log(shares[low]) - (at - low) * math.log(shares[low + 1]))
        total += sum(float(weights[row, at]) * loss for at, loss in enumerate(losses))
        mass += float(weights[row].sum())
    own = attribute_loss(logits, targets, weights, WORDS, torch.tensor([1.0, 9.0, 9.0]).double(), ranks)
    assert float(own) == pytest.approx(total / mass, abs=1e-12)


def test_shares_stay_exact_where_they_are_tiny() -> None:
    for z in (-300.0, 300.0):
        logs = rank_logs(z - torch.tensor([[0.0, 1.0]]))
        assert bool(logs.isfinite().all())
        assert float(logs.exp().sum()) == pytest.approx(1)


def test_thresholds_are_found_where_they_were_planted_and_keep_their_order() -> None:
    draw = torch.Generator().manual_seed(1)
    x, planted = torch.randn(4000, generator=draw).double(), torch.tensor([-1.0, 0.5, 0.9]).double()
    noise = torch.rand(4000, generator=draw).double().logit()
    place = (2 * x[:, None] + noise[:, None] > planted).sum(1)
    own, slope = OrderedThresholds(Vocabulary((rank("size", "a", "b", "c", "d"),))).double(), torch.ones(1).double()
    slope.requires_grad_()
    search = torch.optim.LBFGS([slope, *own.parameters()], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        value = own.losses((slope * x)[:, None], (place / 3)[:, None]).mean()
        grads = torch.autograd.grad(value, [slope, *own.parameters()])
        for parameter, grad in zip([slope, *own.parameters()], grads, strict=True):
            parameter.grad = grad
        return value.detach()

    search.step(loss)
    (edges,) = own.thresholds()
    assert edges.tolist() == pytest.approx(planted.tolist(), abs=0.15)
    assert edges.tolist() == sorted(edges.tolist())
    assert float(slope) == pytest.approx(2, abs=0.15)


def test_thresholds_begin_evenly() -> None:
    (edges, single) = OrderedThresholds(WORDS).thresholds()
    assert edges.tolist() == pytest.approx([-1, 0, 1], abs=1e-5)
    assert single.tolist() == [0]


def test_words_of_a_rank_claim_what_the_card_counts_as_true() -> None:
    """Present means a target of a half and above; the words name the lowest such rank."""
    for order in (("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d"), tuple("abcde")):
        (words,) = phrases(Vocabulary((rank("size", *order),)))
        least = next(at for at in range(len(order)) if at / (len(order) - 1) >= 0.5)
        if least == len(order) - 1:
            assert str(words) == f"a {order[-1]} size"
        else:
            assert str(words) == f"a size of at least {order[least]}"
    (plain,) = phrases(Vocabulary((Attribute("size", "size", "size", kind="ordinal"),)))
    assert str(plain) == "a high size"


def test_a_file_keeps_thresholds_and_one_without_reads_as_before(tmp_path: Path) -> None:
    spec = AttributeSpec("timm:resnet18", ("a", "b"), WORDS, size=32, model_args={"channels": (8, 8, 8, 8)}, stride=0)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for ordinal in ("number", "thresholds"):
        net = AttributeNet(AttributeSpec.from_json(spec.to_json().replace('"number"', f'"{ordinal}"'))).eval()
        if net.ranks is not None:
            with torch.no_grad():
                net.ranks.steps[0].add_(0.7)
        read = load_attribute_net(save_attribute_net(net, tmp_path / f"{ordinal}.safetensors"))
        assert (read.ranks is not None) == (ordinal == "thresholds")
        assert torch.allclose(read.read(x).probabilities, net.read(x).probabilities)
    assert '"order"' not in Vocabulary((HORNS,)).to_json()
    assert Vocabulary.from_json(WORDS.to_json()) == WORDS


def test_a_rank_has_its_gain_over_both_controls_with_intervals() -> None:
    truth = torch.tensor([[0.0], [1 / 3], [1.0], [1.0]]).repeat(1, 1)
    readings = torch.tensor([[0.1], [0.3], [0.9], [0.8]])
    words = Vocabulary((rank("size", "a", "b", "c", "d"),))
    (own,) = distances(readings, torch.full((4, 1), 0.5), truth, torch.ones(4, 1), words)
    middle = [abs(1 / 3 - t) for t in (0, 1 / 3, 1, 1)]
    ours = [0.1, 1 / 30, 0.1, 0.2]
    gains = [one - other for one, other in zip(middle, ours, strict=True)]
    assert own.over_median.mean == pytest.approx(sum(gains) / 4, abs=1e-6)
    assert own.over_median.low <= own.over_median.mean <= own.over_median.high
