"""Every method over signals, pictures, volumes and clips, against what a picture gives and against a moved pattern.

A signal is a picture of one row, and a volume of one slice is a picture: so each method has an oracle in two axes,
which does not share the code for other ranks. Where three axes are really used, a pattern is moved and maps follow.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import SightlineError
from sightline.explainers import METHODS
from sightline.results import Domain, Explanations

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
ATTENTION = ("daam", *(name for name, method in METHODS.items() if method.needs == "attention"))
SIZES = {"signal": (48,), "image": (16, 20), "volume": (12, 16, 12), "space-time": (12, 16, 12)}
START = 4
"""Where the pattern begins along each axis, far enough from the edges for no weight to be cut off."""
each_kind = pytest.mark.parametrize("kind", list(SIZES))


class Net(nn.Module):
    """Two convolutions and a head; its kernels are `sides` long along each axis."""

    def __init__(self, sides: tuple[int, ...], *, bias: bool = True, norm: bool = True) -> None:
        super().__init__()
        rank = len(sides)
        pads = tuple(side // 2 for side in sides)
        twos = tuple(2 if side > 1 else 1 for side in sides)
        conv = CONVS[rank]
        self.body = nn.Sequential(
            conv(2, 6, sides, padding=pads, bias=bias), *([NORMS[rank](6)] if norm else []), nn.ReLU(),
            conv(6, 6, sides, stride=twos, padding=pads, bias=bias), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(2).mean(-1))


class Transformer(nn.Module):
    """Patches, a class token or a mean, and two blocks."""

    def __init__(self, sides: tuple[int, ...], *, token: bool) -> None:
        super().__init__()
        self.patches = CONVS[len(sides)](2, 8, sides, sides)
        self.token = nn.Parameter(torch.randn(1, 1, 8)) if token else None
        block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT
        if self.token is not None:
            tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        tokens = self.blocks(tokens)
        return self.head(tokens[:, 0] if self.token is not None else tokens.mean(1))


class Turned(nn.Module):
    """A network that takes its axes in another order, or an input without channels."""

    def __init__(self, inner: nn.Module, order: tuple[int, ...] | None) -> None:
        super().__init__()
        self.inner, self.order = inner, order

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(
            x[:, None].expand(-1, 2, *[-1] * (x.ndim - 1)) if self.order is None else x.permute(self.order)
        )


def like(model: nn.Module, other: nn.Module) -> nn.Module:
    """A network with the weights of another one of other rank."""
    state = {name: value.reshape(other.state_dict()[name].shape) for name, value in model.state_dict().items()}
    other.load_state_dict(state)
    return other.eval()


def fits(method: str, model: nn.Module) -> bool:
    return isinstance(model, Transformer) or method not in ATTENTION


FLAT = {  # kernels of a picture that is one row, or one slice, of another kind
    "signal": ((1, 3), (3,), (1, 12), (12,)),
    "volume": ((3, 3), (1, 3, 3), (8, 12), (1, 8, 12)),
    "space-time": ((3, 3), (1, 3, 3), (8, 12), (1, 8, 12)),
}
PATCHES = {"signal": ((1, 4), (4,)), "volume": ((4, 4), (1, 4, 4)), "space-time": ((4, 4), (1, 4, 4))}
OPTIONS = {"occlusion": {"window": 1}, "integrated_gradients": {"steps": 8}, "smoothgrad": {"samples": 4}}
# their picture has rows that the other has not: a step down, the seed of a grid
OTHER_IN_TWO_AXES = ("edges", "random")


@cache
def pair(kind: str, family: str) -> tuple[nn.Module, Tensor, nn.Module, Tensor]:
    torch.manual_seed(1)
    two, other, flat, size = FLAT[kind]
    if family == "convolutions":
        picture: nn.Module = Net(two).eval()
        model = like(picture, Net(other))
    else:
        two, other = PATCHES[kind]
        picture = Transformer(two, token=family == "class token").eval()
        model = like(picture, Transformer(other, token=family == "class token"))
    x = torch.randn(2, 2, *flat)
    return picture, x, model, x.reshape(2, 2, *size)


@pytest.mark.parametrize("family", ["convolutions", "class token", "mean of tokens"])
@pytest.mark.parametrize("kind", list(FLAT))
@pytest.mark.parametrize("method", [name for name in METHODS if name not in OTHER_IN_TWO_AXES])
def test_a_row_or_a_slice_has_the_maps_of_the_picture_that_it_is(method: str, kind: str, family: str) -> None:
    picture, x, model, same = pair(kind, family)
    if not fits(method, model):
        pytest.skip("no attention")
    options = OPTIONS.get(method, {})
    expected = sightline.explain(picture, x, target=1, method=method, options=options)
    domain = None if kind == "signal" else kind
    items = sightline.explain(model, same, target=1, method=method, options=options, domain=domain)
    assert len(items) == len(expected) == 2
    for item, right in zip(items, expected, strict=True):
        assert item.flow.layers == right.flow.layers
        assert item.decision.score == pytest.approx(right.decision.score, abs=1e-5)
        for map_, wanted in zip(item.flow.maps, right.flow.maps, strict=True):
            assert map_.domain == Domain(kind)
            assert map_.status == wanted.status
            values = map_.values.reshape(wanted.shape)
            peak = float(wanted.values.abs().max())
            assert torch.allclose(values, wanted.values, atol=2e-4 * max(peak, 1e-6))


@cache
def moving(kind: str) -> tuple[nn.Module, Tensor, Tensor, tuple[int, ...]]:
    """A network without biases, so that only the pattern speaks; the pattern, and the same moved."""
    torch.manual_seed(4)
    size = SIZES[kind]
    model = Net((3,) * len(size), bias=False, norm=False).eval()
    with torch.no_grad():
        model.head.weight.abs_()
    x = torch.zeros(1, 2, *size)
    x[(0, slice(None), *[slice(START, START + 2)] * len(size))] = torch.rand(2, *[2] * len(size)) + 1.0
    shifts = tuple(2 * ((side - 10) // 2) for side in size)
    return model, x, x.roll(shifts, tuple(range(2, 2 + len(size)))), shifts


def place_of_peak(values: Tensor, size: tuple[int, ...]) -> list[float]:
    """Centre of the strongest cell, in elements of the input."""
    at = torch.unravel_index(values.abs().argmax(), values.shape)
    return [(float(p) + 0.5) * n / cells for p, n, cells in zip(at, size, values.shape, strict=True)]


STILL = ("uniform", "gaussian", "random")
WINDOWED = ("occlusion", "smoothgrad")


@each_kind
@pytest.mark.parametrize("method", [name for name in METHODS if name not in (*STILL, *ATTENTION)])
def test_the_peak_follows_a_pattern_that_is_moved(method: str, kind: str) -> None:
    model, before, after, shifts = moving(kind)
    options = {**OPTIONS, "occlusion": {"window": 2}, "smoothgrad": {"noise": 0.01}}.get(method, {})
    domain = kind if kind in ("volume", "space-time") else None
    flows = [
        sightline.explain(model, x, target=0, method=method, options=options, domain=domain).one().flow
        for x in (before, after)
    ]
    for one, other in zip(flows[0].maps, flows[1].maps, strict=True):
        assert one.status == other.status == "ok"
        assert len(one.shape) == len(SIZES[kind])
        a, b = place_of_peak(one.values, SIZES[kind]), place_of_peak(other.values, SIZES[kind])
        slack = 3.0 if method in WINDOWED else 1e-6
        assert all(abs(q - p - shift) <= slack for p, q, shift in zip(a, b, shifts, strict=True))
        cells = [n / c for n, c in zip(SIZES[kind], one.shape, strict=True)]
        assert all(abs(p - START - 1) <= 2.0 + cell for p, cell in zip(a, cells, strict=True)), (
            "the peak is at the pattern"
        )


@each_kind
@pytest.mark.parametrize("method", STILL)
def test_controls_that_know_no_input_stay_where_they_are(method: str, kind: str) -> None:
    model, before, after, _ = moving(kind)
    maps = [sightline.explain(model, x, method=method).one().flow[-1].values for x in (before, after, 2 * before)]
    assert torch.equal(maps[0], maps[1])
    assert torch.equal(maps[0], maps[2]) == (method != "random")
    assert maps[0].shape == tuple(math.ceil(side / 2) for side in SIZES[kind])


ORDERS = {  # kind, axes of the input as the wrapper takes them, and how it brings them back
    "steps before channels": ("signal", (0, 2, 1)),
    "frames before channels": ("space-time", (0, 2, 1, 3, 4)),
    "channels last": ("image", (0, 3, 1, 2)),
    "volume with channels last": ("volume", (0, 4, 1, 2, 3)),
}


@pytest.mark.parametrize("order", list(ORDERS))
@pytest.mark.parametrize("method", [name for name in METHODS if name not in (*ATTENTION, "random")])
def test_axes_in_another_order_give_the_same_maps(method: str, order: str) -> None:
    kind, back = ORDERS[order]
    model, x, _, _ = moving(kind)
    x = x + 0.1 * torch.rand(x.shape, generator=torch.Generator().manual_seed(2))
    turned = x.permute([back.index(axis) for axis in range(len(back))]).contiguous()
    options = OPTIONS.get(method, {})
    if method == "smoothgrad":
        options = {"samples": 1, "noise": 0.0}  # the noise is drawn in the order of the axes
    domain = kind if kind in ("volume", "space-time") else None
    right = sightline.explain(model, x, target=0, method=method, options=options, domain=domain, images=x).one()
    item = sightline.explain(
        Turned(model, back), turned, target=0, method=method, options=options, domain=domain, images=turned
    ).one()
    assert torch.equal(item.image, right.image)
    assert [layer.removeprefix("inner.") for layer in item.flow.layers] == list(right.flow.layers)
    for map_, wanted in zip(item.flow.maps, right.flow.maps, strict=True):
        assert map_.domain.kind == kind
        assert torch.allclose(map_.values, wanted.values, atol=1e-5 * float(wanted.values.abs().max()))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in (*ATTENTION, "random")])
def test_an_input_without_channels_is_a_signal(method: str) -> None:
    model, x, _, _ = moving("signal")
    raw = x[:, 0]
    right = sightline.explain(model, raw[:, None].expand(-1, 2, -1), target=0, method="gradcam").one()
    item = sightline.explain(Turned(model, None), raw, target=0, method=method, options=OPTIONS.get(method, {})).one()
    assert all(map_.domain.kind == "signal" and map_.shape[0] in (24, 48) for map_ in item.flow.maps)
    if method == "gradcam":
        assert torch.allclose(item.flow[-1].values, right.flow[-1].values, atol=1e-6)


@each_kind
def test_a_batch_gives_what_singles_give_and_several_targets_share_it(kind: str) -> None:
    model, x, other, _ = moving(kind)
    methods = ["gradcam", "layercam", "lrp", "scorecam", "edges"]
    batch = sightline.explain(model, torch.cat([x, other]), target=[0, 1], method=methods)
    singles = [sightline.explain(model, one, target=[0, 1], method=methods) for one in (x, other)]
    alone = Explanations(tuple(item for items in singles for item in items))
    for item, right in zip(batch, alone, strict=True):
        for map_, wanted in zip(item.flow.maps, right.flow.maps, strict=True):
            assert torch.allclose(map_.values, wanted.values, atol=1e-5 * max(1e-6, float(wanted.values.abs().max())))


@each_kind
def test_results_are_kept_drawn_and_read_again(kind: str, tmp_path) -> None:
    from sightline.reports import save_animation, save_montage, save_page

    model, x, other, _ = moving(kind)
    rate = None if kind in ("image", "volume") else [25.0, 50.0]
    items = sightline.explain(
        model, torch.cat([x, other]), method=["gradcam", "lrp"], images=torch.cat([x, other]), rate=rate,
        sources=["one", "two"], domain="volume" if kind == "volume" else None,
    )  # fmt: skip
    assert [item.flow[0].domain.kind for item in items] == [kind] * 4
    assert [item.rate for item in items] == ([None] * 4 if rate is None else [25.0, 25.0, 50.0, 50.0])
    items.save(tmp_path / "saved") if kind != "image" else None
    if kind != "image":  # a picture of two channels is none
        again = Explanations.load(tmp_path / "saved")
        assert [item.rate for item in again] == [item.rate for item in items]
        assert torch.equal(again[0].image, items[0].image)
    assert save_montage(items, tmp_path / "montage.png").exists()
    assert save_page(items, tmp_path / "page.html").exists()
    assert save_animation(items.of(source="one"), tmp_path / "walk.gif").exists()


WRONG = {
    "three axes for a picture": ({"domain": "volume"}, "leave domain out"),
    "words": ({"domain": "words"}, "leave domain out"),
    "no such domain": ({"domain": "movie"}, "there is no domain 'movie'"),
    "a rate below zero": ({"rate": -1.0}, "above 0"),
    "rates for others": ({"rate": [1.0, 2.0, 3.0]}, "one for each"),
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_a_domain_or_rate_that_does_not_fit_is_refused_in_a_sentence(wrong: str) -> None:
    model, x, _, _ = moving("image")
    options, words = WRONG[wrong]
    with pytest.raises(SightlineError, match=words):
        sightline.explain(model, x, method="gradcam", **options)


def test_three_axes_are_a_volume_unless_there_is_a_rate() -> None:
    model, x, _, _ = moving("volume")
    assert sightline.explain(model, x, method="gradcam").one().flow[0].domain.kind == "volume"
    assert sightline.explain(model, x, method="gradcam", rate=8.0).one().flow[0].domain.kind == "space-time"


@pytest.mark.parametrize("size", [(), *product((1, 3), repeat=2), *product((1, 3), repeat=3), (1,) * 4])
def test_inputs_of_other_axes_than_the_network_takes_are_refused_in_a_sentence(size: tuple[int, ...]) -> None:
    model, _, _, _ = moving("signal")
    with pytest.raises(SightlineError):
        sightline.explain(model, torch.rand(1, 2, *size), method="gradcam")


@pytest.mark.parametrize("length", [1, 2, 3, 5, 47, 1000])
@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "occlusion", "edges"])
def test_signals_of_any_length_have_a_map_of_theirs(method: str, length: int) -> None:
    model, _, _, _ = moving("signal")
    x = torch.rand(1, 2, length, generator=torch.Generator().manual_seed(length))
    flow = sightline.explain(model, x, method=method, layers=None if method == "occlusion" else ["body.3"]).one().flow
    assert flow[-1].shape == ((length,) if method == "occlusion" else (math.ceil(length / 2),))
