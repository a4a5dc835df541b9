"""The probe: targets, bounded batches, running out of memory, and a model that comes back as it was."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import InputError, TargetError
from sightline.metrics import Probe, deletion_curve
from sightline.results.domains import Domain


def test_probability_and_logit_by_hand() -> None:
    logits = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    targets = torch.tensor([1, 2])
    exp = torch.tensor([2.0, 0.0]).exp() / torch.tensor([2 + torch.e**2, torch.e + 2])
    assert torch.allclose(Probe(lambda x: x, targets).scores(logits)[1], exp)
    assert Probe(lambda x: x, targets, output="logit").scores(logits)[1].tolist() == [2.0, 0.0]


def test_without_targets_the_models_own_choice_is_kept_for_all_rows() -> None:
    logits = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    fixed, scores = Probe(lambda x: x, output="logit").scores(logits)
    assert isinstance(fixed.targets, Tensor)
    assert fixed.targets.tolist() == [1, 0]
    assert scores.tolist() == [2.0, 1.0]
    rows = fixed.rows(torch.tensor([1, 1, 0]), lambda rows: logits[torch.tensor([0, 1, 0])][rows])
    assert rows.tolist() == [0.0, 1.0, 2.0]


def test_no_forward_has_more_rows_than_the_budget() -> None:
    seen: list[int] = []

    def model(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x

    Probe(model, torch.zeros(10, dtype=torch.long), batch_size=4).scores(torch.rand(10, 3))
    assert seen == [4, 4, 2]


@pytest.mark.parametrize(
    "problem", [torch.OutOfMemoryError("x"), RuntimeError("can't allocate memory"), MemoryError()]
)
def test_running_out_of_memory_halves_the_rows_and_changes_no_result(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = torch.rand(11, 3)

    def model(x: Tensor) -> Tensor:
        if len(x) > 3:
            raise problem
        return x

    targets = torch.zeros(11, dtype=torch.long)
    with caplog.at_level(logging.WARNING):
        tight = Probe(model, targets).scores(inputs)[1]
    assert torch.allclose(tight, Probe(lambda x: x, targets).scores(inputs)[1])
    assert "going on with 2" in caplog.text


def test_other_errors_are_not_swallowed() -> None:
    def model(x: Tensor) -> Tensor:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Probe(model, torch.zeros(2, dtype=torch.long)).scores(torch.rand(2, 2))


def test_a_single_row_that_does_not_fit_is_an_error() -> None:
    def model(x: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("x")

    with pytest.raises(InputError, match="single sample"):
        Probe(model, torch.zeros(2, dtype=torch.long)).scores(torch.rand(2, 2))
    with pytest.raises(InputError, match="empty"):
        Probe(model, torch.zeros(0, dtype=torch.long)).scores(torch.rand(0, 2))


def test_the_model_is_given_back_as_it_was_also_after_an_error(network: nn.Module) -> None:
    network[2].eval()
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.get_rng_state()
    Probe(network).scores(torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    with pytest.raises(RuntimeError):
        Probe(network).scores(torch.zeros(3, 5, 8, 8))
    assert modes == [module.training for module in network.modules()]
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in state.items())
    assert torch.equal(generator, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_scores_can_be_used_in_autograd_afterwards(network: nn.Module) -> None:
    scores = Probe(network).scores(torch.rand(2, 3, 8, 8))[1]
    assert not scores.is_inference()


def test_what_cannot_be_read_is_said_in_words() -> None:
    inputs = torch.rand(2, 3)
    with pytest.raises(TargetError, match="one class only"):
        Probe(lambda x: x[:, :1], torch.zeros(2, dtype=torch.long)).scores(inputs)
    with pytest.raises(TargetError, match="'a': a tensor"):
        Probe(lambda x: {"a": x, "b": x}, torch.zeros(2, dtype=torch.long)).scores(inputs)  # type: ignore[arg-type, return-value]
    with pytest.raises(TargetError, match="one class per sample"):
        Probe(lambda x: x, torch.zeros(3, dtype=torch.long)).scores(inputs)
    with pytest.raises(TargetError, match="one score per row"):
        Probe(lambda x: x, lambda output, samples: output).scores(inputs)
    with pytest.raises(TargetError, match="not fixed"):
        Probe(lambda x: x).rows(torch.tensor([0, 1]), lambda rows: inputs[rows])
    with pytest.raises(InputError, match="empty"):
        Probe(lambda x: x).scores(inputs[:0])
    with pytest.raises(InputError, match="batch_size"):
        Probe(lambda x: x, batch_size=0)
    with pytest.raises(InputError, match="'probability', 'sigmoid' or 'logit'"):
        Probe(lambda x: x, output="prob")  # type: ignore[arg-type]


@pytest.mark.parametrize(("side", "rows"), [(64, 8), (224, 4), (448, 1)])
def test_large_pictures_go_through_in_fewer_rows(side: int, rows: int) -> None:
    seen: list[int] = []

    def model(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.mean((2, 3))

    Probe(model).scores(torch.rand(9, 3, side, side))
    assert max(seen) == rows


def test_an_input_beside_the_judged_one_stays_as_it_is_and_keeps_to_its_sample() -> None:
    pictures, sounds = torch.rand(3, 4), torch.rand(3, 2)

    def model(pictures: Tensor, sounds: Tensor) -> Tensor:
        return torch.cat([pictures * sounds[:, :1], sounds], 1)

    targets = torch.tensor([0, 5, 2])
    expected = model(pictures, sounds)[range(3), targets]
    seen = Probe(model, targets, output="logit", batch_size=2, beside=(sounds,), domain=Domain("signal"))
    audible = Probe(model, targets, output="logit", batch_size=2, beside=(pictures,), place=1)
    assert torch.equal(seen.scores(pictures)[1], expected)
    assert torch.equal(audible.scores(sounds)[1], expected)
    curve = deletion_curve(seen, pictures, torch.rand(3, 4), steps=2, baseline="zero")
    assert curve.scores[:, 0].tolist() == pytest.approx(expected.tolist())
    assert curve.scores[:, -1].tolist() == [0.0, float(sounds[1, 1]), 0.0]


def test_an_input_beside_of_other_samples_is_refused() -> None:
    with pytest.raises(InputError, match=r"each of the 3 samples; got \[2\]"):
        Probe(lambda a, b: a, torch.zeros(3, dtype=torch.long), beside=(torch.rand(2, 1),)).scores(torch.rand(3, 2))
    with pytest.raises(InputError, match="number of the judged input among the model's 1; got 1"):
        Probe(lambda a: a, place=1)
