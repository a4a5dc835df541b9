"""Every method has a test that holds its value; here are those that are tested by value nowhere else.

The oracles are written from the equations: plain autograd on a tiny network in float64, or a loop over places. They
share nothing with the library or with captum. `HOLDERS` names for each method the test that holds its value.
"""

from __future__ import annotations

import inspect
import math
import zlib
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

import sightline
from sightline.explainers import METHODS

TARGET = 3
CONTROLS = ("uniform", "gaussian", "edges", "random")
SHARED = "tests.batteries.test_equations:test_every_shared_method_equals_its_equation"
ATTENTION = "tests.batteries.test_equations:test_attention_methods_equal_their_equations"
HOLDERS = {
    **dict.fromkeys(("gradcam", "hirescam", "layercam", "xgradcam", "gradcam++", "gradxact", "eigencam"), SHARED),
    "scorecam": "tests.batteries.test_equations:test_scorecam_equals_its_equation_with_one_group_per_channel",
    "ablationcam": "tests.batteries.test_equations:test_ablationcam_equals_its_equation_with_one_group_per_channel",
    **dict.fromkeys(("rollout", "gradrollout"), ATTENTION),
    "legrad": "tests.explainers.test_legrad:test_legrad_equals_its_equation_block_by_block",
    "lrp": "tests.explainers.flow.test_lrp:test_all_rules_together_are_autograd_of_the_detached_surrogate",
    "daam": "tests.explainers.flow.test_daam:test_the_flow_is_the_running_sum_of_the_blocks_maps",
    "naflow": f"{__name__}:test_naflow_is_the_walk_back_with_dense_inverses",
    "saliency": f"{__name__}:test_saliency_is_the_largest_gradient_of_a_pixel",
    "integrated_gradients": f"{__name__}:test_integrated_gradients_are_the_mean_along_a_fine_path",
    "smoothgrad": f"{__name__}:test_smoothgrad_is_the_mean_gradient_at_the_noisy_pictures_that_the_model_was_shown",
    "guided_backprop": f"{__name__}:test_guided_backprop_stops_negative_gradients_at_each_relu",
    "occlusion": f"{__name__}:test_occlusion_is_what_the_score_loses_by_the_windows_over_a_pixel",
    "uniform": f"{__name__}:test_uniform_is_one_everywhere",
    "gaussian": f"{__name__}:test_the_gaussian_is_a_quarter_of_each_side_wide",
    "edges": f"{__name__}:test_edges_are_the_length_of_both_sobel_sums",
    "random": f"{__name__}:test_random_is_uniform_noise_whose_seed_is_the_picture",
}


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_has_a_test_that_holds_its_value(name: str) -> None:
    assert name in HOLDERS, f"{name} has no oracle: write a naive re-computation and name it in HOLDERS"
    module, _, test = HOLDERS[name].partition(":")
    assert test.startswith("test_")
    holder = getattr(import_module(module), test)
    assert f'"{name}"' in inspect.getsource(holder) or name in import_module(module).ORACLES


def test_no_holder_is_of_a_method_that_is_gone() -> None:
    assert set(HOLDERS) <= set(METHODS)


def network(activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A chain in float64, half as high and wide behind its second convolution."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = nn.Sequential(
            nn.Conv2d(3, 6, 3, 1, 1), activation(), nn.Conv2d(6, 8, 3, 2, 1), activation(),
            nn.Conv2d(8, 8, 3, 1, 1), activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
        )  # fmt: skip
        for parameter in model.parameters():
            nn.init.normal_(parameter, 0, 0.4)
    return model.double().eval()


def pictures(height: int = 12, width: int = 16) -> Tensor:
    """Two pictures, the second of three times the range."""
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return x * torch.tensor([1.0, 3.0], dtype=x.dtype)[:, None, None, None]


def gradient(model: nn.Module, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(model(leaf)[:, TARGET].sum(), leaf)[0]


def maps_of(method: str, model: nn.Module, x: Tensor, **own: Any) -> Tensor:
    """The library's maps `[b, h, w]` at the only layer that is asked for, in float64."""
    items = sightline.explain(model, x, target=TARGET, method=method, **own)
    assert all(len(item.flow.layers) == 1 for item in items)
    return torch.stack([item.flow[0].values for item in items]).double()


def assert_equal(ours: Tensor, oracle: Tensor, tolerance: float = 1e-5) -> None:
    assert ours.shape == oracle.shape
    assert float(oracle.abs().max()) > 0
    assert float((ours - oracle).abs().max()) <= tolerance * float(oracle.abs().max())


def test_saliency_is_the_largest_gradient_of_a_pixel() -> None:
    pytest.importorskip("captum")
    model, x = network(), pictures()
    assert_equal(maps_of("saliency", model, x), gradient(model, x).abs().amax(1))


def test_integrated_gradients_are_the_mean_along_a_fine_path() -> None:
    pytest.importorskip("captum")
    model, x = network(nn.Tanh), pictures()
    steps = 1000
    mean = sum(gradient(model, x * (i + 0.5) / steps) for i in range(steps)) / steps
    ours = maps_of("integrated_gradients", model, x)
    assert_equal(ours, (x * mean).sum(1), 1e-4)
    with torch.no_grad():
        gain = (model(x) - model(torch.zeros_like(x)))[:, TARGET]
    assert torch.allclose(ours.sum((1, 2)), gain, rtol=1e-3)


@pytest.mark.parametrize("noise", [None, 0.4])
def test_smoothgrad_is_the_mean_gradient_at_the_noisy_pictures_that_the_model_was_shown(noise: float | None) -> None:
    pytest.importorskip("captum")
    model, x = network(), pictures()
    samples = 40
    options = {"samples": samples} if noise is None else {"samples": samples, "noise": noise}
    for one in x.split(1):
        shown: list[Tensor] = []
        handle = model.register_forward_pre_hook(lambda module, args, shown=shown: shown.extend(args[0].detach()))
        ours = maps_of("smoothgrad", model, one, options=options)
        handle.remove()
        noisy = torch.stack([picture for picture in shown if not torch.equal(picture, one[0])])
        assert len(noisy) == samples
        drawn = ((noisy - one) / ((noise or 0.15) * (one.max() - one.min()))).numpy()
        assert kstest(drawn.ravel(), "norm").pvalue > 0.001
        assert np.abs(np.corrcoef(drawn.reshape(samples, -1)) - np.eye(samples)).max() < 0.25
        assert_equal(ours, gradient(model, noisy).mean(0, keepdim=True).abs().amax(1))


def test_guided_backprop_stops_negative_gradients_at_each_relu() -> None:
    pytest.importorskip("captum")
    model, x = network(), pictures()
    inputs, value = [], x
    for module in model:
        inputs.append(value)
        value = module(value).detach()
    G = torch.zeros_like(value)
    G[:, TARGET] = 1
    for module, before in zip(reversed(model), reversed(inputs), strict=True):
        if isinstance(module, nn.ReLU):
            G = torch.where((before > 0) & (G > 0), G, 0.0)
        else:
            leaf = before.clone().requires_grad_()
            G = torch.autograd.grad(module(leaf), leaf, G)[0]
    assert_equal(maps_of("guided_backprop", model, x), G.sum(1))


@pytest.mark.parametrize("window", [None, 5])
def test_occlusion_is_what_the_score_loses_by_the_windows_over_a_pixel(window: int | None) -> None:
    pytest.importorskip("captum")
    model, x = network(), pictures()
    height, width = x.shape[2:]
    side = window or round(height / 7)
    stride = max(1, side // 2)
    total, count = torch.zeros(2, height, width, dtype=x.dtype), torch.zeros(height, width, dtype=x.dtype)
    with torch.no_grad():
        whole = model(x)[:, TARGET]
        for i in range(0, height - side + stride, stride):
            for j in range(0, width - side + stride, stride):
                hidden = x.clone()
                hidden[:, :, i : i + side, j : j + side] = 0
                loss = whole - model(hidden)[:, TARGET]
                total[:, i : i + side, j : j + side] += loss[:, None, None]
                count[i : i + side, j : j + side] += 1
    assert int(count.min()) > 0
    options = {} if window is None else {"window": window}
    assert_equal(maps_of("occlusion", model, x, options=options), total / count)


def test_uniform_is_one_everywhere() -> None:
    assert torch.equal(maps_of("uniform", network(), pictures(), layers="2"), torch.ones(2, 6, 8).double())


def test_the_gaussian_is_a_quarter_of_each_side_wide() -> None:
    ours = maps_of("gaussian", network(), pictures(), layers="2")
    oracle = torch.empty(6, 8, dtype=torch.float64)
    for i in range(6):
        for j in range(8):
            down, right = i + 0.5 - 3, j + 0.5 - 4
            oracle[i, j] = math.exp(-(down**2) / (2 * 1.5**2)) * math.exp(-(right**2) / (2 * 2.0**2))
    assert_equal(ours, oracle.expand(2, -1, -1))


def test_edges_are_the_length_of_both_sobel_sums() -> None:
    x = pictures()
    gray = np.pad(x.mean(1).numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    strength = np.zeros((2, 12, 16))
    for i in range(12):
        for j in range(16):
            part = gray[:, i : i + 3, j : j + 3]
            across = part[:, :, 2] - part[:, :, 0]
            down = part[:, 2, :] - part[:, 0, :]
            strength[:, i, j] = np.hypot(across @ [1, 2, 1], down @ [1, 2, 1])
    cells = strength.reshape(2, 6, 2, 8, 2).mean((2, 4))
    assert_equal(maps_of("edges", network(), x, layers="2"), torch.from_numpy(cells))


def test_random_is_uniform_noise_whose_seed_is_the_picture() -> None:
    x = pictures().float()
    ours = maps_of("random", network().float(), x, layers="2", seed=4)
    for values, picture in zip(ours, x, strict=True):
        bits = int(picture.contiguous().numpy().view(np.int32).sum(dtype=np.int64))
        generator = torch.Generator().manual_seed(zlib.crc32(f"4 {bits} (6, 8)".encode()))
        assert torch.equal(values, torch.rand(6, 8, generator=generator).double())
    large = maps_of("random", network().float(), pictures(60, 80).float(), layers="0")
    assert kstest(large.numpy().ravel(), "uniform").pvalue > 0.001


def test_naflow_is_the_walk_back_with_dense_inverses() -> None:
    """A neuron without gradient is demanded to be zero; each convolution hands that back by damped least squares."""
    model, x = network(), pictures()
    values, value = [], x.clone().requires_grad_()
    for module in model:
        value = module(value)
        values.append(value)
    gradients = torch.autograd.grad(value[:, TARGET].sum(), values)
    oracle, delta = {}, torch.zeros_like(values[5])
    for place in (5, 3, 1):
        A, G = values[place].detach(), gradients[place]
        oracle[str(place)] = ((A + delta) * G).relu().sum(1)
        z, alive = values[place - 1].detach(), gradients[place - 1] != 0
        demand = torch.where(alive, torch.where(z > 0, delta, 0.0), -z)
        if place > 1:
            delta = damped_least_squares(model[place - 1], values[place - 2].detach(), demand)
    items = sightline.explain(
        model, x, target=TARGET, method="naflow", layers=list(oracle), options={"iterations": 500}
    )
    for layer, right in oracle.items():
        assert_equal(torch.stack([item.flow[layer].values for item in items]).double(), right, 1e-4)


def damped_least_squares(conv: nn.Conv2d, x: Tensor, demand: Tensor) -> Tensor:
    """`(M^T M + lambda)^-1 M^T demand` with the matrix column by column; lambda is 0.1 of the mean eigenvalue."""
    with torch.no_grad():
        units = torch.eye(x[0].numel(), dtype=x.dtype).view(-1, *x.shape[1:])
        M = (conv(units) - conv(torch.zeros_like(units[:1]))).flatten(1).T
        taps = conv.weight.square().sum() / (conv.in_channels * math.prod(conv.stride))
        gram = M.T @ M + 0.1 * taps * torch.eye(M.shape[1], dtype=x.dtype)
        return torch.linalg.solve(gram, M.T @ demand.flatten(1).T).T.view_as(x)
