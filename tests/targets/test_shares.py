"""Log-softmax and a class against all others: values and weights from their equations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets import ClassScore, ContrastOthers, LogSoftmax, Target, TopClasses, parse_target

LOGITS = torch.tensor([[1.0, 5.0, 2.0, 0.0], [9.0, 1.0, 8.5, 0.0]], dtype=torch.float64)
NAMES = ("ant", "bee", "cat", "dog")


def gradient(target: Target) -> Tensor:
    logits = LOGITS.clone().requires_grad_()
    return torch.autograd.grad(target.read(logits, NAMES).scores.sum(), logits)[0]


def test_log_softmax_is_the_log_probability_with_its_gradient() -> None:
    target = LogSoftmax(TopClasses(1))
    found = target.read(LOGITS, NAMES)
    assert torch.allclose(found.scores[:, 0], LOGITS.softmax(1)[[0, 1], [1, 0]].log(), atol=1e-12)
    assert found.labels == (("log p of bee",), ("log p of ant",))
    assert torch.allclose(found.probabilities, found.scores.exp().float())
    wanted = torch.nn.functional.one_hot(torch.tensor([1, 0]), 4) - LOGITS.softmax(1)
    assert (gradient(target) - wanted).abs().max() <= 1e-12


def others(row: Tensor, this: int) -> tuple[float, list[float]]:
    """Score and weights, from the equation."""
    shares = [0.0 if j == this else float(row[j].exp()) for j in range(len(row))]
    weights = [share / sum(shares) for share in shares]
    return float(row[this]) - sum(w * float(y) for w, y in zip(weights, row, strict=True)), weights


@pytest.mark.parametrize(
    ("this", "classes"), [(None, [1, 0]), ("cat", [2, 2]), (3, [3, 3]), (torch.tensor([0, 2]), [0, 2])]
)
def test_others_are_weighted_by_their_soft_max_and_held_constant(this: object, classes: list[int]) -> None:
    target = ContrastOthers(this)
    found, weights = target.read(LOGITS, NAMES), gradient(target)
    for row, (logits, k) in enumerate(zip(LOGITS, classes, strict=True)):
        score, wanted = others(logits, k)
        assert float(found.scores[row]) == pytest.approx(score, abs=1e-12)
        assert weights[row, k] == 1
        assert (weights[row] + torch.tensor(wanted, dtype=torch.float64) - torch.eye(4)[k]).abs().max() <= 1e-12
    assert weights.sum(1).abs().max() <= 1e-12
    assert found.labels[0] == (f"{NAMES[classes[0]]} rather than the others",)


def test_frozen_others_keep_class_and_weights_and_a_part_of_the_batch_its_own() -> None:
    frozen = ContrastOthers().frozen(LOGITS, NAMES)
    weights = torch.stack([torch.tensor(others(row, k)[1]) for row, k in zip(LOGITS, (1, 0), strict=True)]).double()
    turned = LOGITS.flip(1)
    wanted = turned[[0, 1], [1, 0]] - (weights * turned).sum(1)
    assert torch.allclose(frozen.read(turned, NAMES).scores[:, 0], wanted)
    assert torch.allclose(frozen.rows(slice(1, 2)).read(turned[1:], NAMES).scores[:, 0], wanted[1:])


def test_they_are_asked_for_by_words() -> None:
    assert isinstance(parse_target("cat", contrast="others"), ContrastOthers)
    assert parse_target("cat", score="log-softmax") == LogSoftmax(ClassScore(("cat",)))
    assert parse_target("top2", score="log-softmax") == LogSoftmax(TopClasses(2))


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"what": "cat", "score": "probability"}, "'logit' or its 'log-softmax'"),
        ({"what": lambda y: y, "score": "log-softmax"}, "taken of classes"),
        ({"what": ["cat", "dog"], "contrast": "others"}, "compares one class"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        parse_target(**asked)


@pytest.mark.parametrize("target", [LogSoftmax(ClassScore((0,))), ContrastOthers()])
def test_one_output_has_no_others(target: Target) -> None:
    with pytest.raises(TargetError, match="one output"):
        target.read(torch.ones(2, 1), None)
    with pytest.raises(TargetError, match="one output"):
        target.check(1, None)


@pytest.mark.parametrize(
    ("this", "text"), [(9, "0 to 3"), (torch.tensor([7]), "0 to 3"), (torch.zeros(3), "3 classes")]
)
def test_classes_out_of_range_are_refused(this: object, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        ContrastOthers(this).read(LOGITS, NAMES)
