"""What sets a class apart from those most like it: the score and the maps are those of plain PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline.errors import SightlineError, TargetError
from sightline.targets import ContrastClosest, LogSoftmax, parse_target

METHODS = ("gradcam", "layercam", "lrp", "scorecam", "ablationcam", "occlusion", "saliency", "naflow")


class Net(nn.Module):
    def __init__(self, head: str = "linear") -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.fc: nn.Module = nn.Linear(8, 6)
        if head == "convolution":
            self.fc = nn.Conv2d(8, 6, 1)
        if head in ("functional", "two"):
            self.weight = nn.Parameter(torch.randn(6, 8))
            self.fc = nn.Identity() if head == "functional" else self.fc
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x).mean((2, 3))
        if isinstance(self.fc, nn.Conv2d):
            return self.fc(features[:, :, None, None]).flatten(1)
        own = features @ self.weight.T if self.head in ("functional", "two") else 0
        return own if self.head == "functional" else self.fc(features) + own

    @property
    def rows(self) -> Tensor:
        return self.weight if self.head == "functional" else self.fc.weight.flatten(1)  # type: ignore[union-attr]


X = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def closest(model: Net, logits: Tensor, this: int, count: int, by: str) -> list[int]:
    """By hand, one class at a time."""
    rows = model.rows.detach()
    if by == "the classifier":
        likeness = [float(F.cosine_similarity(rows[this], row, 0)) for row in rows]
    else:
        likeness = [-abs(float(logits[this] - y)) for y in logits]
    return sorted((d for d in range(6) if d != this), key=lambda d: -likeness[d])[:count]


def score(logits: Tensor, this: int, others: list[int], weight: float) -> Tensor:
    return logits[:, this] - weight * sum(logits[:, d] for d in others) / len(others)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("head", "by"),
    [
        ("linear", "the classifier"),
        ("convolution", "the classifier"),
        ("functional", "the classifier"),
        ("two", "logits"),
    ],
)
@pytest.mark.parametrize(("count", "weight"), [(3, 0.6), (1, 1.0), (5, 0.0), (2, 2.0)])
def test_the_score_is_the_class_less_the_mean_of_its_likes(head: str, by: str, count: int, weight: float) -> None:
    model = Net(head).eval()
    with torch.no_grad():
        logits = model(X)
    results = sightline.explain(model, X, contrast=f"closest:{count}", contrast_weight=weight, method="gradcam")
    for i, item in enumerate(results):
        this = int(logits[i].argmax())
        others = closest(model, logits[i], this, count, by)
        assert item.decision.index == this
        assert item.decision.score == pytest.approx(float(score(logits, this, others, weight)[i]), abs=1e-5)
        names = [f"class {d}" for d in others]
        listed = ", ".join(names[:-1]) + (" and " if count > 1 else "") + names[-1]
        assert item.decision.label == f"class {this} rather than {listed} (closest by {by})"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_it_as_it_explains_the_same_score_written_out(method: str) -> None:
    model = Net().eval()
    with torch.no_grad():
        logits = model(X[:1])
    others = closest(model, logits[0], 2, 3, "the classifier")
    one = sightline.explain(model, X[:1], target=2, contrast="closest", method=method).one()
    other = sightline.explain(model, X[:1], target=lambda out: score(out, 2, others, 0.6), method=method).one()
    assert one.decision.score == pytest.approx(other.decision.score, abs=1e-5)
    for a, b in zip(one.flow.maps, other.flow.maps, strict=True):
        assert torch.allclose(a.values, b.values, rtol=1e-4, atol=1e-5 * float(b.values.abs().max()))


def test_gradcam_layercam_and_saliency_are_those_of_plain_autograd() -> None:
    model = Net().eval()
    x = X[:1].clone().requires_grad_()
    A = model.body(x)
    logits = model.fc(A.mean((2, 3)))
    others = closest(model, logits[0], 4, 3, "the classifier")
    G, dx = torch.autograd.grad(score(logits, 4, others, 0.6).sum(), [A, x])
    expected = {
        "gradcam": (G.mean((2, 3), keepdim=True) * A).sum(1).relu(),
        "layercam": (G.relu() * A).sum(1).relu(),
        "saliency": dx.abs().amax(1),
    }
    for method, values in expected.items():
        item = sightline.explain(model, X[:1], target=4, contrast="closest:3", method=method).one()
        assert torch.allclose(item.flow[-1].values, values[0].detach(), atol=1e-6), method


class Wrapper(nn.Module):
    """The network under a name that tells nothing, in a soft-max with a temperature."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.something = net
        self.fc = nn.Linear(3, 6)  # not used

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"loss": None, "scores": (self.something(x) / 2).softmax(1)}


def test_the_classifier_is_found_by_the_computation_not_by_its_name() -> None:
    net = Net()
    item = sightline.explain(Wrapper(net).eval(), X[:1], target=2, contrast="closest:2", method="saliency").one()
    with torch.no_grad():
        y = (net(X[:1]) / 2).softmax(1)
    others = closest(net, y[0], 2, 2, "the classifier")
    assert item.decision.label.endswith("(closest by the classifier)")
    assert item.decision.score == pytest.approx(float(score(y, 2, others, 0.6)), abs=1e-6)
    assert item.decision.probability == pytest.approx(float(y[0, 2]), abs=1e-6)


def test_a_batch_and_variants_keep_the_classes_of_each_sample() -> None:
    model = Net("two").eval()
    for method in ("scorecam", "ablationcam", "occlusion"):
        together = sightline.explain(model, X, contrast="closest:2", method=method)
        for i, item in enumerate(together):
            alone = sightline.explain(model, X[i : i + 1], contrast="closest:2", method=method).one()
            assert item.decision.label == alone.decision.label
            assert torch.allclose(item.flow[-1].values, alone.flow[-1].values, atol=1e-5)


def test_a_log_softmax_may_be_contrasted_too() -> None:
    target = parse_target(2, contrast="closest:2", score="log-softmax")
    assert isinstance(target, LogSoftmax)
    assert isinstance(target.of, ContrastClosest)
    logits = torch.tensor([[0.0, 1.0, 3.0, 2.0]])
    logs = logits.log_softmax(1)[0]
    assert float(target.read(logits, None).scores) == pytest.approx(float(logs[2] - 0.6 * (logs[3] + logs[1]) / 2))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"contrast": "closest:6"}, "the 6 closest classes were asked for; this model allows 1 to 5"),
        ({"contrast": "closest:0"}, "allows 1 to 5"),
        ({"contrast": "closest:3", "contrast_weight": -0.1}, "0 or more"),
        ({"contrast": "closest:3", "contrast_weight": float("nan")}, "0 or more"),
        ({"contrast": "closest:3", "contrast_weight": "0.5"}, "is a number, not '0.5'"),
        ({"contrast": 1, "contrast_weight": 0.5}, "belongs to contrast='closest:3'"),
        ({"contrast_weight": 0.5}, "belongs to contrast='closest:3'"),
        ({"target": "top3", "contrast": "closest"}, "compares one class with another"),
        ({"target": 9, "contrast": "closest"}, "0 to 5"),
    ],
)
def test_what_cannot_be_contrasted_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(SightlineError, match=text):
        sightline.explain(Net().eval(), X, method="gradcam", **arguments)


def test_one_output_has_no_likes() -> None:
    with pytest.raises(TargetError, match="needs two classes"):
        ContrastClosest().read(torch.zeros(2, 1), None)
