"""The weights of every similarity, written out from its equation, against autograd in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import TargetError
from sightline.targets import (
    ContrastOthers,
    CosineSimilarity,
    DotProduct,
    EuclideanSimilarity,
    InfoNCE,
    NearestNeighbours,
    Prototypes,
    Target,
    prototypes_of,
    similarity_of,
)

B, D, N = 3, 7, 5
T = 0.3


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


E, R, P = draw(B, D), draw(B, D, seed=1), draw(N, D, seed=2)
UNIT, RHAT = F.normalize(E, dim=1), F.normalize(R, dim=1)
NORM = E.norm(dim=1, keepdim=True)
WHICH = torch.tensor([4, 0, 2])


def weights_and_score(target: Target, e: Tensor = E) -> tuple[Tensor, Tensor]:
    e = e.clone().requires_grad_()
    scores = target.read(e, None).scores
    return torch.autograd.grad(scores.sum(), e)[0], scores[:, 0].detach()


def log_share(logits: Tensor) -> Tensor:
    return logits.log_softmax(1).gather(1, WHICH[:, None])[:, 0]


def shares(logits: Tensor) -> Tensor:
    return logits.softmax(1)


EUCLID = -torch.cdist(E, P).square() / T
COSINE = UNIT @ F.normalize(P, dim=1).T / T
DOT = E @ P.T / T

CLOSED: dict[str, tuple[Target, Tensor, Tensor]] = {
    "dot": (DotProduct(R), R, (E * R).sum(1)),
    "cosine, norm frozen": (CosineSimilarity(R), RHAT / NORM, (UNIT * RHAT).sum(1)),
    "cosine, true gradient": (
        CosineSimilarity(R, freeze_norm=False),
        (RHAT - (UNIT * RHAT).sum(1, keepdim=True) * UNIT) / NORM,
        (UNIT * RHAT).sum(1),
    ),
    "euclidean": (EuclideanSimilarity(R), -2 * (E - R), -(E - R).square().sum(1)),
    "prototypes": (
        Prototypes(P, 4, temperature=T),
        2 / T * (P[4] - shares(EUCLID) @ P),
        EUCLID.log_softmax(1)[:, 4],
    ),
    "prototypes, cosine": (
        Prototypes(P, 4, metric="cosine", temperature=T),
        (F.normalize(P, dim=1)[4] - shares(COSINE) @ F.normalize(P, dim=1)) / T / NORM,
        COSINE.log_softmax(1)[:, 4],
    ),
    "prototypes, against the others": (
        Prototypes(P, ContrastOthers(4), temperature=T),
        2 / T * (P[4] - shares(EUCLID[:, :4]) @ P[:4]),
        EUCLID[:, 4] - (shares(EUCLID[:, :4]) * EUCLID[:, :4]).sum(1),
    ),
    "infonce, dot": (
        InfoNCE(P, WHICH, temperature=T, metric="dot"),
        (P[WHICH] - shares(DOT) @ P) / T,
        log_share(DOT),
    ),
    "infonce, cosine": (
        InfoNCE(P, WHICH, temperature=T),
        (F.normalize(P, dim=1)[WHICH] - shares(COSINE) @ F.normalize(P, dim=1)) / T / NORM,
        log_share(COSINE),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_the_gradient_is_the_closed_form(name: str) -> None:
    target, weights, score = CLOSED[name]
    found, shown = weights_and_score(target)
    assert (found - weights).abs().max() <= 1e-12 * max(1, weights.abs().max())
    assert (shown - score).abs().max() <= 1e-12 * max(1, score.abs().max())


def test_the_true_gradient_of_the_cosine_sums_to_nothing_and_the_frozen_one_to_the_score() -> None:
    true, score = weights_and_score(CosineSimilarity(R, freeze_norm=False))
    frozen, same = weights_and_score(CosineSimilarity(R))
    assert (true * E).sum(1).abs().max() <= 1e-12
    assert ((frozen * E).sum(1) - score).abs().max() <= 1e-12
    assert torch.equal(score, same)
    assert score.abs().min() > 1e-3


def test_a_match_shows_nothing_by_distance_and_all_by_cosine() -> None:
    assert weights_and_score(EuclideanSimilarity(E))[0].abs().max() == 0
    weights, score = weights_and_score(CosineSimilarity(E))
    assert weights.abs().max() > 0.1
    assert torch.allclose(score, torch.ones_like(score))


def test_a_saturated_choice_has_no_weights_but_its_contrast_has() -> None:
    assert weights_and_score(Prototypes(P * 1e3, 4), P[4:] * 1e3)[0].abs().max() == 0
    assert weights_and_score(Prototypes(P * 1e3, ContrastOthers(4)), P[4:] * 1e3)[0].abs().max() > 1


def bank() -> tuple[Tensor, Tensor]:
    return draw(40, D, seed=3), torch.arange(40) % 4


def voted(e: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The recipe again, one sample at a time: the mean direction of the voters, and the class they carry."""
    vectors, classes = bank()
    means, winners = [], []
    for one in F.normalize(e, dim=1):
        cosines = F.normalize(vectors, dim=1) @ one
        nearest = cosines.argsort(descending=True)[:k].tolist()
        votes = [sum(float((cosines[i] / 0.07).exp()) for i in nearest if classes[i] == c) for c in range(4)]
        winner = max(range(4), key=votes.__getitem__)
        means.append(torch.stack([F.normalize(vectors[i], dim=0) for i in nearest if classes[i] == winner]).mean(0))
        winners.append(winner)
    return torch.stack(means), torch.tensor(winners)


def test_neighbours_are_the_voters_of_the_winning_class() -> None:
    mean, winners = voted(E, 20)
    target = NearestNeighbours(*bank())
    weights, score = weights_and_score(target)
    assert torch.equal(target.read(E, None).indices[:, 0], winners)
    assert (weights - mean / NORM).abs().max() <= 1e-12
    assert ((weights * E).sum(1) - score).abs().max() <= 1e-12


@pytest.mark.parametrize("minmax", [False, True])
def test_the_elementwise_recipe_changes_the_weights_and_not_the_score(minmax: bool) -> None:
    mean, _ = voted(E, 20)
    product = UNIT * mean
    wanted = product / product.sum(1, keepdim=True).abs()
    if minmax:
        wanted = (wanted - wanted.amin(1, keepdim=True)) / (wanted.amax(1) - wanted.amin(1))[:, None]
    weights, score = weights_and_score(NearestNeighbours(*bank(), recipe="elementwise", minmax=minmax))
    assert (weights - wanted).abs().max() <= 1e-12
    assert torch.equal(score, weights_and_score(NearestNeighbours(*bank()))[1])
    assert (weights.min() >= 0) == minmax


def test_frozen_neighbours_and_prototypes_stay_on_another_embedding() -> None:
    neighbours = NearestNeighbours(*bank())
    before = neighbours.read(E, None).labels
    assert neighbours.frozen(E, None).read(-E, None).labels == before
    assert neighbours.read(-E, None).labels != before
    nearest = Prototypes(P).frozen(E, None).read(-E, None)
    assert torch.equal(nearest.indices, Prototypes(P).read(E, None).indices)


def test_a_zero_embedding_is_refused_at_first_and_has_no_similarity_on_changed_inputs() -> None:
    zero = torch.zeros(1, D)
    for target in (CosineSimilarity(torch.ones(D)), Prototypes(P, metric="cosine"), NearestNeighbours(*bank())):
        with pytest.raises(TargetError, match="no direction"):
            target.read(zero, None)
        assert target.frozen(torch.ones(1, D), None).read(zero, None).scores.isfinite().all()


def test_rows_are_cut_with_the_batch() -> None:
    part = slice(1, 3)
    for target, _, score in CLOSED.values():
        found = target.rows(part).read(E[part], None)
        assert torch.allclose(found.scores[:, 0], score[part])
    named = CosineSimilarity(R, ("x", "y", "z")).rows(part).read(E[part], None)
    assert named.labels == (("cosine similarity to y",), ("cosine similarity to z",))


def test_one_reference_serves_all_and_empty_axes_do_not_matter() -> None:
    one = DotProduct(R[0]).read(E[:, :, None, None], None).scores[:, 0]
    assert torch.allclose(one, E @ R[0])
    assert DotProduct(R[0].float()).read(E.bfloat16(), None).scores.dtype == torch.float32


def test_prototypes_are_the_means_of_their_examples() -> None:
    labels = torch.tensor([0, 1, 0, 1, 1])
    assert torch.allclose(prototypes_of(P, labels), torch.stack([P[[0, 2]].mean(0), P[[1, 3, 4]].mean(0)]))


def test_the_nearest_prototype_is_named() -> None:
    found = Prototypes(torch.eye(2), names=("ant", "bee")).read(torch.tensor([[0.1, 0.9]]), ("other", "names"))
    assert found.labels == (("log p of bee",),)
    assert float(found.probabilities) == pytest.approx(float(torch.tensor([0.1 - 0.9]).mul(-2).sigmoid()))


ONE = torch.ones(1, D)
WRONG: dict[str, tuple[Target, Tensor]] = {
    "numbers, but the model's embedding has": (DotProduct(torch.ones(3)), ONE),
    "needs an embedding of shape": (DotProduct(torch.ones(D)), torch.ones(1, D, 4, 4)),
    "2 references were given for a batch of 1": (DotProduct(torch.ones(2, D)), ONE),
    "the reference of row 0 is zero": (CosineSimilarity(torch.zeros(D)), ONE),
    "at least 2 prototypes are needed, but 1": (Prototypes(ONE), ONE),
    "3 names were given for 5 prototypes": (Prototypes(P, names=("a", "b", "c")), ONE),
    "must be above 0": (Prototypes(P, temperature=0.0), ONE),
    "no metric 'manhattan'": (Prototypes(P, metric="manhattan"), ONE),
    "the classes of this model are 0 to 4": (Prototypes(P, 9), ONE),
    "the positive key is number 5": (InfoNCE(P, torch.tensor([5])), ONE),
    "memory bank is empty": (NearestNeighbours(torch.ones(0, D), torch.ones(0).long()), ONE),
    "40 embeddings and 3 classes": (NearestNeighbours(bank()[0], torch.ones(3).long()), ONE),
    "99 neighbours were asked for": (NearestNeighbours(*bank(), k=99), ONE),
    "holds no example of 'class 9'": (NearestNeighbours(*bank(), of=9), ONE),
    "none of the 1 nearest neighbours": (
        NearestNeighbours(*bank(), of=int(voted(ONE.double(), 1)[1] + 1) % 4, k=1),
        ONE,
    ),
    "belongs to the elementwise recipe": (NearestNeighbours(*bank(), minmax=True), ONE),
    "no recipe": (NearestNeighbours(*bank(), recipe="daam"), ONE),
    "must be a matrix": (Prototypes(torch.ones(2, 3, 4)), ONE),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_compared_is_refused_in_a_sentence(text: str) -> None:
    target, e = WRONG[text]
    with pytest.raises(TargetError, match=text):
        target.read(e.float(), None)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: similarity_of("cosinus"), "near names: 'cosine'"),
        (lambda: prototypes_of(P, torch.tensor([0, 2, 0, 2, 2])), "class 1 has no example"),
        (lambda: prototypes_of(P, torch.tensor([0])), "5 embeddings came with 1 labels"),
    ],
)
def test_wrong_names_and_examples_are_refused(call: Any, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        call()
