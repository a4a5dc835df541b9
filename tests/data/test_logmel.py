"""The log-mel front end: equal to a slow transform written from the definition; tones and silence come out right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sightline.data.logmel import MelConfig, log_mel, mel, mel_matrix
from sightline.data.sound import resampled
from sightline.errors import InputError
from tests.data.media import tone

CONFIG = MelConfig()


def slow(samples: np.ndarray, config: MelConfig) -> np.ndarray:
    """Sum by sum, as the definition has it."""
    n = np.arange(config.window)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / config.window)
    edges = np.linspace(mel(config.low), mel(config.high), config.bands + 2)
    rows = []
    for j in range((len(samples) - config.window) // config.hop + 1):
        frame = samples[j * config.hop : j * config.hop + config.window] * window
        size = [abs(np.sum(frame * np.exp(-2j * np.pi * k * n / config.fft))) for k in range(config.fft // 2 + 1)]
        row = []
        for m in range(config.bands):
            low, middle, high = edges[m : m + 3]
            total = 0.0
            for k in range(1, config.fft // 2 + 1):
                place = 1127 * math.log(1 + k * config.rate / config.fft / 700)
                total += max(0.0, min((place - low) / (middle - low), (high - place) / (high - middle))) * size[k]
            row.append(math.log(total + config.offset))
        rows.append(row)
    return np.array(rows)


def test_it_equals_a_slow_transform() -> None:
    samples = np.random.default_rng(0).normal(size=1000) * 0.1
    ours = log_mel(torch.from_numpy(samples), CONFIG)
    assert ours.shape == (4, 64)
    assert np.abs(ours.numpy() - slow(samples, CONFIG)).max() < 1e-9
    single = log_mel(torch.from_numpy(samples).float(), CONFIG)
    assert np.abs(single.numpy() - slow(samples, CONFIG)).max() < 1e-5


@pytest.mark.parametrize("hertz", [200, 440, 1000, 3000, 7000])
def test_a_tone_peaks_in_the_band_that_holds_its_frequency(hertz: int) -> None:
    spectrum = log_mel(torch.from_numpy(tone(hertz, 0.96 + 0.015)).float())
    edges = np.linspace(mel(125), mel(7500), 66)
    band = int(spectrum[40].argmax())
    width = 16_000 / 512  # a bin: below 400 Hz bands are narrower than bins
    assert edges[band] - mel(0) <= mel(hertz + width)
    assert mel(hertz - width) <= edges[band + 2]
    assert spectrum.shape == (96, 64)


def test_silence_is_the_logarithm_of_the_offset() -> None:
    spectrum = log_mel(torch.zeros(2, 4000))
    assert spectrum.shape == (2, 23, 64)
    assert torch.allclose(spectrum, torch.full_like(spectrum, math.log(0.01)))


def test_a_sound_shorter_than_a_window_has_no_frame() -> None:
    assert log_mel(torch.zeros(399)).shape == (0, 64)
    assert CONFIG.frames(0) == 0


def test_bands_are_triangles_that_reach_one_at_their_middle_at_most() -> None:
    weights = mel_matrix(CONFIG)
    assert weights.shape == (64, 257)
    assert float(weights.min()) == 0
    assert float(weights.max()) <= 1
    assert not weights[:, 0].any()
    assert weights[:, 250].sum() == 0  # 7812 Hz lies above the highest band


def test_resampling_keeps_a_tone_its_length_and_its_level() -> None:
    old = tone(440, 1.0, rate=44_100).astype(np.float32)
    new = resampled(old, 44_100, 16_000)
    assert len(new) == 16_000
    assert np.abs(new[1000:-1000] - tone(440, 1.0)[1000:-1000]).max() < 2e-3
    assert resampled(old, 8000, 8000) is old


def test_parameters_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(InputError, match="cannot have a window of 600, 512 points"):
        MelConfig(window=600)
    with pytest.raises(InputError, match="below half the rate"):
        MelConfig(rate=8000)


def test_the_gradient_is_right() -> None:
    x = torch.randn(600, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: log_mel(v, CONFIG), (x,))
