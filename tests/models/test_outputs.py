"""What a model says of its outputs: probabilities and names are read off declarations, never off values."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import InputError, SightlineError, TargetError
from sightline.models import adapt
from sightline.models.labels import label_names
from sightline.models.logits import logits_of
from sightline.models.outputs import chances_of, declarations_of, labels_of


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
    assert chances_of("auto", declarations_of(Net()), end).meaning == meaning
    assert chances_of("auto", declarations_of(multi), end).meaning == ("sigmoid" if end is None else meaning)
    assert chances_of("sigmoid", declarations_of(Net()), end).meaning == "sigmoid"
    assert chances_of("given", declarations_of(Net()), end).meaning == ("exp" if end == "log_softmax" else "given")


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


@pytest.mark.parametrize(
    "labels", [3, [1, 2, 3, 4], {0: "cat", 2: "dog"}, {0: "cat", 1: None}, {"a": "b"}, [None], {"cat", "dog"}]
)
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
    "table",
    [
        {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2", 3: "LABEL_3"},
        {},
        None,
        "names",
        {0: "cat"},
        ["cat"],
        {0: None},
        {1: "dog"},
    ],
)
def test_a_configuration_without_names_for_these_outputs_is_passed_over(table: Any) -> None:
    net = Net(config(id2label=table))
    assert labels_of(declarations_of(net), 4) is None
    for model in (net, Wrapper(net)):
        item = sightline.explain(model, X[:1], target=3, method="gradcam", layers="*body").one()
        assert item.decision.label == "class 3"


class Ended(nn.Module):
    """Logits of four or one outputs, and what is done with them at the end."""

    def __init__(self, end: Any, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(6, classes)
        self.end = end

    def logits(self, x: Tensor) -> Tensor:
        features = self.body(x)
        # a soft-max and a sigmoid on the way are no ending
        weights = features.mean(1).flatten(1).softmax(1)
        return (
            self.fc(torch.einsum("bn,bcn->bc", weights, features.flatten(2)) * features.mean((2, 3)).sigmoid()) * 20
        )

    def forward(self, x: Tensor) -> Any:
        return self.end(self.logits(x))


def each(function: Any) -> Any:
    """Heads of their own for each label, joined."""
    return lambda y: torch.cat([function(y[:, i : i + 1]) for i in range(y.shape[1])], 1)


ENDS: dict[str, tuple[Any, Any, str | None]] = {
    "soft-max module": (nn.Softmax(1), lambda y: y.softmax(1), "softmax"),
    "soft-max function": (lambda y: nn.functional.softmax(y, -1), lambda y: y.softmax(1), "softmax"),
    "soft-max method": (lambda y: y.softmax(dim=1), lambda y: y.softmax(1), "softmax"),
    "with a temperature": (lambda y: (y / 2).softmax(1), lambda y: (y / 2).softmax(1), "softmax"),
    "soft-max of a 1x1 head": (lambda y: y[:, :, None, None].softmax(1), lambda y: y.softmax(1), "softmax"),
    "soft-max and flattened": (lambda y: y[..., None, None].softmax(1).flatten(1), lambda y: y.softmax(1), "softmax"),
    "soft-max in double": (lambda y: y.double().softmax(1).float(), lambda y: y.softmax(1), "softmax"),
    "soft-max and clamped": (lambda y: y.softmax(1).clamp(1e-7, 1), lambda y: y.softmax(1), "softmax"),
    "soft-max without background": (
        lambda y: torch.cat([y[:, :1], y], 1).softmax(1)[:, 1:],
        lambda y: torch.cat([y[:, :1], y], 1).softmax(1)[:, 1:],
        "softmax",
    ),
    "exponential of a log-soft-max": (lambda y: y.log_softmax(1).exp(), lambda y: y.softmax(1), "softmax"),
    "an ensemble": (
        lambda y: torch.stack([y.softmax(1), (y / 3).softmax(1)]).mean(0),
        lambda y: (y.softmax(1) + (y / 3).softmax(1)) / 2,
        "softmax",
    ),
    "log-soft-max": (nn.LogSoftmax(1), lambda y: y.softmax(1), "log_softmax"),
    "logarithm of a soft-max": (lambda y: y.softmax(1).log(), lambda y: y.softmax(1), "log_softmax"),
    "sigmoid module": (nn.Sigmoid(), lambda y: y.sigmoid(), "sigmoid"),
    "sigmoid function": (torch.sigmoid, lambda y: y.sigmoid(), "sigmoid"),
    "a sigmoid for each label": (each(torch.sigmoid), lambda y: y.sigmoid(), "sigmoid"),
    "sigmoid in a dictionary": (
        lambda y: {"loss": y.mean(), "hidden": (y,), "logits": y.sigmoid()}, lambda y: y.sigmoid(), "sigmoid",
    ),
    "probabilities beside logits": (
        lambda y: {"logits": y, "probabilities": y.softmax(1)}, lambda y: y.softmax(1), None,
    ),
    "sigmoids beside logits": (lambda y: (y.sigmoid().argmax(1), y), lambda y: y.softmax(1), None),
    "soft-max in a record": (
        lambda y: types.SimpleNamespace(features=y, scores=y.softmax(1)), lambda y: y.softmax(1), "softmax",
    ),
    "logits": (lambda y: y, lambda y: y.softmax(1), None),
    "scaled sigmoid": (lambda y: 4 * y.sigmoid() - 2, lambda y: (4 * y.sigmoid() - 2).softmax(1), None),
    "both at once": (lambda y: y.softmax(1) * y.sigmoid(), lambda y: (y.softmax(1) * y.sigmoid()).softmax(1), None),
}  # fmt: skip


@pytest.mark.parametrize(("end", "right", "ending"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_the_logits_end_in_is_read_off_the_computation(
    end: Any, right: Any, ending: str | None, wrapped: bool
) -> None:
    net = Ended(end).eval()
    model = nn.Sequential(nn.Identity(), net) if wrapped else net
    assert logits_of(adapt(model).structure(X)).ending == ending
    with torch.no_grad():
        chances = right(net.logits(X))
    for number, item in enumerate(sightline.explain(model, X, target="top3", method="gradcam")):
        assert item.decision.probability == pytest.approx(float(chances[number // 3, item.decision.index]), abs=1e-5)


@pytest.mark.parametrize(
    ("selector", "ending"),
    [
        ("probs", "softmax"),
        ("raw", None),
        ("inner.logs", "log_softmax"),
        (lambda out: out["probs"], "softmax"),
        (lambda out: out["inner"]["sigmoids"][:, :2], "sigmoid"),
        (lambda out: out["inner"]["sigmoids"][:, None].squeeze(1), "sigmoid"),
        (lambda out: out["raw"].softmax(1), "softmax"),
        (lambda out: torch.sigmoid(out["raw"])[:, :3], "sigmoid"),
        (lambda out: out["raw"].log_softmax(1).float(), "log_softmax"),
        (lambda out: out["raw"] * 2, None),
        (lambda out: out["probs"] * 2, None),
        (lambda out: out["missing"], None),
        (lambda out: out["raw"].tolist(), None),
    ],
)
def test_the_ending_is_that_of_the_part_that_holds_the_logits(selector: Any, ending: str | None) -> None:
    def end(y: Tensor) -> Any:
        inner = {"logs": y.log_softmax(1), "sigmoids": y.sigmoid()}
        return {"raw": y, "probs": y.softmax(1), "inner": inner}

    assert logits_of(adapt(Ended(end).eval()).structure(X), selector).ending == ending


@pytest.mark.parametrize("end", [torch.sigmoid, lambda y: {"logits": y.sigmoid()[:, 0]}])
@pytest.mark.parametrize("shift", [3.0, -3.0])
@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "occlusion"])
def test_two_names_share_the_probability_that_a_sigmoid_gives(end: Any, shift: float, method: str) -> None:
    net = Ended(end, 1).eval()
    net.fc.weight.data.mul_(0.01)
    net.fc.bias.data.fill_(shift / 20)
    with torch.no_grad():
        p = net.logits(X)[:, 0].sigmoid()
    for i, item in enumerate(sightline.explain(net, X, labels=["benign", "malignant"], method=method)):
        likely = float(p[i]) if shift > 0 else 1 - float(p[i])
        assert item.decision.label == ("malignant" if shift > 0 else "benign")
        assert item.decision.score == pytest.approx(likely, abs=1e-5)
        assert item.decision.probability == pytest.approx(likely, abs=1e-5)


@pytest.mark.parametrize("stale", [2, 1000, 1])
def test_classes_are_counted_where_they_come_out_not_in_an_attribute(stale: int) -> None:
    net = Net()
    net.num_classes = stale  # as a head that was put in later leaves it
    assert sightline.explain(net, X[:1], target=3, method="gradcam").one().decision.index == 3
    assert sightline.explain(net, X[:1], target="hen", labels=NAMES, method="gradcam").one().decision.index == 3
    with pytest.raises(TargetError, match="the classes of this model are 0 to 3"):
        sightline.explain(net, X[:1], target=4, method="gradcam")
    with pytest.raises(TargetError, match="allows at most 4"):
        sightline.explain(net, X[:1], target="top5", method="gradcam")
