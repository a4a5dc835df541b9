"""The quicker copy says what the model says, is not used where it does not, and the model never notices."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.metrics import Probe, deletion, inference_copy
from sightline.metrics.inference import _Copy


def normed(*, twice: bool = False) -> nn.Module:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.3, 3)
    nn.init.normal_(norm.weight)
    layers = [conv, norm, nn.ReLU()] * (2 if twice else 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 5))


def test_normalisation_is_folded_and_the_copy_says_the_same() -> None:
    model, inputs = normed(), torch.rand(4, 3, 8, 8)
    copy = inference_copy(model, inputs)
    assert copy.fused
    assert "folded" in copy.reason
    assert not any(isinstance(part, nn.BatchNorm2d) for part in copy.model.body.modules())
    fresh = torch.randn(3, 3, 8, 8)
    assert torch.allclose(copy.model(fresh), model.eval()(fresh), atol=1e-5)


def test_layers_that_are_used_twice_are_not_folded() -> None:
    model, inputs = normed(twice=True), torch.rand(4, 3, 8, 8)
    assert any(isinstance(part, nn.BatchNorm2d) for part in _Copy(model).body.modules())
    assert inference_copy(model, inputs).fused


def test_a_metric_scores_the_same_through_the_copy() -> None:
    model, inputs, maps = normed(), torch.rand(4, 3, 8, 8), torch.rand(4, 8, 8)
    own = deletion(Probe(model), inputs, maps, steps=5)
    quick = deletion(Probe(inference_copy(model, inputs).model), inputs, maps, steps=5)
    assert torch.allclose(own.values, quick.values, atol=1e-6)


def test_the_model_is_left_as_it_was() -> None:
    model = normed().train()
    model[0].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    strides = model[0].weight.stride()
    assert inference_copy(model, torch.rand(2, 3, 8, 8)).fused
    assert [part.training for part in model][:3] == [False, True, True]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model[0].weight.stride() == strides
    assert all(parameter.requires_grad for parameter in model.parameters())


class Branching(nn.Module):
    """Cannot be traced: it looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.body = normed()

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.mean() > 100):
            return x.flatten(1)
        return self.body(x)


def test_what_cannot_be_traced_is_copied_with_channels_last_alone() -> None:
    copy = inference_copy(Branching(), torch.rand(2, 3, 8, 8))
    assert copy.fused
    assert "folded" not in copy.reason


class Moody(nn.Module):
    """Says something else at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.calls = normed(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.body(x) * self.calls


class Single(nn.Module):
    """Reads how the rows lie in memory, which the copy changes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = normed()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + float(x.stride()[1])


@pytest.mark.parametrize("model", [Moody(), Single()])
def test_a_copy_that_says_something_else_is_not_used(model: nn.Module) -> None:
    copy = inference_copy(model, torch.rand(2, 3, 8, 8))
    assert copy.model is model
    assert not copy.fused
    assert copy.difference > 1e-4
    assert "differs" in copy.reason


def test_callables_hooks_words_and_models_without_convolutions_are_left_alone() -> None:
    pictures = torch.rand(2, 3, 8, 8)
    watched = normed()
    watched[0].register_forward_hook(lambda *_: None)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    cases = [
        (normed().forward, pictures),
        (watched, pictures),
        (plain, pictures),
        (normed(), torch.zeros(2, 4).long()),
    ]
    for model, inputs in cases:
        copy = inference_copy(model, inputs)
        assert copy.model is model
        assert copy.reason.startswith("the model itself")


def test_a_probe_that_has_asked_does_not_ask_again() -> None:
    rows: list[int] = []

    def model(x: Tensor) -> Tensor:
        rows.append(len(x))
        return x.flatten(1)[:, :5]

    inputs, maps = torch.rand(4, 3, 8, 8), torch.rand(4, 8, 8)
    probe = Probe(model).remembering(inputs)
    known = deletion(probe, inputs, maps, steps=5)
    assert sum(rows) == 4 + 4 * 5
    assert torch.equal(known.values, deletion(Probe(model), inputs, maps, steps=5).values)
    assert probe.scores(inputs.clone())[1].tolist() == probe.scores(inputs)[1].tolist()
    assert sum(rows) == 4 + 4 * 5 + 4 * 6 + 4


MEANWHILE: list[Callable[[], None]] = []
"""What happens once in the middle of a forward."""


class Interrupted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if MEANWHILE:
            MEANWHILE.pop()()
        return x


def test_hooks_of_another_thread_that_explains_the_model_are_not_the_models_own() -> None:
    model, inputs, copies = nn.Sequential(normed(), Interrupted()).eval(), torch.rand(2, 3, 8, 8), []
    other = threading.Thread(target=lambda: copies.append(inference_copy(model, inputs)))

    def meanwhile() -> None:
        other.start()
        other.join(0.3)

    MEANWHILE.append(meanwhile)
    sightline.explain(model, inputs, target=0, method="gradcam", layers="convs")
    other.join(60)
    assert [copy.reason[:6] for copy in copies] == ["a copy"]
