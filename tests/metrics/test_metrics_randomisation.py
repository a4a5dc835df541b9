"""Randomisation: cascades by a naive copy, likeness by hand, and a model that comes back bit for bit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import InputError
from sightline.metrics import (
    cascade,
    label_randomisation,
    layers_of,
    model_randomisation,
    randomisation_curve,
    restored,
    similarity,
    smoothed,
    target_randomisation,
)

INPUTS = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(8))


def saliency(model: nn.Module, inputs: Tensor) -> Tensor:
    """|gradient| of the first logit, in evaluation mode; spoils `.grad`, modes and buffers on purpose."""
    model(inputs)
    model.eval()
    x = inputs.clone().requires_grad_()
    model(x)[:, 0].sum().backward()
    assert x.grad is not None
    return x.grad.abs().sum(1)


def snapshot(model: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in (*model.parameters(), *model.buffers())]


def same(model: nn.Module, before: list[Tensor]) -> bool:
    now = (*model.parameters(), *model.buffers())
    return all(torch.equal(one, other) for one, other in zip(now, before, strict=True))


def test_layers_are_named_from_the_output_back(network: nn.Module) -> None:
    assert layers_of(network) == ("6", "1", "0")


def test_the_model_is_given_back_bit_for_bit(network: nn.Module) -> None:
    network[1].running_mean.fill_(float("nan"))
    network[1].running_mean.fill_(0.125)
    network[2].eval()
    network[0].weight.requires_grad_(False)
    before, places = snapshot(network), [tensor.data_ptr() for tensor in network.parameters()]
    modes, generator = [module.training for module in network.modules()], torch.get_rng_state()
    model_randomisation(lambda m, x: saliency(m.eval(), x), network, INPUTS)
    assert same(network, before)
    assert places == [tensor.data_ptr() for tensor in network.parameters()]
    assert modes == [module.training for module in network.modules()]
    assert not network[0].weight.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(generator, torch.get_rng_state())


def test_the_model_is_given_back_after_an_error_and_after_a_cascade_left_early(network: nn.Module) -> None:
    before = snapshot(network)
    calls = []

    def fails(model: nn.Module, inputs: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("third call")
        return saliency(model, inputs)

    with pytest.raises(ValueError, match="third call"):
        model_randomisation(fails, network, INPUTS)
    assert same(network, before)
    running = cascade(saliency, network, INPUTS)
    next(running)
    assert not same(network, before)
    running.close()  # type: ignore[attr-defined]
    assert same(network, before)


def test_restored_keeps_gradients_and_tied_weights(network: nn.Module) -> None:
    network[6].weight.grad = torch.ones_like(network[6].weight)
    kept = network[6].weight.grad
    with restored(network):
        network[6].weight.grad = None
    assert network[6].weight.grad is kept


@pytest.mark.parametrize("how", ["redraw", "permute"])
def test_a_cascade_equals_randomising_copies_by_hand(network: nn.Module, how: str) -> None:
    found = dict(cascade(saliency, network.eval(), INPUTS, how=how, seed=2))  # type: ignore[arg-type]
    order = sorted(dict(network.named_modules()))
    twin = copy.deepcopy(network).eval()
    for name in ("6", "1", "0"):
        generator = torch.Generator().manual_seed(2000 + order.index(name))
        with torch.no_grad():
            for weight in dict(twin.named_modules())[name].parameters():
                if how == "permute":
                    shuffled = weight.flatten()[torch.randperm(weight.numel(), generator=generator)]
                    weight.copy_(shuffled.reshape(weight.shape))
                else:
                    noise = torch.randn(weight.shape, generator=generator)
                    weight.copy_(weight.mean() + weight.std(unbiased=False) * noise)
        assert torch.allclose(found[name], saliency(copy.deepcopy(twin), INPUTS), atol=1e-6)


def test_named_layers_take_all_below_them_and_unknown_ones_are_refused() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 2))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    changed = []
    for name, _ in cascade(lambda m, x: x, model, torch.rand(1, 4), layers=("0",)):
        now = [not torch.equal(one, other) for one, other in zip(model.parameters(), before, strict=True)]
        changed.append((name, now))
    assert changed == [("0", [True, True, True, True, False, False])]
    with pytest.raises(InputError, match="no layer '7'"):
        list(cascade(lambda m, x: x, model, torch.rand(1, 4), layers=("7",)))
    with pytest.raises(InputError, match="nothing to randomise"):
        list(cascade(lambda m, x: x, nn.ReLU(), torch.rand(1, 4)))


def test_likeness_by_hand() -> None:
    one, other = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, -3.0, 2.0]])
    # ranks 1 2 3 against 2 1 3: 1 - 6 * 2 / 24
    assert target_randomisation(one, other).values.tolist() == pytest.approx([0.5])
    # magnitudes 1 3 2 against 1 2 3
    assert target_randomisation(one, other, magnitude=True).values.tolist() == pytest.approx([0.5])
    assert similarity(one, -one).tolist() == pytest.approx([-1.0])
    assert similarity(one, -one, magnitude=True).tolist() == pytest.approx([1.0])


def test_a_map_that_ignores_the_model_is_caught(network: nn.Module) -> None:
    deaf = model_randomisation(lambda m, x: x.sum(1), network, INPUTS).values
    assert deaf.tolist() == pytest.approx([1.0] * 3)
    hearing = model_randomisation(saliency, network, INPUTS).values
    assert float(hearing.max()) < 0.9


def test_the_value_is_the_mean_of_the_curve(network: nn.Module) -> None:
    first, curve = randomisation_curve(saliency, network, INPUTS)
    assert torch.allclose(first, saliency(copy.deepcopy(network), INPUTS))
    value = model_randomisation(saliency, network, INPUTS).values
    assert torch.allclose(value, torch.stack(list(curve.values())).mean(0))


def test_smoothing_is_the_mean_over_noisy_copies(network: nn.Module) -> None:
    network.eval()
    found = smoothed(saliency, draws=3, noise=0.2, seed=6)(network, INPUTS)
    generator = torch.Generator().manual_seed(6)
    reach = torch.stack([x.max() - x.min() for x in INPUTS])[:, None, None, None]
    naive = [saliency(network, INPUTS + 0.2 * reach * torch.randn(3, 8, 8, generator=generator)) for _ in range(3)]
    assert torch.allclose(found, torch.stack(naive).mean(0), atol=1e-6)
    assert smoothed(saliency, draws=0) is saliency
    assert len(model_randomisation(saliency, network, INPUTS, smooth=2)) == 3


def test_label_randomisation_compares_two_models_and_spares_both(network: nn.Module) -> None:
    other = copy.deepcopy(network)
    with torch.no_grad():
        other[0].weight.copy_(torch.randn(other[0].weight.shape))
    states = snapshot(network), snapshot(other)
    found = label_randomisation(saliency, network, other, INPUTS).values
    naive = similarity(saliency(copy.deepcopy(network), INPUTS), saliency(copy.deepcopy(other), INPUTS))
    assert torch.allclose(found, naive, atol=1e-6)
    assert same(network, states[0])
    assert same(other, states[1])
    assert label_randomisation(saliency, network, network, INPUTS).values.tolist() == pytest.approx([1.0] * 3)
