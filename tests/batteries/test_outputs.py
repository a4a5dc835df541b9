"""Whatever shape a model's output has, every method explains the same decision as on the plain logits."""

from __future__ import annotations

import collections
import dataclasses
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import SightlineError, TargetError

METHODS = ("gradcam", "lrp", "scorecam", "ablationcam", "occlusion", "saliency", "naflow")
CLASSES, BATCH = 4, 2
INPUTS = torch.rand(BATCH, 3, 12, 12, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """Two blocks and a linear layer, whose logits are wrapped up at the end."""

    def __init__(self, wrap: Callable[[Tensor], Any] = lambda y: y, classes: int = CLASSES) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(6, 8, 3, 1, 1), nn.ReLU())
        self.fc = nn.Linear(8, classes)
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.fc(self.two(self.one(x)).mean((2, 3))))


class Pair(NamedTuple):
    logits: Tensor
    aux_logits: Any


@dataclasses.dataclass
class Plain:
    logits: Tensor
    hidden_states: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    loss: Tensor
    y_hat: Tensor


@dataclasses.dataclass(slots=True)
class Slots:
    prediction: Tensor
    step: int = 3


class Record(collections.OrderedDict):  # type: ignore[type-arg]
    """Keys that are attributes too, as Hugging Face's outputs have them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as problem:
            raise AttributeError(name) from problem


class Lazy:
    """Logits behind a property."""

    def __init__(self, y: Tensor) -> None:
        self._y = y

    @property
    def logits(self) -> Tensor:
        return self._y


WRAPS: dict[str, Callable[[Tensor], Any]] = {
    "b k 1 1": lambda y: y[:, :, None, None],
    "b 1 k": lambda y: y[:, None],
    "b k 1 1 1": lambda y: y[:, :, None, None, None],
    "tuple of one": lambda y: (y,),
    "list of one": lambda y: [y],
    "loss first": lambda y: (y.square().mean(), y),
    "loss last": lambda y: (y, y.mean()),
    "nothing beside": lambda y: (y, None, ()),
    "whole numbers beside": lambda y: (y.argmax(1), y, 7),
    "logits and a loss": lambda y: {"logits": y, "aux_loss": y.square().mean()},
    "logits and constants": lambda y: {
        "logits": y,
        "prototypes": torch.ones(32, 6),
        "temperature": torch.tensor(2.0),
    },
    "logits and twice themselves": lambda y: {"logits": y, "same": y},
    "as many rows as variants": lambda y: {"scores": y, "table": torch.ones(8 * BATCH, 3)},
    "out and aux": lambda y: {"out": y, "aux": 2 * y},
    "an odd name": lambda y: {"y_hat": y, "text": "cat"},
    "nested": lambda y: {"heads": {"main": {"logits": y, "boxes": torch.zeros(len(y), 4)}}, "loss": y.mean()},
    "nested without a name": lambda y: ((None, [y]), {"step": 3}),
    "named tuple": lambda y: Pair(y, 2 * y),
    "named tuple without aux": lambda y: Pair(y, None),
    "named tuple inside": lambda y: {"result": Pair(y, 2 * y)},
    "data class": lambda y: Plain(y, (y, y)),
    "frozen data class": lambda y: Frozen(y.mean(), y),
    "data class with slots": lambda y: Slots(y),
    "namespace": lambda y: types.SimpleNamespace(scores=y, n=3),
    "record": lambda y: Record(loss=None, logits=y, hidden_states=(y, y)),
    "property": Lazy,
    "double": lambda y: y.double(),
    "half beside": lambda y: {"logits": y, "half": y.half()},
    "not contiguous": lambda y: torch.stack([y, y], 2)[:, :, 0],
    "expanded": lambda y: y[:, :, None].expand(-1, -1, 1),
}


def explained(model: nn.Module, method: str, target: Any = 2, inputs: Tensor = INPUTS, **more: Any) -> Any:
    options = {"groups": 0} if method in ("scorecam", "ablationcam") else {}
    return sightline.explain(model.eval(), inputs, target=target, method=method, options=options, **more)


def assert_same(one: Any, other: Any, *, tolerance: float = 1e-5) -> None:
    """The same scores and the same maps."""
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.decision.score == pytest.approx(b.decision.score, rel=1e-3, abs=1e-4)
        assert a.flow.layers == b.flow.layers
        for m, n in zip(a.flow.maps, b.flow.maps, strict=True):
            assert not m.values.requires_grad
            assert (m.values - n.values).abs().max() <= tolerance * max(1e-6, float(n.values.abs().max())), a.method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_an_output_of_any_shape_has_the_maps_of_its_logits(wrap: Callable[[Tensor], Any], method: str) -> None:
    results = explained(Net(wrap), method)
    assert_same(results, explained(Net(), method))
    assert [item.decision.index for item in results] == [2] * BATCH


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrap", ["tuple of one", "logits and constants", "data class", "b k 1 1"])
def test_a_class_for_each_sample_is_read_off_any_output(wrap: str, method: str) -> None:
    own = torch.tensor([1, 3])
    results = explained(Net(WRAPS[wrap]), method, own)
    assert [item.decision.index for item in results] == [1, 3]
    for i in range(BATCH):
        assert_same(results[i : i + 1], explained(Net(), method, int(own[i]), INPUTS[i : i + 1]), tolerance=1e-4)


LISTS: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = {
    "a dictionary per image": (
        lambda y: [{"scores": row, "labels": torch.arange(4)} for row in y],
        lambda out: torch.stack([one["scores"][2] for one in out]),
    ),
    "a tensor per image": (lambda y: list(y), lambda out: torch.stack([out[i][2] for i in range(len(out))])),
    "a tuple per image": (
        lambda y: [(row, i) for i, row in enumerate(y)],
        lambda out: torch.stack([row[2] for row, _ in out]),
    ),
    "lists in a dictionary": (
        lambda y: {"instances": [{"scores": row} for row in y], "loss": y.mean()},
        lambda out: torch.stack([one["scores"][2] for one in out["instances"]]),
    ),
    "lists and a loss": (lambda y: (list(y), y.mean()), lambda out: torch.stack([row[2] for row in out[0]])),
    "constants that are used": (
        lambda y: {"embedding": y, "prototypes": torch.eye(32)[:, :CLASSES]},
        lambda out: (out["embedding"] @ out["prototypes"].T)[:, 2],
    ),
    "as many constants as variants": (
        lambda y: {"embedding": y, "prototypes": torch.eye(8 * BATCH)[:, :CLASSES]},
        lambda out: (out["embedding"] @ out["prototypes"].T)[:, 2],
    ),
    "transposed": (lambda y: y.T, lambda out: out[2]),
    "k scores": (lambda y: [y], lambda out: out[0][:, 2:3]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("wrap", "target"), LISTS.values(), ids=LISTS)
def test_a_callable_reads_what_it_would_read_of_the_plain_model(
    wrap: Callable[[Tensor], Any], target: Callable[[Any], Tensor], method: str
) -> None:
    assert_same(explained(Net(wrap), method, target), explained(Net(), method))


@pytest.mark.parametrize("method", METHODS)
def test_a_callable_may_hold_something_for_each_sample_of_the_batch(method: str) -> None:
    own = torch.tensor([1, 3])
    results = explained(Net(), method, lambda out: out[torch.arange(BATCH), own])
    assert_same(results, explained(Net(), method, own))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("caller", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_no_map_keeps_the_graph_of_a_target_that_can_be_trained(method: str, caller: Any) -> None:
    head = nn.Linear(CLASSES, 1)
    with caller():
        results = explained(Net(), method, lambda out: head(out)[:, 0])
    for item in results:
        for m in item.flow.maps:
            assert not m.values.requires_grad
            m.values.numpy()
    assert head.weight.grad is None


REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "no batch axis": (lambda y: y[0], "4 rows of scores were read for a batch of"),
    "transposed": (lambda y: y.T, "4 rows of scores were read for a batch of"),
    "one number": (lambda y: y.sum(), "logits of shape"),
    "two of them": (lambda y: (y, 2 * y), "not clear which part"),
    "two names": (lambda y: {"a": y, "b": y}, "not clear which part"),
    "two heads": (lambda y: {"a": {"logits": y}, "b": {"logits": 2 * y}}, "not clear which part"),
    "a dictionary per image": (lambda y: [{"scores": row} for row in y], "not clear which part"),
    "nothing": (lambda y: None, "not clear which part"),
    "text": (lambda y: {"label": "cat"}, "not clear which part"),
    "a loss alone": (lambda y: {"loss": y.mean()}, "not clear which part"),
    "the answer alone": (lambda y: y.argmax(1), "floats"),
    "the answer under a name": (lambda y: {"logits": y.argmax(1), "x": y}, "floats"),
    "dense": (lambda y: y[:, :, None, None].expand(-1, -1, 3, 3), r"4, 3, 3\)"),
    "empty": (lambda y: [], "not clear which part"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("wrap", "text"), REFUSED.values(), ids=REFUSED)
def test_an_output_without_clear_logits_is_refused_in_a_sentence(
    wrap: Callable[[Tensor], Any], text: str, method: str
) -> None:
    with pytest.raises(SightlineError, match=text):
        explained(Net(wrap), method, None)


def test_a_callable_that_forgets_a_sample_is_refused() -> None:
    for method in METHODS:
        with pytest.raises(TargetError, match="rows of scores were read for a batch of"):
            explained(Net(), method, lambda out: out[1:, 2])


ONES: dict[str, Callable[[Tensor], Any]] = {
    "b": lambda y: y[:, 0],
    "b 1": lambda y: y,
    "b 1 1 1": lambda y: y[:, :, None, None],
    "dictionary": lambda y: {"logits": y, "loss": y.mean()},
}
SIDES = {
    "two names, positive": (5.0, ["benign", "malignant"], None, "malignant", 1.0),
    "two names, negative": (-5.0, ["benign", "malignant"], None, "benign", -1.0),
    "the first by name": (5.0, ["benign", "malignant"], "benign", "benign", -1.0),
    "the first by index": (5.0, ["benign", "malignant"], 0, "benign", -1.0),
    "the second by index": (-5.0, {0: "benign", 1: "malignant"}, 1, "malignant", 1.0),
    "one name, positive": (5.0, ["malignant"], None, "malignant", 1.0),
    "one name, negative": (-5.0, ["malignant"], None, "not malignant", -1.0),
    "one name, its absence": (5.0, ["malignant"], "not malignant", "not malignant", -1.0),
    "one name, by index": (-5.0, ["malignant"], 0, "malignant", 1.0),
    "no name, positive": (5.0, None, None, "higher value", 1.0),
    "no name, negative": (-5.0, None, None, "higher value", 1.0),
    "no name, by index": (-5.0, None, 0, "higher value", 1.0),
    "a value": (-5.0, None, "value", "higher value", 1.0),
    "a value downwards": (5.0, None, "lower value", "lower value", -1.0),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrap", ONES.values(), ids=ONES)
@pytest.mark.parametrize(("bias", "labels", "target", "label", "sign"), SIDES.values(), ids=SIDES)
def test_one_output_is_explained_on_the_side_that_its_label_says(
    bias: float, labels: Any, target: Any, label: str, sign: float, wrap: Callable[[Tensor], Any], method: str
) -> None:
    model, plain = Net(wrap, 1), Net(classes=1)
    for net in (model, plain):
        net.fc.bias.data.fill_(bias)
    results = explained(model, method, target, labels=labels)
    assert {item.decision.label for item in results} == {label}
    assert_same(results, explained(plain, method, lambda out: sign * out[:, 0]))
    chances = [item.decision.probability for item in results]
    if labels is None:
        assert chances == [None] * BATCH
    else:
        assert chances == pytest.approx([float(torch.tensor(i.decision.score).sigmoid()) for i in results])
