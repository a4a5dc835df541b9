"""Attention over triples: a distribution, with readings that agree; masks, permutations, limits, equal forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sightline.errors import InputError
from sightline.tasks.audiovisual.metrics.pointing import blocks
from sightline.tasks.audiovisual.network.attention import (
    evidence,
    offsets,
    pooled,
    scores_of,
    weights_of,
    when,
    where,
)
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec

FORMS = ("joint", "factorised")


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive(scores: Tensor, form: str) -> Tensor:
    """Loop by loop, from the equations."""
    n, s = scores.shape
    out = torch.zeros(n, s, dtype=scores.dtype)
    if form == "joint":
        total = sum(torch.exp(scores[i, j]) for i in range(n) for j in range(s))
        for i in range(n):
            for j in range(s):
                out[i, j] = torch.exp(scores[i, j]) / total
        return out
    means = [sum(scores[i, j] for i in range(n)) / n for j in range(s)]
    total = sum(torch.exp(m) for m in means)
    for j in range(s):
        column = sum(torch.exp(scores[i, j]) for i in range(n))
        for i in range(n):
            out[i, j] = torch.exp(means[j]) / total * torch.exp(scores[i, j]) / column
    return out


@pytest.fixture(scope="module")
def net() -> EventNet:
    torch.manual_seed(0)
    return EventNet(EventSpec(("a", "b", "c"), width=8)).eval()


@pytest.fixture(scope="module")
def clip() -> tuple[Tensor, Tensor]:
    return draws(2, 4, 3, 16, 24).sigmoid(), draws(2, 4, 20, 64, seed=1)


@pytest.mark.parametrize("form", FORMS)
def test_weights_equal_their_equation(form: str) -> None:
    scores = draws(6, 3).double()
    assert torch.allclose(weights_of(scores, form=form), naive(scores, form), atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_one_distribution_and_both_readings_sum_to_one(form: str) -> None:
    weights = weights_of(3 * draws(2, 1, 12, 5), form=form)
    assert float(weights.min()) >= 0
    assert torch.allclose(weights.sum((-1, -2)), torch.ones(2, 1), atol=1e-6)
    place, time = where(weights, (3, 2, 2)), when(weights)
    assert place.shape == (2, 1, 3, 2, 2)
    assert torch.allclose(place.sum((-1, -2, -3)), time.sum(-1), atol=1e-6)
    assert torch.allclose(place.flatten(-3)[0, 0, 7], weights[0, 0, 7].sum())


@pytest.mark.parametrize("form", FORMS)
def test_what_is_missing_gets_exactly_nothing(form: str) -> None:
    tokens, segments = torch.ones(1, 6, dtype=torch.bool), torch.ones(1, 4, dtype=torch.bool)
    tokens[0, 2] = segments[0, 3] = False
    weights = weights_of(draws(1, 6, 4), tokens=tokens, segments=segments, form=form)
    assert not weights[0, 2].any()
    assert not weights[0, :, 3].any()
    assert torch.allclose(weights.sum(), torch.tensor(1.0), atol=1e-6)
    kept = weights_of(draws(1, 6, 4)[:, [0, 1, 3, 4, 5], :3], form=form)
    assert torch.allclose(weights[:, [0, 1, 3, 4, 5], :3], kept, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_modality_of_which_nothing_is_there_is_taken_whole_and_never_nan(form: str) -> None:
    none = torch.zeros(1, 4, dtype=torch.bool)
    weights = weights_of(draws(1, 6, 4), segments=none, form=form)
    assert torch.allclose(weights, weights_of(draws(1, 6, 4), form=form))


def test_the_two_forms_are_equal_where_the_place_does_not_depend_on_the_segment() -> None:
    scores = draws(2, 6, 1) + draws(2, 1, 4, seed=1)
    assert torch.allclose(weights_of(scores), weights_of(scores, form="factorised"), atol=1e-6)
    assert not torch.allclose(weights_of(draws(2, 6, 4)), weights_of(draws(2, 6, 4), form="factorised"), atol=1e-3)


def test_zero_queries_give_even_weights_and_mean_pooling() -> None:
    values, sounds = draws(2, 6, 8), draws(2, 4, 8, seed=1)
    weights = weights_of(scores_of(torch.zeros(2, 6, 8), draws(2, 4, 8)))
    assert torch.allclose(weights, torch.full_like(weights, 1 / 24))
    assert torch.allclose(pooled(weights, values, sounds), values.mean(1) * sounds.mean(1), atol=1e-6)


def test_sharp_queries_pick_the_best_triple() -> None:
    queries, keys, values, sounds = (draws(1, n, 8, seed=i) for i, n in enumerate((6, 4, 6, 4)))
    best = divmod(int(scores_of(queries, keys)[0].argmax()), 4)
    z = pooled(weights_of(scores_of(1e4 * queries, keys)), values, sounds)
    assert torch.allclose(z[0], values[0, best[0]] * sounds[0, best[1]], atol=1e-5)


def test_evidence_adds_up_to_the_logit(net: EventNet, clip: tuple[Tensor, Tensor]) -> None:
    attended = net.attend(*clip)
    for output in range(4):
        total = attended.evidence(output).sum((1, 2)) + net.head.bias[output]
        assert torch.allclose(total, attended.logits[:, output], atol=1e-5)


def test_evidence_equals_a_loop() -> None:
    weights, values, sounds, row = (
        draws(1, 3, 2).softmax(-1),
        draws(1, 3, 5),
        draws(1, 2, 5, seed=1),
        draws(5, seed=2),
    )
    found = evidence(weights, values, sounds, row)
    slow = sum(weights[0, 1, 1] * row[c] * values[0, 1, c] * sounds[0, 1, c] for c in range(5))
    assert float(found[0, 1, 1]) == pytest.approx(float(slow), abs=1e-6)


def test_exchanged_frames_exchange_the_map(net: EventNet, clip: tuple[Tensor, Tensor]) -> None:
    frames, spectra = clip
    order = torch.tensor([2, 0, 3, 1])
    before, after = net.attend(frames, spectra), net.attend(frames[:, order], spectra)
    assert torch.allclose(after.where(0), before.where(0)[:, order], atol=1e-6)
    assert torch.allclose(after.logits, before.logits, atol=1e-5)


def test_sound_that_comes_later_moves_the_curve_by_as_much(net: EventNet, clip: tuple[Tensor, Tensor]) -> None:
    frames, spectra = clip
    before, after = net.attend(frames, spectra), net.attend(frames, spectra.roll(1, 1))
    assert torch.allclose(after.when(0), before.when(0).roll(1, 1), atol=1e-6)


def test_a_frame_that_is_there_twice_shares_its_mass_equally(net: EventNet, clip: tuple[Tensor, Tensor]) -> None:
    frames, spectra = clip
    found = net.attend(frames[:, [0, 1, 1, 3]], spectra).where(0)
    assert torch.allclose(found[:, 1], found[:, 2], atol=1e-7)


def test_offsets_move_with_the_time_bias() -> None:
    torch.manual_seed(0)
    net = EventNet(EventSpec(("a", "b"), width=8, reach=2)).eval()
    with torch.no_grad():
        net.query.weight.zero_()
        net.query.bias.zero_()
        net.bias[3] = 50.0  # a frame one segment after its sound
    weights = net.attend(draws(1, 4, 3, 16, 16).sigmoid(), draws(1, 4, 20, 64)).weights_for(0)
    frame, segment = divmod(int(weights.sum(0).unflatten(0, (4, 16)).sum(1).argmax()), 4)
    assert frame == segment + 1
    assert offsets(4, 1, 2, 1).tolist() == [[1, 0], [1, 0], [2, 1], [2, 1]]


def test_queries_of_one_class_are_shared_queries(clip: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    one = EventNet(EventSpec(("a",), width=8, nothing=False, queries="class")).eval()
    shared = EventNet(EventSpec(("a",), width=8, nothing=False)).eval()
    shared.load_state_dict(one.state_dict())
    assert torch.allclose(one(*clip), shared(*clip), atol=1e-6)


def test_queries_of_each_class_give_maps_of_their_own(clip: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    net = EventNet(EventSpec(("a", "b"), width=8, queries="class")).eval()
    net.factors.data += draws(3, 8)
    attended = net.attend(*clip)
    assert not torch.allclose(attended.where(0), attended.where(1), atol=1e-5)
    for output in range(3):
        own = attended.evidence(output).sum((1, 2)) + net.head.bias[output]
        assert torch.allclose(own, attended.logits[:, output], atol=1e-5)


def test_a_missing_modality_falls_back(net: EventNet, clip: tuple[Tensor, Tensor]) -> None:
    frames, spectra = clip
    here, gone = torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 4, dtype=torch.bool)
    mute = net.attend(frames, spectra, here, gone)
    assert torch.allclose(mute.when(0), torch.full((2, 4), 0.25), atol=1e-6)
    assert torch.equal(mute.logits, net(frames, 5 * spectra, here, gone))
    blank = net.attend(frames, spectra, gone, here)
    assert torch.allclose(blank.where(0), torch.full_like(blank.where(0), 1 / 96), atol=1e-6)
    part = here.clone()
    part[:, 2] = False
    assert not net.attend(frames, spectra, here, part).when(0)[:, 2].any()
    assert torch.equal(net(frames, spectra, here, here), net(frames, spectra))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 4), (3, 5)])
def test_a_lit_cell_lies_on_its_own_pixels(row: int, column: int) -> None:
    net = EventNet(EventSpec(("a", "b"), width=8)).eval()
    frames = torch.full((1, 1, 3, 16, 24), 0.5)
    frames[..., 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1.0
    conv = net.picture.layers[0]
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.bias.zero_()
    lit = conv(2 * frames[:, 0] - 1)[0, 0]
    assert divmod(int(lit.argmax()), 6) == (row, column) or float(lit[row, column]) == float(lit.max())
    spread = blocks(
        torch.nn.functional.one_hot(torch.tensor(row * 6 + column), 24).float().reshape(1, 1, 4, 6),
        torch.zeros(1, 1, 16, 24, dtype=torch.bool),
    )
    assert float(spread.sum()) == pytest.approx(1.0)
    assert torch.equal(spread[0, 0] > 0, frames[0, 0, 0] > 0.9)


def test_a_token_sees_its_own_surroundings_only() -> None:
    frames = torch.zeros(1, 1, 3, 24, 24, requires_grad=True)
    for field, reach in (("patch", (10, 17)), ("wide", (2, 22))):
        torch.manual_seed(0)
        net = EventNet(EventSpec(("a",), width=64, field=field))
        tokens = net.picture(frames + torch.rand(1, 1, 3, 24, 24))
        (gradient,) = torch.autograd.grad(tokens[0, 0, :, 3, 3].sum(), frames)
        rows = gradient.abs().sum((0, 1, 2, 4)).nonzero()[:, 0]
        assert (int(rows.min()), int(rows.max())) == reach


def test_a_batch_gives_what_single_clips_give(net: EventNet, clip: tuple[Tensor, Tensor]) -> None:
    whole = net.attend(*clip)
    for number in range(2):
        own = net.attend(*(part[number : number + 1] for part in clip))
        assert torch.allclose(own.weights[0], whole.weights[number], atol=1e-6)
    assert torch.equal(net(*clip), net(*clip))


def test_gradients_are_right() -> None:
    torch.manual_seed(0)
    net = EventNet(EventSpec(("a", "b"), width=3, queries="class", picture_features=4, sound_features=4)).double()
    frames, spectra = draws(1, 2, 2, 1, 4).double().requires_grad_(), draws(1, 2, 4, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(net, (frames, spectra))


def test_inputs_of_another_shape_are_refused(net: EventNet) -> None:
    with pytest.raises(InputError, match="takes frames"):
        net(torch.zeros(1, 3, 16, 16), torch.zeros(1, 4, 20, 64))
    with pytest.raises(InputError, match="whole patches of 4 px"):
        net(torch.zeros(1, 2, 3, 15, 16), torch.zeros(1, 4, 20, 64))
    with pytest.raises(InputError, match="near names: 'joint'"):
        EventSpec(("a",), form="jont")


def features(frames: int = 3, segments: int = 4) -> tuple[Tensor, Tensor]:
    """Features of 2 x 3 places and of segments."""
    return draws(1, frames, 2, 3, 5), draws(1, segments, 4, seed=1)


def of_features(**more: object) -> EventNet:
    torch.manual_seed(0)
    return EventNet(EventSpec(("a", "b"), width=8, picture_features=5, sound_features=4, **more)).eval()


@pytest.mark.parametrize("mixing", ["none", "pre", "post"])
def test_exchanged_places_exchange_the_map(mixing: str) -> None:
    net, (picture, sound), order = of_features(mixing=mixing), features(), torch.tensor([4, 0, 2, 5, 1, 3])
    moved = picture.flatten(2, 3)[:, :, order].unflatten(2, (2, 3))
    before, after = net.attend(picture, sound), net.attend(moved, sound)
    assert torch.allclose(after.where(0).flatten(2), before.where(0).flatten(2)[:, :, order], atol=1e-6)
    assert torch.allclose(after.logits, before.logits, atol=1e-5)


def test_tokens_that_are_all_alike_get_even_weights_and_their_mean() -> None:
    net = of_features()
    picture, sound = draws(1, 1, 1, 1, 5).expand(1, 3, 2, 3, 5), draws(1, 1, 4, seed=1).expand(1, 4, 4)
    attended = net.attend(picture, sound)
    assert torch.allclose(attended.weights, torch.full_like(attended.weights, 1 / 72), atol=1e-7)
    assert torch.allclose(attended.logits, net(picture[:, :1, :1, :1], sound[:, :1]), atol=1e-6)


@pytest.mark.parametrize("mixing", ["pre", "post"])
def test_self_attention_within_a_modality_equals_a_loop(mixing: str) -> None:
    net, (picture, _) = of_features(mixing=mixing), features()
    tokens = net.picture(picture).flatten(1, 3)
    x = tokens[0].unflatten(0, (3, 6)).detach()
    for module, axis in ((net.mix_picture.space, 0), (net.mix_picture.time, 1)):
        rows = [slow_mixing(module, x.select(axis, i), mixing) for i in range(x.shape[axis])]
        x = torch.stack(rows, axis)
    assert torch.allclose(net.mix_picture(tokens, 3)[0], x.flatten(0, 1), atol=1e-5)


@torch.no_grad()
def slow_mixing(module: torch.nn.Module, x: Tensor, mixing: str) -> Tensor:
    """Head by head, token by token."""
    inner, own = module.attention, x if mixing == "post" else module.norm(x)
    q, k, v = (own @ inner.in_proj_weight.T + inner.in_proj_bias).split(8, 1)
    out = torch.zeros_like(x)
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        for i in range(len(x)):
            scores = torch.stack([q[i, part] @ k[j, part] / 2**0.5 for j in range(len(x))])
            out[i, part] = scores.softmax(0) @ v[:, part]
    mixed = x + inner.out_proj(out)
    return module.norm(mixed) if mixing == "post" else mixed


def test_missing_frames_and_segments_are_not_mixed_in() -> None:
    net, (picture, sound) = of_features(mixing="pre"), features()
    there, audible = torch.tensor([[True, False, True]]), torch.tensor([[True, True, False, True]])
    other, louder = picture.clone(), sound.clone()
    other[:, 1], louder[:, 2] = 7.0, 7.0
    one, same = net.attend(picture, sound, there, audible), net.attend(other, louder, there, audible)
    assert torch.allclose(one.logits, same.logits, atol=1e-6)
    assert not one.where(0)[:, 1].any()
    none = torch.zeros_like(audible)
    assert net(picture, sound, torch.zeros_like(there), none).isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_of_which_nothing_is_there_is_taken_whole(form: str) -> None:
    none = torch.zeros(1, 6, dtype=torch.bool)
    weights = weights_of(draws(1, 6, 4), tokens=none, form=form)
    assert torch.allclose(weights, weights_of(draws(1, 6, 4), form=form))


@pytest.mark.parametrize("side", [24, 25, 30])
def test_a_map_on_the_pixels_keeps_its_sum(side: int) -> None:
    maps, masks = draws(2, 3, 6, 6).abs(), torch.zeros(2, 3, side, side, dtype=torch.bool)
    assert torch.allclose(blocks(maps, masks).sum((1, 2, 3)), maps.sum((1, 2, 3)), rtol=1e-5)
