"""What a model says of its outputs: probabilities and names are read off declarations, never off values."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import InputError, SightlineError, TargetError
from sightline.models.labels import label_names
from sightline.models.outputs import chances_of, labels_of


class Net(nn.Module):
    """Four logits, large ones, so that no two meanings give the same probability."""

    def __init__(self, config: Any = None, loss: nn.Module | None = None, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(6, classes)
        if config is not None:
            self.config = config
        if loss is not None:
            self.loss = loss

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).mean((2, 3))) * 10


class Wrapper(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return {"logits": self.net(x), "loss": None}


X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
MEANS: dict[str | None, Any] = {
    "softmax": lambda y: y.softmax(1),
    "sigmoid": lambda y: y.sigmoid(),
    "given": lambda y: y,
    "exp": lambda y: y.exp(),
    None: lambda y: None,
}


def config(**entries: Any) -> Any:
    return types.SimpleNamespace(**entries)


DECLARED = {
    "nothing": (Net(), "softmax", "nothing says otherwise"),
    "multi-label": (Net(config(problem_type="multi_label_classification")), "sigmoid", "multi_label"),
    "single-label": (Net(config(problem_type="single_label_classification")), "softmax", "single_label"),
    "regression": (Net(config(problem_type="regression")), None, "regression"),
    "undecided configuration": (Net(config(problem_type=None)), "softmax", "nothing says otherwise"),
    "configuration in a dictionary": (Net({"problem_type": "multi_label_classification"}), "sigmoid", "multi_label"),
    "some other configuration": (Net("cfg.yaml"), "softmax", "nothing says otherwise"),
    "binary cross-entropy": (Net(loss=nn.BCEWithLogitsLoss()), "sigmoid", "BCEWithLogitsLoss"),
    "cross-entropy": (Net(loss=nn.CrossEntropyLoss()), "softmax", "CrossEntropyLoss"),
    "squared error": (Net(loss=nn.MSELoss()), None, "MSELoss"),
    "two losses": (Net(loss=nn.Sequential(nn.MSELoss(), nn.CrossEntropyLoss())), "softmax", "nothing says"),
    "a loss against a configuration": (
        Net(config(problem_type="multi_label_classification"), nn.CrossEntropyLoss()), "sigmoid", "multi_label",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("net", "meaning", "why"), DECLARED.values(), ids=DECLARED)
@pytest.mark.parametrize("wrapped", [False, True])
def test_probabilities_are_what_the_model_declares(net: Net, meaning: str | None, why: str, wrapped: bool) -> None:
    model = Wrapper(net).eval() if wrapped else net.eval()
    results = sightline.explain(model, X, target="top2", method="gradcam", layers="*body")
    with torch.no_grad():
        right = MEANS[meaning](net(X))
    for number, item in enumerate(results):
        d = item.decision
        expected = None if right is None else pytest.approx(float(right[number // 2, d.index]), abs=1e-6)
        assert d.probability == expected
        assert ("probabilities" in item.provenance) == (right is not None)
        assert right is None or why in item.provenance["probabilities"]


@pytest.mark.parametrize("mode", ["softmax", "sigmoid", "given", "none"])
@pytest.mark.parametrize("target", [None, 2, [0, 3], torch.tensor([1, 2])])
@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "occlusion"])
def test_what_the_user_says_goes_before_what_is_declared(mode: Any, target: Any, method: str) -> None:
    net = Net(config(problem_type="multi_label_classification")).eval()
    results = sightline.explain(net, X, target=target, method=method, probabilities=mode)
    with torch.no_grad():
        right = MEANS[None if mode == "none" else mode](net(X))
    for number, item in enumerate(results):
        row = number // (len(results) // len(X))
        expected = None if right is None else pytest.approx(float(right[row, item.decision.index]), abs=1e-6)
        assert item.decision.probability == expected


@pytest.mark.parametrize("contrast", [1, "runner-up", "others", "closest:2"])
def test_contrasts_have_the_probability_of_their_class(contrast: Any) -> None:
    net = Net().eval()
    with torch.no_grad():
        right = net(X).sigmoid()
    for i, item in enumerate(
        sightline.explain(net, X, target=0, contrast=contrast, method="gradcam", probabilities="sigmoid")
    ):
        assert item.decision.probability == pytest.approx(float(right[i, 0]), abs=1e-6)


@pytest.mark.parametrize(
    ("end", "meaning"), [("softmax", "given"), ("sigmoid", "given"), ("log_softmax", "exp"), (None, "softmax")]
)
def test_what_the_computation_ends_in_goes_first(end: str | None, meaning: str) -> None:
    multi = Net(config(problem_type="multi_label_classification"))
    assert chances_of("auto", Net(), lambda: end).meaning == meaning
    assert chances_of("auto", multi, lambda: end).meaning == ("sigmoid" if end is None else meaning)
    assert chances_of("sigmoid", Net(), lambda: end).meaning == "sigmoid"
    assert chances_of("given", Net(), lambda: end).meaning == ("exp" if end == "log_softmax" else "given")


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(TargetError, match="near names: 'softmax'"):
        sightline.explain(Net(), X, probabilities="sofmax")  # type: ignore[arg-type]


def test_a_log_softmax_of_probabilities_is_refused() -> None:
    with pytest.raises(TargetError, match="probabilities or their logarithms already"):
        sightline.explain(Net(), X, score="log-softmax", probabilities="given")


NAMES = ("cat", "dog", "cow", "hen")


@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        list(NAMES),
        dict(enumerate(NAMES)),
        {str(i): name for i, name in enumerate(NAMES)},
        dict(reversed(list(enumerate(NAMES)))),
        {name: i for i, name in enumerate(NAMES)},
        [["n1", "cat"], ["n2", "dog"], ["n3", "cow"], ["n4", "hen"]],
    ],
)
def test_labels_are_taken_as_people_write_them(labels: Any) -> None:
    assert label_names(labels) == NAMES
    item = sightline.explain(Net(), X[:1], target="dog", labels=labels, method="gradcam").one()
    assert (item.decision.label, item.decision.index) == ("dog", 1)


def test_labels_may_lie_in_a_file(tmp_path: Any) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    item = sightline.explain(Net(), X[:1], target="cow", labels=tmp_path / "names.txt", method="gradcam").one()
    assert item.decision.index == 2


@pytest.mark.parametrize("labels", [3, [1, 2, 3, 4], {0: "cat", 2: "dog"}, {0: "cat", 1: None}, {"a": "b"}, [None]])
def test_labels_that_cannot_be_understood_are_refused(labels: Any) -> None:
    with pytest.raises(InputError, match="the labels cannot be understood"):
        sightline.explain(Net(), X, labels=labels)


@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "ablationcam", "occlusion", "saliency", "naflow"])
@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_names_that_are_not_as_many_as_outputs_are_refused(method: str, classes: int, count: int) -> None:
    fits = count == classes or (classes == 1 and count == 2)
    names = [f"name {i}" for i in range(count)]
    if fits:
        assert sightline.explain(Net(classes=classes), X[:1], labels=names, method=method).one().decision.label
        return
    with pytest.raises(SightlineError, match=f"there are {count} labels, but the model has {classes} output"):
        sightline.explain(Net(classes=classes), X[:1], labels=names, method=method)


def test_a_background_class_in_front_is_named() -> None:
    with pytest.raises(SightlineError, match="the first name is a background class"):
        sightline.explain(Net(), X, labels=["background", *NAMES])


@pytest.mark.parametrize("wrapped", [False, True])
def test_names_in_a_configuration_are_read(wrapped: bool) -> None:
    net = Net(config(id2label=dict(enumerate(NAMES))))
    model = Wrapper(net) if wrapped else net
    item = sightline.explain(model, X[:1], target="hen", method="gradcam", layers="*body").one()
    assert (item.decision.label, item.decision.index) == ("hen", 3)


def test_what_a_user_gives_goes_before_the_configuration() -> None:
    net = Net(config(id2label=dict(enumerate(NAMES))))
    item = sightline.explain(net, X[:1], target=3, labels=["a", "b", "c", "d"], method="gradcam").one()
    assert item.decision.label == "d"


@pytest.mark.parametrize(
    "table", [{0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2", 3: "LABEL_3"}, {}, None, "names", {0: "cat"}, ["cat"]]
)
def test_a_configuration_without_names_for_these_outputs_is_passed_over(table: Any) -> None:
    net = Net(config(id2label=table))
    assert labels_of(net, 4) is None
    for model in (net, Wrapper(net)):
        item = sightline.explain(model, X[:1], target=3, method="gradcam", layers="*body").one()
        assert item.decision.label == "class 3"
