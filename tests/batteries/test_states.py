"""Every method in every state that a model can be in: the right map, or one sentence - and the model as it was.

The right map is that of the same network in its plain state: in eval mode, float32, nothing cut, nothing in place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import sightline
from sightline.errors import SightlineError
from sightline.explainers import METHODS

FAST: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 3}, "smoothgrad": {"samples": 2}, "scorecam": {"groups": 3},
    "ablationcam": {"groups": 3}, "occlusion": {"window": 4},
}  # fmt: skip
CONTROLS = ["uniform", "gaussian", "edges", "random"]
WITHOUT_GRADIENT = ["lrp", "naflow", "scorecam", "ablationcam", "eigencam", "occlusion", *CONTROLS]
BY_GRADIENT = [
    "gradcam", "hirescam", "layercam", "xgradcam", "gradcam++", "gradxact", "saliency", "integrated_gradients",
    "smoothgrad", "guided_backprop",
]  # fmt: skip
UNFOLLOWED = ["int8 linear layers", "cut by numpy", "cut by list", "cut by inference, overwritten"]
"""States in which what is computed leaves torch, its floats, or its record, so that it cannot be followed."""
SIDE = 8


class Net(nn.Module):
    """A small network of the usual parts; `how` says what its forward does in the middle."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how = how
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU())
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if self.how == "overwritten inference":
            with torch.inference_mode():
                x = self.body(x)
                y = self.last(x)
                x.zero_()
            return self.fc(y.mean((2, 3)).clone())
        x = self.middle(x)
        return self.fc(self.dropout(x.mean((2, 3))))

    def middle(self, x: Tensor) -> Tensor:
        """Two blocks, in one of several ways that give the same numbers."""
        if self.how in ("no_grad", "inference"):
            with torch.no_grad() if self.how == "no_grad" else torch.inference_mode():
                x = self.last(self.body(x))
            return x.clone()
        if self.how in ("reentrant", "not reentrant"):
            return checkpoint(lambda x: self.last(self.body(x)), x, use_reentrant=self.how == "reentrant")
        if self.how == "in place":
            x = self.last(self.body(x) + 0.0) * 1.0
            x += 1.0
            return x.sub_(1.0)
        if self.how == "spoiled":
            return self.last(self.body(x).mul_(1.0))
        x = self.body(x)
        cuts: dict[str, Callable[[Tensor], Tensor]] = {
            "detach": Tensor.detach, "data": lambda x: x.data, "list": lambda x: torch.tensor(x.tolist()),
            "numpy": lambda x: torch.from_numpy(x.detach().numpy()),
        }  # fmt: skip
        return cuts.get(self.how, lambda x: x)(self.last(x))


class WithoutGradients(Net):
    """As some people's `predict` is."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Unfriendly(nn.Module):
    """Cannot be copied, pickled or compared, and lets nobody set an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.lock, self.act = threading.Lock(), nn.ReLU()
        self.closed = True

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return self.act(x)

    def __setattr__(self, name: str, value: object) -> None:
        if self.__dict__.get("closed"):
            raise AttributeError(f"{name} cannot be set")
        super().__setattr__(name, value)

    def __deepcopy__(self, memo: object) -> nn.Module:
        raise TypeError("cannot be copied")

    def __eq__(self, other: object) -> bool:
        raise TypeError("cannot be compared")

    __hash__ = nn.Module.__hash__


class Twice(Net):
    """One block that runs twice, or two that are equal."""

    def __init__(self, how: str = "") -> None:
        super().__init__(how)
        self.last = self.body if how == "same" else self.last
        if how == "tied":
            self.last[0].weight, self.last[0].bias = self.body[0].weight, self.body[0].bias


def lively(model: nn.Module) -> nn.Module:
    """Seeded weights and statistics, by name: alike in models that share names."""
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            generator = torch.Generator().manual_seed(sum(map(ord, name.rpartition(".")[0])) % 1000 + len(name))
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, dtype=torch.float32, generator=generator) * 0.3
                tensor.copy_(noise.abs() + 0.5 if "running_var" in name else noise + 0.05)
    return model.eval()


def made(kind: type[Net] = Net, how: str = "") -> nn.Module:
    return lively(kind(how))


def picture() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, dtype=torch.float32, generator=torch.Generator().manual_seed(5))


@dataclass(frozen=True)
class State:
    """One state of a network.

    Args:
        make: builds the network.
        right: builds the network whose maps are the right ones.
        around: a context in which it is explained.
        dtype: of the input.
        cut: whether no gradient comes through.
        near: largest difference, relative to the largest value of a map; None where only the statuses are compared.
    """

    make: Callable[[], nn.Module]
    right: Callable[[], nn.Module] = made
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    dtype: torch.dtype = torch.float32
    cut: bool = False
    near: float | None = 1e-5


def changed(change: Callable[[nn.Module], Any], make: Callable[[], nn.Module] = made) -> Callable[[], nn.Module]:
    """Builds a network and does something to it; what that returns is taken, if it is a module."""

    def build() -> nn.Module:
        model = make()
        other = change(model)
        return other if isinstance(other, nn.Module) else model

    return build


def baked() -> nn.Module:
    """The network with the effective weights of `normed` written in."""
    model, other = made(), normed()
    for part, twin in ((model.body[0], other.body[0]), (model.last[0], other.last[0])):
        part.weight.data.copy_(twin.weight.data)
    return model


def normed() -> nn.Module:
    model = made()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        parametrizations.weight_norm(model.body[0])
        parametrizations.spectral_norm(model.last[0])
        model.train()(picture())
    return lively_again(model)


def lively_again(model: nn.Module) -> nn.Module:
    """The batch norm as it was before the training pass."""
    model.stem.load_state_dict(made().stem.state_dict())
    return model.eval()


def quantized(model: nn.Module) -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def alike(model: nn.Module) -> None:
    model.last.load_state_dict(model.body.state_dict())


def in_place(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True


def unfriendly(model: nn.Module) -> None:
    model.body[1], model.last[1] = Unfriendly(), Unfriendly()


def trained_upon(model: nn.Module) -> None:
    """Between a backward and a step: gradients lie about, half of the modules are frozen or in training mode."""
    model.train()(picture()).sum().backward()
    for i, part in enumerate(model.modules()):
        part.training = bool(i % 2)
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(bool(i % 3))
    lively_again(model.train())
    model.train()


def born(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.inference_mode():
        return make()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


STATES: dict[str, State] = {
    **{f"cut by {how}": State(partial(made, Net, how), cut=True)
       for how in ("no_grad", "detach", "data", "numpy", "list", "inference")},
    "cut by inference, overwritten": State(partial(made, Net, "overwritten inference"), cut=True),
    "cut by a decorator": State(partial(made, WithoutGradients), cut=True),
    "int8 linear layers": State(changed(quantized), changed(quantized), cut=True),
    **{f"checkpointed, {how}": State(partial(made, Net, how)) for how in ("reentrant", "not reentrant")},
    "float64": State(changed(nn.Module.double), dtype=torch.float64, near=1e-3),
    "bfloat16": State(changed(nn.Module.bfloat16), dtype=torch.bfloat16, near=None),
    "float16": State(changed(nn.Module.half), dtype=torch.float16, near=None),
    "default float64": State(made, around=partial(default_dtype, torch.float64), near=1e-5),
    "default bfloat16": State(made, around=partial(default_dtype, torch.bfloat16), near=1e-3),
    "made in inference mode": State(partial(born, made)),
    "tied weights": State(partial(made, Twice, "tied"), changed(alike)),
    "one block twice": State(partial(made, Twice, "same"), changed(alike)),
    "in-place layers": State(changed(in_place)),
    "in-place operations": State(partial(made, Net, "in place")),
    "in-place operations that spoil the backward": State(partial(made, Net, "spoiled"), cut=True),
    "compiled": State(changed(partial(torch.compile, backend="eager"))),
    "compiled itself": State(changed(lambda model: model.compile(backend="eager"))),
    "parametrised": State(normed, baked, near=1e-4),
    "frozen": State(changed(lambda model: model.requires_grad_(False))),
    "no_grad": State(made, around=torch.no_grad),
    "inference mode": State(made, around=torch.inference_mode),
    "autocast": State(made, around=partial(torch.autocast, "cpu", torch.bfloat16), near=None),
    "training mode": State(changed(nn.Module.train)),
    "between backward and step": State(changed(trained_upon)),
    "uncopyable parts": State(changed(unfriendly)),
    "channels last": State(changed(lambda model: model.to(memory_format=torch.channels_last))),
}  # fmt: skip


def maps_of(model: nn.Module, method: str, dtype: torch.dtype = torch.float32, **asked: Any) -> list[Any]:
    """All maps of a batch of two, or the sentence with which the method refuses."""
    results = sightline.explain(
        model, picture().to(dtype), target=1, method=method, options=FAST.get(method), **asked
    )
    return [map_ for item in results for map_ in item.flow.maps]


@cache
def right_maps(right: Callable[[], nn.Module], method: str) -> list[Any] | SightlineError:
    try:
        return maps_of(right(), method)
    except SightlineError as refusal:
        return refusal


def photograph(model: nn.Module) -> list[Any]:
    """Whatever of a model and of the process a user could notice."""
    plain = getattr(model, "_orig_mod", model)
    modules = list({id(m): m for _, m in plain.named_modules(remove_duplicate=False)}.values())
    tensors = [*plain.parameters(), *plain.buffers()]
    tables = [vars(m) for m in modules]
    tables += [table for own in tables for table in own.values() if isinstance(table, dict)]
    return [
        [(name, id(value)) for table in tables for name, value in table.items()],
        [(t.requires_grad, t.dtype, id(t.grad), t.detach().clone()) for t in tensors],
        [
            torch.get_rng_state(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
        ],
    ]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def gap(map_: Any, right: Any) -> float:
    """Largest difference, relative to the largest value."""
    return float((map_.values - right.values).abs().max() / right.values.abs().max().clamp(min=1e-12))


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("name", list(STATES))
def test_the_map_is_right_or_there_is_a_sentence_and_the_model_is_as_before(name: str, method: str) -> None:
    state = STATES[name]
    model, right = state.make(), right_maps(state.right, method)
    with ExitStack() as around:
        around.enter_context(state.around())
        before = photograph(model)
        try:
            maps: list[Any] | SightlineError = maps_of(model, method, state.dtype)
        except SightlineError as refusal:
            maps = refusal
        assert same(before, photograph(model))
    if isinstance(right, SightlineError) or (state.cut and method in BY_GRADIENT):
        assert isinstance(maps, SightlineError)
        if method in BY_GRADIENT:
            assert "no gradient of the decision reaches" in str(maps)
        return
    if isinstance(maps, SightlineError) and state.cut and method not in WITHOUT_GRADIENT:
        return
    if name in UNFOLLOWED and method in ("lrp", "naflow"):
        assert isinstance(maps, SightlineError)
        return
    assert not isinstance(maps, SightlineError), maps
    compare(state, name, method, maps, right)


def compare(state: State, name: str, method: str, maps: list[Any], right: list[Any]) -> None:
    """Whether maps are the right ones; layers may have other names where modules are other ones."""
    if name == "parametrised":  # more layers are found beside parametrised ones
        known = {map_.layer for map_ in maps} & {map_.layer for map_ in right}
        maps, right = ([m for m in each if m.layer in known] for each in (maps, right))
        if not known:
            return
    if name == "one block twice" and len(maps) > len(right):
        maps = maps[1::2]  # the last layer is the last block, in all its calls
    assert [m.shape for m in maps] == [m.shape for m in right]
    assert {m.values.dtype for m in maps} == {torch.float32}
    assert not any(m.values.requires_grad for m in maps)
    drawn = method == "smoothgrad" and name.startswith("default ")  # noise is drawn in the default precision
    if state.near is None or drawn:
        assert {str(m.status) for m in maps} <= {"ok", "zero", "flat"}
        return
    assert max(map(gap, maps, right)) <= state.near


def test_the_lists_of_methods_cover_the_registry() -> None:
    refusing = {name for name in METHODS if isinstance(right_maps(made, name), SightlineError)}
    assert set(METHODS) - refusing == {*BY_GRADIENT, *WITHOUT_GRADIENT}


@pytest.mark.parametrize("method", list(METHODS))
def test_a_target_with_trainable_weights_leaves_no_graph_and_no_gradient(method: str) -> None:
    head = nn.Linear(4, 2)
    known = right_maps(made, method)
    ask = partial(sightline.explain, made(), picture(), method=method, options=FAST.get(method))
    try:
        results = ask(target=lambda out: head(out))
    except SightlineError:
        assert isinstance(known, SightlineError)
        return
    fixed = nn.Linear(4, 2).requires_grad_(False)
    fixed.load_state_dict(head.state_dict())
    right = ask(target=lambda out: fixed(out))
    for item, other in zip(results, right, strict=True):
        assert isinstance(item.decision.score, float)
        for map_, twin in zip(item.flow.maps, other.flow.maps, strict=True):
            assert map_.values.grad_fn is None
            assert not map_.values.requires_grad
            assert torch.equal(map_.values, twin.values)
    assert head.weight.grad is None


@pytest.mark.parametrize("how", ["no_grad", "detach", "data", "numpy", "list", "inference"])
def test_the_sentence_names_the_part_that_cuts_and_what_to_try(how: str) -> None:
    words = {"no_grad": "calls its part 'net.body' with gradients switched off", "detach": r"\.detach\(\)",
             "data": r"\.data", "numpy": r"\.detach\(\)", "list": "tolist",
             "inference": "part 'net.body'"}  # fmt: skip
    model = nn.Sequential()
    model.add_module("net", made(Net, how))
    sentence = rf"the part 'net' \(Net\).*{words[how]}.*take that out, or ask for"
    for method, layers in (("gradcam", ["net.body"]), ("saliency", None)):
        with pytest.raises(SightlineError, match=sentence):
            sightline.explain(model, picture(), target=1, method=method, layers=layers)


class FrozenTrunk(Net):
    """As a probe on a trunk is trained: what comes first runs under `no_grad`."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.body(self.stem(x))
        return self.fc(self.last(x).mean((2, 3)))


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "xgradcam", "gradcam++", "gradxact"])
def test_layers_before_a_cut_have_no_map_and_those_behind_it_the_right_one(method: str) -> None:
    right = {map_.layer: map_ for map_ in right_maps(made, method)[3:]}
    item = sightline.explain(made(FrozenTrunk), picture(), target=1, method=method)[1]
    assert item.flow.layers == ("last",)
    assert gap(item.flow["last"], right["last"]) <= 1e-5
    assert item.flow.remarks == (
        "There is no map at stem, body: the model cuts the graph behind them, so no gradient of the decision comes "
        "there.",
    )


def test_other_methods_of_the_same_call_keep_the_layers_before_a_cut() -> None:
    model = made(FrozenTrunk)
    items = sightline.explain(model, picture(), target=1, method=["gradcam", "eigencam", "uniform"])
    assert [item.flow.layers for item in items[:3]] == [("last",), *[("stem", "body", "last")] * 2]
    forward = sightline.explain(model, picture(), target=1, method="naflow", options={"mode": "forward"})[0]
    assert forward.flow.layers == ("last",)


def test_a_layer_before_a_cut_that_was_asked_for_by_name_is_refused() -> None:
    for layers in (["stem"], ["stem", "last"]):
        with pytest.raises(SightlineError, match="no gradient of the decision reaches"):
            sightline.explain(made(FrozenTrunk), picture(), target=1, method="gradcam", layers=layers)


def test_a_layer_that_leads_to_another_output_is_not_taken_for_one_before_a_cut() -> None:
    class Two(Net):
        def forward(self, x: Tensor) -> Any:
            x = self.stem(x)
            return {"logits": self.fc(self.body(x).mean((2, 3))), "other": self.last(x)}

    item = sightline.explain(made(Two), picture(), target=1, method="gradcam")[0]
    assert {name: str(status) for name, status in item.flow.statuses.items()}["last"] == "zero"
