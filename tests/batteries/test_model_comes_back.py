"""Contract 1: your model comes back as you gave it, also after an error - for every method and tiny model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

import sightline
from sightline import gates, metrics
from sightline.errors import LayerError
from sightline.explainers import METHODS
from tests.tiny import CLASSES, TINY, build, output_of, picture

TRANSFORMERS = ("vit_token", "vit_avg", "torch_vit", "post_norm")
"""Of the tiny networks those whose attention can be read."""
FAST = {"integrated_gradients": {"steps": 4}, "smoothgrad": {"samples": 2}, "scorecam": {"groups": 3},
        "ablationcam": {"groups": 3}, "occlusion": {"window": 8}}  # fmt: skip


def photograph(model: nn.Module) -> dict[str, Any]:
    """Everything of a model that a user could notice."""
    hooks = (
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_forward_hooks_with_kwargs",
    )
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "identity": [id(p) for p in (*model.parameters(), *model.buffers())],
        "modes": [m.training for m in model.modules()],
        "inplace": [getattr(m, "inplace", None) for m in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "hooks": [len(getattr(m, hook)) for m in model.modules() for hook in hooks],
        "rng": torch.get_rng_state(),
        "attributes": [sorted(vars(m)) for m in model.modules()],
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def disturbed(name: str) -> nn.Module:
    """A model in a state of its own: half in training mode, one weight frozen, gradients lying about."""
    model = build(name)
    for i, module in enumerate(model.modules()):
        module.training = i % 2 == 0
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 3 != 0)
        if i % 2 == 0:
            parameter.grad = torch.full_like(parameter, 0.5)
    return model


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("method", list(METHODS))
def test_model_input_and_randomness_are_as_before(name: str, method: str) -> None:
    model, x = disturbed(name), picture()
    before, given = photograph(model), x.clone()
    attention = METHODS[method].needs == "attention"
    refused = attention and name not in TRANSFORMERS
    with pytest.raises(LayerError) if refused else nullcontext():
        sightline.explain(model, x, target=[0, 2], method=method, output=output_of(name), options=FAST.get(method))
    after = photograph(model)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert torch.equal(x, given)
    assert not x.requires_grad
    assert x.grad is None


class _Boom(Exception):
    pass


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("method", ["gradcam", "eigencam", "scorecam", "ablationcam", "saliency", "gradrollout"])
def test_an_error_in_the_middle_leaves_nothing_behind(name: str, method: str) -> None:
    model = disturbed(name)
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]

    def fail(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        raise _Boom

    handle = last.register_forward_hook(fail)
    before = photograph(model)
    with pytest.raises((_Boom, sightline.SightlineError)):
        sightline.explain(model, picture(), target=0, method=method, output=output_of(name), options=FAST.get(method))
    after = photograph(model)
    assert [key for key in before if not same(before[key], after[key])] == []
    handle.remove()


def test_an_error_in_the_backward_leaves_nothing_behind() -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
            raise _Boom

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
            self.bn = nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Fails.apply(self.bn(self.conv(x).mean((2, 3))))

    model = Net().train()
    before = photograph(model)
    with pytest.raises(_Boom):
        sightline.explain(model, picture(), target=0, method="gradcam")
    assert same(before, photograph(model))


def test_a_buffer_that_forward_writes_is_restored_even_if_it_is_replaced() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
            self.register_buffer("seen", torch.zeros(1))
            self.register_buffer("last", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            self.last = torch.ones(1)
            return self.body(x).mean((2, 3))

    model = Counts()
    kept = model.last
    sightline.explain(model, picture(), target=0)
    assert model.seen.item() == 0
    assert model.last is kept
    assert model.last.item() == 0


@pytest.mark.parametrize("method", ["gradcam", "lrp", "naflow", "scorecam", "ablationcam", "saliency", "smoothgrad"])
def test_ctrl_c_in_the_middle_leaves_nothing_behind(method: str) -> None:
    model = disturbed("residual")

    def press(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        raise KeyboardInterrupt

    model.fc.register_forward_hook(press)
    before = photograph(model)
    with pytest.raises(KeyboardInterrupt):
        sightline.explain(model, picture(), target=0, method=method, options=FAST.get(method))
    assert same(before, photograph(model))


class Moody(nn.Module):
    """A model whose forward changes whatever it has, in every way that users' models do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.fc = nn.Linear(4, CLASSES)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("cache", None)
        self.count = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.body(x).mean((2, 3))
        self.calls += 1
        self.mean.data.mul_(0.9).add_(0.1 * features.detach().mean(0).to(self.mean))
        self.cache = torch.rand(2)
        self.count += 1
        self.last = features
        return self.fc(features)


def doors(model: nn.Module, x: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Every public way in which a model is run."""
    targets, coarse = torch.zeros(len(x), dtype=torch.long), torch.rand(len(x), 4, 4)
    return {
        "explain": lambda: sightline.explain(model, x, target=0, method=["gradcam", "lrp"]),
        "smoothgrad": lambda: sightline.explain(model, x, target=0, method="smoothgrad", options={"samples": 2}),
        "explain_pair": lambda: sightline.explain_pair(model, x, x.flip(0), method="gradcam"),
        "embed": lambda: sightline.embed(model, x),
        "deletion": lambda: metrics.deletion(metrics.Probe(model, targets), x, coarse, steps=3),
        "inference_copy": lambda: metrics.inference_copy(model, x).difference,
        "cascade": lambda: [values for _, values in metrics.cascade(sightline.embed, model, x)],
    }


@pytest.mark.parametrize("door", list(doors(nn.Identity(), torch.zeros(1))))
def test_a_model_that_changes_itself_is_as_before_whichever_way_it_is_run(door: str) -> None:
    model, x = Moody().train(), picture()
    way = doors(model, x)[door]
    before = photograph(model)
    way()
    after = photograph(model)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert (model.count, model.cache) == (0, None)


def numbers(found: Any) -> list[torch.Tensor]:
    """All numbers of what a door gives."""
    if isinstance(found, torch.Tensor):
        return [found]
    if isinstance(found, sightline.Explanations):
        return [map_.values for item in found for map_ in item.flow.maps]
    if isinstance(found, list):
        return found
    values = getattr(found, "values", found)
    return [torch.as_tensor(values)]


def test_threads_that_come_through_different_doors_do_not_meet() -> None:
    model, x = build("residual").train(), picture()
    ways = doors(model, x)
    before, right = photograph(model), {name: numbers(way()) for name, way in ways.items()}
    got: list[tuple[str, Any]] = []

    def work(names: list[str]) -> None:
        for name in names * 3:
            try:
                got.append((name, numbers(ways[name]())))
            except BaseException as problem:  # noqa: BLE001 - whatever comes out is the finding
                got.append((name, problem))

    names = list(ways)
    threads = [threading.Thread(target=work, args=(names[i:] + names[:i],)) for i in range(0, len(names), 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    wrong = {
        name
        for name, found in got
        if isinstance(found, BaseException)
        or not all(torch.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
                   for a, b in zip(found, right[name], strict=True))
    }  # fmt: skip
    assert len(got) == 3 * len(names) * len(threads)
    assert wrong == set()
    assert same(before, photograph(model))


@pytest.mark.parametrize("change", [lambda net: gates.use_scheme(net, "000"), gates.unplug, gates.bake])
def test_gates_are_not_changed_while_another_thread_looks(change: Callable[[nn.Module], Any]) -> None:
    model, x, changed = gates.plug(build("residual"), "se", share="block").eval(), picture(), []
    right = numbers(sightline.explain(model, x, target=0, method="gradcam"))
    other = threading.Thread(target=lambda: changed.append(change(model)))

    def meanwhile(module: nn.Module, args: Any) -> None:
        if not other.ident:
            other.start()
            other.join(0.3)

    model.stem.register_forward_pre_hook(meanwhile)
    maps = numbers(sightline.explain(model, x, target=0, method="gradcam"))
    other.join(30)
    assert len(changed) == 1
    assert all(torch.equal(a, b) for a, b in zip(maps, right, strict=True))


def test_attention_stays_open_for_one_thread_when_another_is_done() -> None:
    first, second = build("torch_vit").eval(), build("torch_vit").eval()
    ask = lambda model: sightline.explain(model, picture(), target=0, method="lrp")  # noqa: E731
    ask(first), ask(second)  # what is recorded once is recorded before anybody looks
    first_in, second_in, first_done = threading.Event(), threading.Event(), threading.Event()
    fast: list[bool] = []

    def hold(module: nn.Module, args: Any) -> None:
        first_in.set()
        second_in.wait(30)

    def look(module: nn.Module, args: Any) -> None:
        second_in.set()
        first_done.wait(30)
        fast.append(torch.backends.mha.get_fastpath_enabled() or torch.backends.cuda.flash_sdp_enabled())

    first.register_forward_pre_hook(hold)
    second.register_forward_pre_hook(look)
    one = threading.Thread(target=lambda: (ask(first), first_done.set()))
    one.start()
    first_in.wait(30)
    ask(second)
    one.join(30)
    assert fast == [False]
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_two_models_in_two_threads_do_not_change_each_others_maps_or_the_process() -> None:
    models = [build("vit_token").train(), build("torch_vit").train()]
    x, fast = picture(), torch.backends.mha.get_fastpath_enabled()
    ask = lambda model: numbers(sightline.explain(model, x, target=0, method=["lrp", "smoothgrad"],  # noqa: E731
                                                  options={"smoothgrad": {"samples": 2}}))  # fmt: skip
    right = [ask(model) for model in models]
    before, got = torch.get_rng_state(), []

    def work(at: int) -> None:
        got.extend((at, ask(models[at])) for _ in range(6))

    threads = [threading.Thread(target=work, args=(at,)) for at in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(got) == 12
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6)
               for at, maps in got for a, b in zip(maps, right[at], strict=True))  # fmt: skip
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert torch.backends.cuda.flash_sdp_enabled()
