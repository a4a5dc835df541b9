"""The ancestor as a baseline: its equations re-computed place by place, and maps of the network's kind."""

from __future__ import annotations

import pytest
import torch

from sightline.errors import InputError
from sightline.tasks.audiovisual.network.avel import AvelNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import load_net, save_net


@pytest.fixture
def net() -> AvelNet:
    torch.manual_seed(0)
    return AvelNet(EventSpec(("a", "b"), form="avel", width=8)).double().eval()


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    frames, spectra = torch.rand(2, 5, 3, 16, 24, generator=draw), torch.randn(2, 5, 20, 64, generator=draw)
    return frames.double(), spectra.double()


@torch.no_grad()
def test_attention_and_answer_are_those_of_its_equations(net: AvelNet, inputs: tuple) -> None:
    frames, spectra = inputs
    attended = net.attend(*inputs)
    each = torch.zeros(2, 5, 3).double()
    alphas = torch.zeros(2, 5, 4, 6).double()
    for sample in range(2):
        tokens = net.picture(2 * frames[sample : sample + 1] - 1)[0]
        sounds = net.sound((spectra[sample : sample + 1] + 2) / 2)[0]
        cues = []
        for t in range(5):
            g = (net.hear.weight @ sounds[t] + net.hear.bias).relu()
            z = torch.zeros(4, 6).double()
            for y in range(4):
                for x in range(6):
                    u = (net.see.weight @ tokens[t, :, y, x] + net.see.bias).relu()
                    z[y, x] = net.score.weight[0] @ (net.place.weight @ u + net.guide.weight @ g).tanh()
            alphas[sample, t] = z.exp() / z.exp().sum()
            cues.append((tokens[t] * alphas[sample, t]).sum((1, 2)))
        both = torch.cat([net.over_sound(sounds[None])[0][0], net.over_picture(torch.stack(cues)[None])[0][0]], 1)
        each[sample] = net.head(net.join(both.relu()))
    assert torch.allclose(attended.logits, each.mean(1))
    for output in range(3):
        when = each.softmax(2)[..., output]
        when = when / when.sum(1, keepdim=True)
        assert torch.allclose(attended.when(output), when)
        assert torch.allclose(attended.where(output), alphas * when[..., None, None])


@torch.no_grad()
def test_maps_sum_to_one_and_what_is_missing_gets_nothing(net: AvelNet, inputs: tuple) -> None:
    audible = torch.ones(2, 5, dtype=torch.bool)
    audible[0, 3:] = False
    audible[1] = False
    attended = net.attend(*inputs, torch.ones(2, 5, dtype=torch.bool), audible)
    for output in range(3):
        assert torch.allclose(attended.where(output).sum((1, 2, 3)), torch.ones(2).double())
        assert not attended.when(output)[0, 3:].any()
        assert attended.when(output)[1].min() > 0
    assert torch.isfinite(attended.logits).all()


def test_it_is_read_back_as_it_was_written(net: AvelNet, inputs: tuple, tmp_path) -> None:
    save_net(net.float(), tmp_path / "net.safetensors")
    again = load_net(tmp_path / "net.safetensors")
    assert isinstance(again, AvelNet)
    small = tuple(part.float() for part in inputs)
    assert torch.equal(again(*small), net(*small))


def test_it_takes_a_frame_for_each_segment_and_has_no_evidence_of_triples(net: AvelNet, inputs: tuple) -> None:
    frames, spectra = inputs
    with pytest.raises(InputError, match="takes a frame for each segment"):
        net(frames[:, :4], spectra)
    with pytest.raises(InputError, match="not a sum over triples"):
        net.attend(frames, spectra).evidence(0)
