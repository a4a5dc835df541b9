"""Agreement with published implementations, where the definitions agree; docs/metrics.md says where they do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.metrics import (
    Probe,
    average_drop,
    average_increase,
    deletion_curve,
    effective_complexity,
    energy_in_mask,
    entropy,
    impute,
    infidelity_of,
    insertion_curve,
    max_sensitivity,
    pointing_game,
    rank_accuracy,
    road_accuracy,
    sparseness,
)

SIDE = 8


def peer(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed; it comes with the extra 'peers'")


@pytest.fixture
def batch(network: nn.Module) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(12)
    inputs, maps = torch.rand(4, 3, SIDE, SIDE, generator=draw), torch.rand(4, SIDE, SIDE, generator=draw)
    return network.eval(), inputs, maps, torch.tensor([0, 1, 2, 3])


class Extractor:
    """What torch-cam's metrics ask of an extractor, giving maps that are known beforehand."""

    def __init__(self, model: nn.Module, maps: Tensor) -> None:
        self.model, self.maps = model, maps

    def __call__(self, class_idx: Any = None, scores: Any = None, normalized: bool = True, **_: Any) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, cams: list[Tensor]) -> Tensor:
        return cams[0]

    def _hooks_off(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def softmax(logits: Tensor) -> Tensor:
    return logits.softmax(-1)


def test_deletion_and_insertion_equal_torchcam(batch: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
    metrics = peer("torchcam.metrics")
    model, inputs, maps, targets = batch
    theirs = metrics.DeletionInsertionMetric(Extractor(model, maps), softmax, steps=8)
    theirs.update(inputs, targets.tolist())
    summary = theirs.summary()
    probe = Probe(model, targets)
    down = deletion_curve(probe, inputs, maps, steps=8, baseline="zero").area().mean()
    up = insertion_curve(probe, inputs, maps, steps=8, baseline="zero").area().mean()
    named = {key.split("_")[0]: value for key, value in summary.items()}
    assert float(down) == pytest.approx(named["deletion"], abs=1e-5)
    assert float(up) == pytest.approx(named["insertion"], abs=1e-5)


def test_average_drop_and_increase_equal_torchcam(batch: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
    metrics = peer("torchcam.metrics")
    model, inputs, maps, targets = batch
    maps = (maps - maps.amin((1, 2), keepdim=True)) / (maps.amax((1, 2)) - maps.amin((1, 2)))[:, None, None]
    theirs = metrics.ClassificationMetric(Extractor(model, maps), softmax)
    theirs.update(inputs, targets.tolist())
    probe = Probe(model, targets)
    assert float(average_drop(probe, inputs, maps).values.mean()) == pytest.approx(
        theirs.summary()["avg_drop"], abs=1e-5
    )
    increase = float(average_increase(probe, inputs, maps).values.mean())
    assert increase == pytest.approx(theirs.summary()["conf_increase"])


def test_infidelity_equals_captum(batch: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
    captum = peer("captum.metrics")
    model, inputs, maps, targets = batch
    draws = torch.randn(5, *inputs.shape, generator=torch.Generator().manual_seed(3)) * 0.1
    attributions = maps[:, None].expand_as(inputs)
    for scale in (False, True):
        queue = list(draws)
        theirs = captum.infidelity(
            model,
            lambda x, queue=queue: ((shift := queue.pop(0)), x - shift),
            inputs,
            attributions,
            target=targets,
            n_perturb_samples=5,
            max_examples_per_batch=4,
            normalize=scale,
        )
        with torch.no_grad():
            pick = targets[:, None]
            effect = torch.cat(
                [model(inputs).gather(1, pick) - model(inputs - shift).gather(1, pick) for shift in draws], 1
            )
        promise = torch.stack([(shift * attributions).flatten(1).sum(1) for shift in draws], 1)
        assert infidelity_of(promise, effect, scale=scale).tolist() == pytest.approx(theirs.tolist(), rel=1e-4)


def test_max_sensitivity_equals_captum(batch: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
    captum = peer("captum.metrics")
    _, inputs, _, _ = batch
    generator = torch.Generator().manual_seed(0)
    shifts = [(torch.rand(inputs.shape[1:], generator=generator) * 2 - 1) * 0.02 for _ in range(4)]
    queue = list(shifts)
    theirs = captum.sensitivity_max(
        lambda x: x**3 if isinstance(x, Tensor) else (x[0] ** 3,),
        inputs,
        perturb_func=lambda x, radius: x + queue.pop(0),
        n_perturb_samples=4,
        max_examples_per_batch=4,
    )
    ours = max_sensitivity(lambda x: x**3, inputs, inputs**3, draws=4).values
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-4)


def numpy_of(*tensors: Tensor) -> list[Any]:
    return [tensor.numpy() for tensor in tensors]


def test_pixel_flipping_is_our_deletion_curve(batch: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
    quantus = peer("quantus")
    model, inputs, maps, targets = batch
    # one channel, for Quantus ranks the channels of a pixel one by one
    grey = nn.Sequential(nn.Conv2d(1, 3, 1), model).eval()
    x, y, a = numpy_of(inputs[:, :1], targets, maps[:, None])
    theirs = quantus.PixelFlipping(features_in_step=8, disable_warnings=True)(
        model=grey, x_batch=x, y_batch=y, a_batch=a, softmax=True, device="cpu"
    )
    black = inputs[:, :1].amin((1, 2, 3), keepdim=True)  # what Quantus calls black
    ours = deletion_curve(Probe(grey, targets), inputs[:, :1], maps, steps=8, baseline=black).scores[:, 1:]
    assert torch.allclose(ours, torch.tensor(theirs, dtype=torch.float32), atol=1e-5)


def test_in_painting_equals_quantus() -> None:
    peer("quantus")
    from quantus.functions.perturb_func import noisy_linear_imputation

    picture = torch.rand(1, 2, 12, 12, generator=torch.Generator().manual_seed(1))
    hidden = torch.rand(12, 12, generator=torch.Generator().manual_seed(2)) < 0.6
    theirs = noisy_linear_imputation(picture[0].numpy(), hidden.flatten().nonzero()[:, 0].numpy(), noise=0.0)
    ours = impute(picture, hidden[None, None], noise=0.0, tolerance=1e-6)[0]
    assert torch.allclose(ours, torch.tensor(theirs, dtype=torch.float32), atol=1e-4)


def test_road_accuracy_equals_quantus_on_a_model_that_noise_does_not_turn() -> None:
    quantus = peer("quantus")

    class Dark(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            bright = x.flatten(1).mean(1)
            return torch.stack([bright * 0 + 0.3, bright], dim=1)

    draw = torch.Generator().manual_seed(4)
    inputs = torch.rand(6, 1, 16, 16, generator=draw) * 0.1
    inputs[..., 4:12, 4:12] += torch.linspace(0.6, 1.4, 6)[:, None, None, None]
    maps = inputs[:, 0] + 0.01 * torch.rand(6, 16, 16, generator=draw)
    targets = torch.ones(6, dtype=torch.long)
    x, y, a = numpy_of(inputs, targets, maps[:, None])
    theirs = quantus.ROAD(percentages=[10, 30, 50], noise=0.001, disable_warnings=True)(
        model=Dark().eval(), x_batch=x, y_batch=y, a_batch=a, device="cpu", channel_first=True
    )
    ours = road_accuracy(Probe(Dark().eval(), targets), inputs, maps, fractions=(0.1, 0.3, 0.5)).float().mean(0)
    assert ours.tolist() == pytest.approx([float(theirs[key]) for key in (10, 30, 50)], abs=1e-6)
    assert 0 < float(ours.mean()) < 1


def test_metrics_of_maps_equal_quantus() -> None:
    quantus = peer("quantus")
    draw = torch.Generator().manual_seed(6)
    maps, masks = torch.rand(5, SIDE, SIDE, generator=draw), torch.zeros(5, SIDE, SIDE, dtype=torch.bool)
    masks[:, 2:6, 1:7] = True
    x, y, a, s = numpy_of(
        torch.rand(5, 1, SIDE, SIDE), torch.zeros(5, dtype=torch.long), maps[:, None], masks[:, None]
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))

    def theirs(name: str, **options: Any) -> list[float]:
        metric = getattr(quantus, name)(disable_warnings=True, **options)
        values = metric(model=model, x_batch=x, y_batch=y, a_batch=a.copy(), s_batch=s, device="cpu")
        return [float(value) for value in values]

    assert pointing_game(maps, masks).values.tolist() == theirs("PointingGame")
    assert energy_in_mask(maps, masks).values.tolist() == pytest.approx(theirs("AttributionLocalisation"), abs=1e-5)
    assert rank_accuracy(maps, masks).values.tolist() == pytest.approx(theirs("RelevanceRankAccuracy"), abs=1e-5)
    assert sparseness(maps).values.tolist() == pytest.approx(theirs("Sparseness"), abs=1e-4)
    assert entropy(maps).values.tolist() == pytest.approx(theirs("Complexity"), abs=1e-4)
    counted = [value / SIDE**2 for value in theirs("EffectiveComplexity", eps=0.1)]
    assert effective_complexity(maps).values.tolist() == pytest.approx(counted)
