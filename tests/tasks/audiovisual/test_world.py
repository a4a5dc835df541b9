"""The generated world: exact where and when, both modalities needed, every knob does what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sightline.errors import InputError
from sightline.tasks.audiovisual.metrics.negative import off_screen, others_without, variants
from sightline.tasks.audiovisual.world import CLASSES, HARDER, TONES, Scenes, WorldConfig, scenes

CONFIG = WorldConfig()


@pytest.fixture(scope="module")
def drawn() -> Scenes:
    return scenes(CONFIG, 0, 120)


def test_the_event_is_the_only_class_that_is_both_seen_and_audible(drawn: Scenes) -> None:
    shown, sounding = drawn.shapes.flatten(2).any(2), drawn.tones.any(2)
    assert (shown.sum(1) == 2).all()
    assert (sounding.sum(1) == 2).all()
    both = shown & sounding
    assert (both.sum(1) == 1).all()
    assert torch.equal(both.long().argmax(1), drawn.labels)
    assert set(drawn.labels.tolist()) == set(range(len(CLASSES)))


def test_where_is_what_is_drawn(drawn: Scenes) -> None:
    clean = scenes(replace(CONFIG, noise=0.0), 0, 4)
    ground = clean.frames[:, :, :, :1, :1].float()
    differs = (clean.frames.float() - ground).abs().amax(2) > 40
    masks = clean.shapes.any(1)
    assert float((differs == masks).float().mean()) > 0.97
    assert drawn.where.flatten(1).any(1).all()


def test_when_is_what_sounds(drawn: Scenes) -> None:
    spectrum = torch.fft.rfft(drawn.sounds[:, :19_200].float().unflatten(1, (6, 3200))).abs()
    for number in range(20):
        label = int(drawn.labels[number])
        low, high = (round(TONES[label] * factor / 5) for factor in (0.96, 1.04))
        level = spectrum[number, :, low : high + 1].amax(1)
        assert torch.equal(level > 0.3 * level.max(), drawn.when[number])


def test_tones_come_one_after_the_other_for_one_to_three_segments(drawn: Scenes) -> None:
    assert (drawn.tones.sum(1) <= 1).all()
    lengths = drawn.tones.sum(2)
    assert set(lengths.unique().tolist()) == {0, 1, 2, 3}


def test_a_scene_is_the_same_in_any_batch_and_another_for_another_seed(drawn: Scenes) -> None:
    own = scenes(CONFIG, 37, 2)
    assert torch.equal(own.frames, drawn.frames[37:39])
    assert torch.equal(own.sounds, drawn.sounds[37:39])
    assert not torch.equal(scenes(CONFIG, 37, 2, seed=1).frames, own.frames)


def test_scenes_without_an_event_have_no_class_in_common() -> None:
    none = scenes(replace(CONFIG, negatives=1.0), 0, 60)
    assert (none.labels == len(CLASSES)).all()
    assert not (none.shapes.flatten(2).any(2) & none.tones.any(2)).any()
    silent = ~none.tones.flatten(1).any(1)
    assert 0.2 < float(silent.float().mean()) < 0.8
    assert (none.sounds[silent] == 0).all(1).any()
    assert not none.where.any()


def test_lag_is_the_time_from_shape_to_tone() -> None:
    drawn = scenes(replace(HARDER, noise=0.0), 0, 40)
    for number in range(40):
        label = int(drawn.labels[number])
        seen = drawn.shapes[number, label].flatten(1).any(1).nonzero()[:, 0]
        sounding = drawn.tones[number, label].nonzero()[:, 0]
        assert (sounding - seen == 1).all()
    assert (drawn.shapes.flatten(2).any(2).sum(1) == 3).all()
    assert (drawn.tones.any(2).sum(1) == 3).all()


def test_noise_is_in_picture_and_sound() -> None:
    noisy, plain = (scenes(replace(CONFIG, noise=n, sound_noise=n), 0, 4) for n in (0.1, 0.0))
    assert float((noisy.frames.float() - plain.frames.float()).std()) > 12
    assert float((noisy.sounds - plain.sounds).float().std()) == pytest.approx(0.1, abs=0.01)


def test_a_swapped_sound_does_not_hold_the_event(drawn: Scenes) -> None:
    swapped = drawn.with_sound_of(others_without(drawn))
    assert not swapped.when.any()
    assert not torch.equal(swapped.sounds, drawn.sounds)
    assert torch.equal(swapped.frames, drawn.frames)


def test_sound_from_off_the_screen_belongs_to_nothing_in_the_picture(drawn: Scenes) -> None:
    other = off_screen(drawn)
    kept = other >= 0
    assert kept.any()
    mixed = drawn.with_sound_of(other.clamp(min=0)).rows(kept.nonzero()[:, 0])
    assert not (mixed.shapes.flatten(2).any(2) & mixed.tones.any(2)).any()


def test_the_variants_are_what_their_names_are(drawn: Scenes) -> None:
    found = dict(variants(drawn))
    assert list(found) == ["as it is", "swapped", "off screen", "silent", "shifted"]
    assert not found["silent"].sounds.any()
    assert torch.equal(found["shifted"].when, drawn.when.roll(2, 1))


def test_a_world_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="4 shapes and 4 tones with one class in common need 7 classes"):
        WorldConfig(shapes=4, tones=4)
    with pytest.raises(InputError, match="3 tones need 6 segments or more"):
        WorldConfig(tones=3, frames=4)
