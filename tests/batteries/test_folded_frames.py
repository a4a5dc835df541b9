"""Every method on networks that fold frames into the axis of the samples before a network of pictures.

The oracle is the same network written with kernels of one frame, `Conv3d(1, k, k)`, which folds nothing: its maps are
held by other batteries. `x.flatten(0, 1)` is what most video networks do; some put time first.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import MethodError
from sightline.explainers import METHODS
from sightline.results import Explanations
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec

ATTENTION = ("daam", *(name for name, method in METHODS.items() if method.needs == "attention"))
FRAMES = 4
FOLDS = ("samples first", "time first")


def trunk(conv: type[nn.Module], norm: type[nn.Module], *, flat: tuple[int, ...]) -> nn.Module:
    kernel, stride, pad = (*flat, 3, 3), (*flat, 2, 2), (*(0 for _ in flat), 1, 1)
    return nn.Sequential(
        conv(3, 6, kernel, padding=pad), norm(6), nn.ReLU(),
        conv(6, 8, kernel, stride=stride, padding=pad), nn.GELU(),
    )  # fmt: skip


class Unfolded(nn.Module):
    """`[b, t, c, y, x]` by kernels of one frame."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = trunk(nn.Conv3d, nn.BatchNorm3d, flat=(1,))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x.transpose(1, 2)).mean((3, 4)).amax(2))


class Folded(nn.Module):
    """The same by a network of pictures."""

    def __init__(self, fold: str) -> None:
        super().__init__()
        self.fold = fold
        self.trunk = trunk(nn.Conv2d, nn.BatchNorm2d, flat=())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        pictures = (x.transpose(0, 1) if self.fold == "time first" else x).flatten(0, 1)
        return self.head(self._apart(self.trunk(pictures).mean((2, 3)), len(x)).amax(1))

    def _apart(self, pooled: Tensor, samples: int) -> Tensor:
        if self.fold == "time first":
            return pooled.unflatten(0, (-1, samples)).transpose(0, 1)
        return pooled.unflatten(0, (samples, -1))


@cache
def networks(fold: str) -> tuple[nn.Module, nn.Module]:
    """A network and its oracle, with the same weights."""
    torch.manual_seed(0)
    oracle, folded = Unfolded().double(), Folded(fold).double()
    for name, value in oracle.state_dict().items():
        own = folded.state_dict()[name]
        own.copy_(value.reshape(own.shape))
    for part, other in zip(oracle.modules(), folded.modules(), strict=True):
        if isinstance(part, nn.BatchNorm3d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            other.load_state_dict(part.state_dict())
    return folded.eval(), oracle.eval()


@cache
def clips() -> Tensor:
    return torch.randn(2, FRAMES, 3, 12, 10, generator=torch.Generator().manual_seed(1)).double()


@cache
def maps(net: nn.Module, method: str, layers: str | None, options: tuple[tuple[str, object], ...]) -> Explanations:
    return sightline.explain(
        net, clips(), target=1, method=method, layers=layers, domain="space-time", options=dict(options)
    )


def cases() -> list[tuple[str, str | None, tuple[tuple[str, object], ...]]]:
    """Every method as it is and at the input; solvers have the steps to end, since they stop by rows of frames."""
    exact = ("iterations", 100)
    cases: list[tuple[str, str | None, tuple[tuple[str, object], ...]]] = []
    for name, method in METHODS.items():
        if name in ATTENTION:
            continue
        options = (exact,) if name == "naflow" else ()
        places = ["input"] if method.layers == "input" else [None, *([] if method.no_input else ["input"])]
        cases += [(name, place, options) for place in places]
    cases += [("naflow", None, (("rule", rule), exact)) for rule in ("threshold", "contribution", "mass")]
    cases += [("naflow", None, (("mode", "forward"),)), ("naflow", None, (("mode", "lsq"), ("iterations", 300)))]
    return [*cases, ("lrp", None, (("gamma", 0),)), ("lrp", None, (("head", 0.25), ("attention", "both")))]


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize(("method", "layers", "options"), cases())
def test_maps_are_those_of_the_same_network_without_a_fold(
    method: str, layers: str | None, options: tuple[tuple[str, object], ...], fold: str
) -> None:
    net, oracle = networks(fold)
    assert torch.allclose(net(clips()), oracle(clips()))
    ours, theirs = (maps(one, method, layers, options) for one in (net, oracle))
    assert len(ours) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert one.flow.layers == other.flow.layers
        for mine, wanted in zip(one.flow.maps, other.flow.maps, strict=True):
            assert mine.values.shape == wanted.values.shape == (FRAMES, *wanted.values.shape[1:])
            assert torch.allclose(mine.values, wanted.values, rtol=1e-4, atol=1e-5 * float(wanted.values.abs().max()))
            assert mine.notes.keys() == wanted.notes.keys()
            for name in mine.notes.keys() - {"residual", "iterations"}:  # rows of frames are solved one by one
                assert mine.notes[name] == pytest.approx(wanted.notes[name], rel=1e-3, abs=1e-6), name


class Tokens(nn.Module):
    """A transformer on each frame, class tokens and all, and the mean of its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)])
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.patches(x.flatten(0, 1)).flatten(2).mT
        rows = torch.cat([self.token.expand(len(rows), -1, -1), rows], 1)
        for block in self.blocks:
            rows = block(rows)
        return self.head(rows[:, 0].unflatten(0, x.shape[:2]).mean(1))


@pytest.mark.parametrize("method", ["gradxact", "lrp"])
def test_frames_of_a_transformer_have_the_maps_that_each_has_alone(method: str) -> None:
    torch.manual_seed(0)
    net = Tokens().double().eval()
    x = torch.randn(2, FRAMES, 3, 12, 8).double()

    def explained(inputs: Tensor) -> Explanations:
        return sightline.explain(net, inputs, target=1, method=method, domain="space-time")

    whole = explained(x)
    assert len(whole[0].flow.layers) == 3
    for sample, item in enumerate(whole):
        # A frame twice, since a clip of one frame is a picture; half of its evidence lies on each.
        alone = [explained(x[sample : sample + 1, [t, t]])[0].flow for t in range(FRAMES)]
        for layer in item.flow.layers:
            frames = torch.stack([flow[layer].values.sum(0) for flow in alone]) / FRAMES
            assert torch.allclose(item.flow[layer].values, frames, rtol=1e-4, atol=1e-7)
            if method == "lrp":
                carried = sum(flow[layer].notes["carried"] for flow in alone) / FRAMES
                assert item.flow[layer].notes["carried"] == pytest.approx(carried, rel=1e-4)
    if method == "lrp":
        assert 0 < whole[0].flow.maps[-1].notes["prefix"] < 1


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("queries", ["class", "shared"])
def test_a_network_of_events_is_explained_by_every_method(method: str, queries: str) -> None:
    torch.manual_seed(0)
    net = EventNet(EventSpec(("a", "b"), width=8, queries=queries)).eval()
    frames, spectra = torch.rand(2, 5, 3, 16, 24), torch.randn(2, 5, 20, 64) - 2

    def explained(part: slice) -> Explanations:
        inputs = frames[part], spectra[part]
        return sightline.explain(net, inputs, target=1, method=method, domain="space-time")

    both = explained(slice(0, 2))
    for sample, item in enumerate(both):
        alone = explained(slice(sample, sample + 1))[0]
        for one, other in zip(item.flow.maps, alone.flow.maps, strict=True):
            assert len(one.values) == 5  # a map for each frame
            assert torch.allclose(one.values, other.values, rtol=1e-3, atol=1e-5 * float(other.values.abs().max()))
            assert one.notes == pytest.approx(other.notes, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("queries", ["class", "shared"])
def test_rollout_of_a_network_of_events_is_its_own_attention(queries: str) -> None:
    torch.manual_seed(0)
    net = EventNet(EventSpec(("a", "b"), width=8, queries=queries)).eval()
    frames, spectra = torch.rand(1, 5, 3, 16, 24), torch.randn(1, 5, 20, 64) - 2
    with torch.no_grad():
        net.query.weight.mul_(20)  # an even attention would agree with anything
        attended = net.attend(frames, spectra)
    item = sightline.explain(net, (frames, spectra), target=1, method="rollout", domain="space-time")[0]
    queries_of = {"class": 15, "shared": 5}[queries]  # five segments, for each of two events and none
    (remark,) = item.flow.remarks
    assert f"the mean of 5 of the {queries_of} queries of the attention" in remark
    assert "it may be a segment of sound" in remark
    own = attended.weights[0, 1 if queries == "class" else 0].sum(1).reshape(attended.grid)
    values = item.flow.maps[-1].values
    assert torch.allclose(values / values.sum(), own / own.sum(), rtol=1e-3, atol=1e-6)


def test_relevance_of_a_network_of_events_is_that_of_each_triple() -> None:
    """Attention is held constant, and so is what it takes of the sound: a token has the evidence of its triples."""
    torch.manual_seed(0)
    net = EventNet(EventSpec(("a", "b"), width=8, queries="class")).eval()
    frames, spectra = torch.rand(1, 5, 3, 16, 24), torch.randn(1, 5, 20, 64) - 2
    with torch.no_grad():
        net.value.bias.zero_()
        attended = net.attend(frames, spectra)
    item = sightline.explain(
        net, (frames, spectra), target=1, method="lrp", domain="space-time", options={"gamma": 0}
    )[0]
    wanted = attended.evidence(1)[0].sum(1).reshape(attended.grid)
    assert torch.allclose(item.flow["picture.layers.3"].values, wanted, rtol=1e-4, atol=1e-8)


class Views(nn.Module):
    """Samples between views and frames on one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        views = x.unflatten(1, (2, -1)).transpose(0, 1).flatten(0, 2)
        pooled = self.conv(views).relu().mean((2, 3)).unflatten(0, (2, len(x), -1))
        return self.head(pooled.mean((0, 2)))


def test_samples_between_other_axes_are_told_apart_or_refused() -> None:
    torch.manual_seed(0)
    net, x = Views().eval(), torch.rand(2, 4, 3, 8, 8)
    both = sightline.explain(net, x, target=1, method="lrp", layers="conv", domain="space-time")
    with pytest.raises(MethodError, match="folds other axes around its samples"):
        sightline.explain(net, x, target=1, method="naflow", layers="conv", domain="space-time")
    for sample in range(2):
        one = x[sample : sample + 1]
        alone = sightline.explain(net, one, target=1, method="lrp", layers="conv", domain="space-time")[0]
        assert torch.allclose(both[sample].flow["conv"].values, alone.flow["conv"].values, atol=1e-6)
        assert both[sample].flow["conv"].notes == pytest.approx(alone.flow["conv"].notes, abs=1e-6)
        sightline.explain(net, one, target=1, method="naflow", layers="conv", domain="space-time")
