"""Deletion, insertion and randomisation of where and when, on networks whose answers are known by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.metrics import bootstrap, spearman
from sightline.tasks.audiovisual.metrics.clips import SILENT
from sightline.tasks.audiovisual.metrics.maps import attention, uniform
from sightline.tasks.audiovisual.metrics.perturb import FILLS, perturbed, random_maps
from sightline.tasks.audiovisual.metrics.sanity import likeness
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from tests.tasks.audiovisual.toy import squares, trained_toy

OUTPUTS = torch.tensor([0, 1])


class OneCell(nn.Module):
    """Output 0 rests on cell (0, 1) of frame 1 and on segment 2; output 1 on nothing."""

    def forward(self, frames: Tensor, spectra: Tensor) -> Tensor:
        lit, loud = frames[:, 1, 0, :4, 4:8].mean((1, 2)), spectra[:, 2].mean((1, 2)) - SILENT
        return torch.stack([lit * loud, 0 * lit], 1)


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    frames = torch.rand(2, 2, 3, 8, 8, generator=draw)
    return frames + frames.mean((2, 3, 4), keepdim=True), torch.rand(2, 4, 5, 3, generator=draw)


def maps(cell: tuple[int, int, int], segment: int) -> tuple[Tensor, Tensor]:
    where, when = torch.zeros(2, 2, 2, 2), torch.zeros(2, 4)
    where[(slice(None), *cell)] = when[:, segment] = 1.0
    return where, when


def test_the_curve_falls_with_the_cell_and_segment_that_the_answer_rests_on(inputs: tuple[Tensor, Tensor]) -> None:
    net = OneCell()
    right, wrong = (
        perturbed(net, inputs, OUTPUTS, maps(*places), steps=8) for places in (((1, 0, 1), 2), ((0, 0, 0), 0))
    )
    assert set(right) == {("where", "mean"), ("where", "black"), ("when", "silence"), ("when", "mean")}
    score = float(net(*inputs).softmax(1)[0, 0])
    silent = right[
        "when", "silence"
    ]  # points 0, 1, .. 4 of 4 segments: the first deletion leaves nothing but one half
    assert float(silent.deletion[0]) == pytest.approx((score + 0.5) / 8 + 0.5 * 3 / 4, abs=1e-5)
    assert float(silent.insertion[0]) == pytest.approx((score + 0.5) / 8 + score * 3 / 4, abs=1e-5)
    for kind, fill in (("when", "silence"), ("where", "mean")):
        assert right[kind, fill].deletion[0] < wrong[kind, fill].deletion[0]
        assert right[kind, fill].insertion[0] > wrong[kind, fill].insertion[0]


def test_each_replacement_value_gives_an_answer_of_its_own(inputs: tuple[Tensor, Tensor]) -> None:
    areas = perturbed(OneCell(), inputs, OUTPUTS, maps((1, 0, 1), 2), steps=4)
    for kind, fills in FILLS.items():
        assert len({float(areas[kind, fill].deletion[0]) for fill in fills}) == 2


def test_maps_that_know_nothing_are_the_same_for_one_seed_and_different_for_each_scene() -> None:
    shapes = torch.Size((3, 2, 2, 2)), torch.Size((3, 4))
    one, other = random_maps(shapes), random_maps(shapes)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[1][0], one[1][1])
    assert not torch.equal(one[0], random_maps(shapes, seed=1)[0])


def test_attention_of_a_network_that_forgets_is_another_and_the_network_comes_back(
    inputs: tuple[Tensor, Tensor],
) -> None:
    torch.manual_seed(0)
    spec = EventSpec(("a", "b"), width=8, queries="class", nothing=False)
    net, other = EventNet(spec).eval(), EventNet(spec).eval()
    clip = (inputs[0][:, :, :, :8, :8], torch.rand(2, 4, 20, 64))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = likeness(net, other, clip, OUTPUTS, way=attention)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert set(found) == {"where", "when"}
    weights = found["where"].weights
    assert torch.allclose(weights["head"], torch.ones(2))  # the last layer comes behind the attention
    assert float(weights["picture.layers.0"].abs().max()) < 1
    for number, name in enumerate(("where", "when")):
        pair = [attention(one, clip, OUTPUTS)[number].flatten(1) for one in (net, other)]
        assert torch.allclose(found[name].labels, spearman(*pair).float(), atol=1e-6)
    same = likeness(net, net, clip, OUTPUTS, way=attention)
    assert torch.allclose(same["when"].labels, torch.ones(2))
    assert (
        likeness(net, other, clip, OUTPUTS, way=uniform)["where"].labels.isnan().all()
    )  # constant maps have no order


def test_what_a_trained_network_attends_to_is_what_its_answer_needs() -> None:
    net, (frames, spectra, labels) = trained_toy(), squares(60, seed=2)
    clip = (frames, spectra)
    with torch.no_grad():
        assert float((net(*clip).argmax(1) == labels).float().mean()) > 0.9
    maps_ = attention(net, clip, labels)
    ours = perturbed(net, clip, labels, maps_)
    chance = perturbed(net, clip, labels, random_maps((maps_[0].shape, maps_[1].shape)))
    for kind, one in ours.items():
        drop, gain = one.deletion - chance[kind].deletion, one.insertion - chance[kind].insertion
        assert bootstrap(drop, draws=200).high < 0, kind
        assert bootstrap(gain, draws=200).low > 0, kind
