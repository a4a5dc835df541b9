"""Contract 5: every method equals a naive re-computation of its equation, at every layer of every tiny model.

The oracle shares nothing with the engine: it runs a copy of the model whose in-place layers are off, keeps every
layer's tensor with `retain_grad`, and evaluates the equation place by place in float64.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sightline
from tests.tiny import SIDE, TINY, build, output_of, picture

TARGET = 3
GRID = SIDE // 4


def to_grid(tensor: Tensor, name: str) -> Tensor:
    """By hand, for the tiny models: tokens with or without a class token, channels last, or plain."""
    if tensor.ndim == 3:
        prefix = tensor.shape[1] - GRID * GRID
        return torch.stack([t[prefix:].reshape(GRID, GRID, -1).permute(2, 0, 1) for t in tensor])
    channels_last = tuple(tensor.shape[1:3]) == (GRID, GRID) != tuple(tensor.shape[2:])
    return tensor.permute(0, 3, 1, 2) if channels_last and name in ("windows", "vit_token", "vit_avg") else tensor


def stages_by_hand(name: str, x: Tensor, wanted: tuple[str, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Activation and gradient of each layer, `[b, c, h, w]`, read with hooks on a copy without in-place layers."""
    model = copy.deepcopy(build(name)).double()
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    seen: dict[str, list[Tensor]] = {}

    def keep(path: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, output: Any = None) -> Tensor:
            found = args[0] if path.endswith("@in") else output
            kept = found.clone()
            kept.retain_grad()
            seen.setdefault(path, []).append(kept)
            return (kept, *args[1:]) if path.endswith("@in") else kept.clone()

        return hook

    for path in {layer.partition(":")[0] for layer in wanted}:
        module = model.get_submodule(path.removesuffix("@in"))
        if path.endswith("@in"):
            module.register_forward_pre_hook(keep(path))
        else:
            module.register_forward_hook(keep(path))
    out = model(x.double().requires_grad_())
    (out[1] if name == "tuple_out" else out)[:, TARGET].sum().backward()
    found = {}
    for layer in wanted:
        path, _, call = layer.partition(":")
        tensor = seen[path][int(call or 1) - 1]
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        found[layer] = (to_grid(tensor, name).detach().numpy(), to_grid(gradient, name).numpy())
    return found


def each_place(A: np.ndarray, of: Callable[[int, int, int], float]) -> np.ndarray:
    b, _, h, w = A.shape
    return np.array([[[of(n, i, j) for j in range(w)] for i in range(h)] for n in range(b)])


def relu(value: float) -> float:
    return max(value, 0.0)


def channel_weighted(A: np.ndarray, weight: Callable[[int, int], float]) -> np.ndarray:
    b, c, _, _ = A.shape
    w = [[weight(n, k) for k in range(c)] for n in range(b)]
    return each_place(A, lambda n, i, j: relu(sum(w[n][k] * A[n, k, i, j] for k in range(c))))


def gradcam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    return channel_weighted(A, lambda n, k: float(np.sum(G[n, k]) / G[n, k].size))


def hirescam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    return each_place(A, lambda n, i, j: relu(sum(G[n, k, i, j] * A[n, k, i, j] for k in range(A.shape[1]))))


def layercam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    return each_place(A, lambda n, i, j: relu(sum(relu(G[n, k, i, j]) * A[n, k, i, j] for k in range(A.shape[1]))))


def gradxact(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    return each_place(A, lambda n, i, j: sum(G[n, k, i, j] * A[n, k, i, j] for k in range(A.shape[1])))


def xgradcam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    def weight(n: int, k: int) -> float:
        mass = float(A[n, k].sum())
        return 0.0 if abs(mass) < 1e-12 else float((G[n, k] * A[n, k]).sum()) / mass

    return channel_weighted(A, weight)


def gradcam_plus_plus(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    """The paper's coefficient, G^2 / (2 G^2 + sum(A) G^3), at each place with a positive gradient."""

    def weight(n: int, k: int) -> float:
        mass, total = float(A[n, k].sum()), 0.0
        for g in G[n, k].flatten():
            if g > 0 and abs(2 + mass * g) >= 1e-6:
                total += g**2 / (2 * g**2 + mass * g**3) * g
        return total

    return channel_weighted(A, weight)


def eigencam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    maps = []
    for sample in A:
        X = sample.reshape(len(sample), -1).T
        along = X @ np.linalg.svd(X, full_matrices=False)[2][0]
        maps.append((along * (-1 if along.sum() < 0 else 1)).reshape(sample.shape[1:]))
    return np.stack(maps)


ORACLES = {
    "gradcam": gradcam, "hirescam": hirescam, "layercam": layercam, "gradxact": gradxact, "xgradcam": xgradcam,
    "gradcam++": gradcam_plus_plus, "eigencam": eigencam,
}  # fmt: skip


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("where", ["all", "convs"])
def test_every_shared_method_equals_its_equation(name: str, where: str) -> None:
    x = picture()
    found = sightline.explain(
        build(name), x, target=TARGET, method=list(ORACLES), layers=where, output=output_of(name)
    )
    by_hand = stages_by_hand(name, x, found[0].flow.layers)
    for method, oracle in ORACLES.items():
        ours = found.of(method=method)
        for layer, (A, G) in by_hand.items():
            right = oracle(A, G)
            values = np.stack([item.flow[layer].values.numpy() for item in ours])
            # a weight whose denominator nearly cancels is ill-conditioned in float32, and only there
            tolerance = 2e-2 if method in ("gradcam++", "xgradcam") and (A < 0).any() else 2e-4
            scale = np.abs(right).max() + 1e-9
            if method in ("hirescam", "gradxact") and scale < 1e-5 * np.abs(A * G).sum(1).max():
                assert not values.any(), "a sum that cancels must be zero"
                continue
            assert np.abs(values - right).max() / scale < tolerance, f"{method} at {layer}"


def test_the_tiny_models_show_what_they_are_meant_to() -> None:
    layers = {
        name: sightline.explain(build(name), picture(), target=0, output=output_of(name))[0].flow.layers
        for name in TINY
    }
    assert layers["plain_inplace"] == ("2", "4", "7")
    assert layers["reused"] == ("stem", "shared:1", "shared:2")
    assert layers["vit_token"][-1] == "blocks.2.norm1"
    assert layers["vit_avg"][-1] == "blocks.2"
    assert layers["torch_vit"][1:] == ("encoder.layers.encoder_layer_0.ln_1", "encoder.layers.encoder_layer_1.ln_1")
    assert layers["post_norm"][-1] == "transformer.layers.1@in"
    assert layers["windows"][-1] == "blocks.2"


def test_a_sum_that_cancels_before_a_norm_is_zero_and_not_noise() -> None:
    """LayerNorm forgets the length of each token, so gradient and token are orthogonal right before it."""
    found = sightline.explain(build("vit_avg"), picture(), target=0, method=["gradxact", "gradcam"])
    assert found.of(method="gradxact")[0].flow[-1].status == "zero"
    assert found.of(method="gradxact")[0].flow[-2].status == "ok"
    assert found.of(method="gradcam")[0].flow[-1].status == "ok"


@pytest.mark.parametrize("name", ["vit_token", "torch_vit", "post_norm"])
def test_behind_the_last_block_of_a_class_token_model_there_is_no_gradient_but_our_last_stage_has_one(
    name: str,
) -> None:
    ours = sightline.explain(build(name), picture(), target=0, method="gradxact")[0].flow[-1]
    last = {
        "vit_token": "blocks.2",
        "torch_vit": "encoder.layers.encoder_layer_1",
        "post_norm": "transformer.layers.1",
    }
    naive = sightline.explain(build(name), picture(), target=0, method="gradxact", layers=f"{last[name]}")
    if name == "vit_token":
        assert naive[0].flow[-1].status == "zero"
    assert ours.status == "ok"


@pytest.mark.parametrize("name", ["vit_token", "torch_vit", "post_norm", "vit_avg"])
@pytest.mark.parametrize("method", ["rollout", "gradrollout"])
def test_attention_methods_equal_their_equations(name: str, method: str) -> None:
    """Attention recomputed from queries and keys by hand, and its gradient by central differences of the logits."""
    x = picture()
    model = build(name).double()
    found = sightline.explain(model, x.double(), target=TARGET, method=method)
    weights, gradients = attention_by_hand(model, name, x.double(), with_gradient=method == "gradrollout")
    n = weights[0].shape[-1]
    R = np.broadcast_to(np.eye(n), (len(x), n, n))
    for number, (A, layer) in enumerate(zip(weights, found[0].flow.layers, strict=True)):
        if method == "rollout":
            step = 0.5 * A.mean(1) + 0.5 * np.eye(n)
        else:
            step = np.maximum(gradients[number] * A, 0).mean(1) + np.eye(n)
        R = step @ R
        prefix = n - GRID * GRID
        row = R[:, :prefix].mean(1) if prefix else R.mean(1)
        right = row[:, prefix:].reshape(-1, GRID, GRID)
        ours = np.stack([item.flow[layer].values.numpy() for item in found])
        assert np.abs(ours - right).max() / np.abs(right).max() < 1e-4, layer


def attention_by_hand(
    model: nn.Module, name: str, x: Tensor, *, with_gradient: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights of each attention, from the input that its module gets; gradients by adding to the weights."""
    attentions = [m for m in model.modules() if type(m).__name__ in ("Attention", "MultiheadAttention")]
    kept: list[Tensor] = []
    extra: dict[int, Tensor] = {}

    def replaced(index: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            tokens = args[0]
            b, n, d = tokens.shape
            if type(module).__name__ == "Attention":
                qkv, proj = module.qkv(tokens), module.proj
            else:
                qkv = tokens @ module.in_proj_weight.T + module.in_proj_bias
                proj = module.out_proj
            q, k, v = (part.reshape(b, n, 2, d // 2).transpose(1, 2) for part in qkv.chunk(3, -1))
            A = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d // 2), -1)
            if index not in extra:
                extra[index] = torch.zeros_like(A).requires_grad_()
                kept.append(A.detach())
            out = proj(((A + extra[index]) @ v).transpose(1, 2).reshape(b, n, d))
            return out if type(module).__name__ == "Attention" else (out, None)

        return hook

    handles = [m.register_forward_hook(replaced(i), with_kwargs=True) for i, m in enumerate(attentions)]
    score = model(x.clone().requires_grad_())[:, TARGET].sum()
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(score, [extra[i] for i in range(len(attentions))]) if with_gradient else []
    return [A.numpy() for A in kept], [g.numpy() for g in gradients]


@pytest.mark.parametrize("name", ["plain_inplace", "vit_token", "windows", "tuple_out", "reused"])
def test_scorecam_equals_its_equation_with_one_group_per_channel(name: str) -> None:
    x = picture()
    model = build(name)
    found = sightline.explain(
        model, x, target=TARGET, method="scorecam", options={"groups": 0}, output=output_of(name)
    )
    layer = found[0].flow.layers[-1]
    A, _ = stages_by_hand(name, x, (layer,))[layer]
    for n in range(len(x)):
        scores = []
        for channel in A[n]:
            up = nn.functional.interpolate(torch.tensor(channel)[None, None], size=(SIDE, SIDE), mode="bilinear")[
                0, 0
            ]
            mask = (up - up.min()) / max(float(up.max() - up.min()), 1e-12)
            with torch.no_grad():
                out = model(x[n : n + 1] * mask.float())
            scores.append(float((out[1] if name == "tuple_out" else out)[0, TARGET]))
        weights = np.exp(np.array(scores) - max(scores))
        weights /= weights.sum()
        right = np.maximum(np.tensordot(weights, A[n], 1), 0)
        assert np.allclose(found[n].flow[layer].values.numpy(), right, rtol=1e-3, atol=1e-5)
        assert found[n].flow[layer].notes["grouping_error"] == 0.0


@pytest.mark.parametrize("name", ["plain_inplace", "vit_avg", "windows", "tuple_out"])
def test_ablationcam_equals_its_equation_with_one_group_per_channel(name: str) -> None:
    x = picture()
    model = build(name)
    found = sightline.explain(
        model, x, target=TARGET, method="ablationcam", options={"groups": 0}, output=output_of(name)
    )
    layer = found[0].flow.layers[-1]
    A, _ = stages_by_hand(name, x, (layer,))[layer]
    for n in range(len(x)):
        drops = []
        for channel in (None, *range(A.shape[1])):

            def silence(module: nn.Module, args: Any, output: Tensor, channel: int | None = channel) -> Tensor:
                output = output.clone()
                if channel is not None:
                    output.select(1 if name in ("plain_inplace", "tuple_out") else -1, channel).zero_()
                return output

            handle = model.get_submodule(layer).register_forward_hook(silence)
            with torch.no_grad():
                out = model(x[n : n + 1])
            drops.append(float((out[1] if name == "tuple_out" else out)[0, TARGET]))
            handle.remove()
        weights = (drops[0] - np.array(drops[1:])) / abs(drops[0])
        right = np.maximum(np.tensordot(weights, A[n], 1), 0)
        assert np.allclose(found[n].flow[layer].values.numpy(), right, rtol=1e-3, atol=1e-4)
