r"""Log-mel spectrograms, from their definition, with the parameters of VGGish [hershey2017cnn].

$X_j(k) = |\sum_n w(n)\, x(n + jH)\, e^{-2\pi i k n / F}|$ over frames of $W$ samples every $H$, a periodic Hann
window $w$, no padding; $S_j(m) = \log(\sum_k M_{mk} X_j(k) + o)$ with triangles $M$ that are straight on the mel
scale $1127 \ln(1 + f / 700)$. It knows tensors only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sightline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True)
class MelConfig:
    """Parameters of a log-mel spectrogram.

    Args:
        rate: samples a second.
        window: samples of a frame.
        hop: samples from a frame to the next.
        fft: points of the Fourier transform; the frame is filled up with zeros.
        bands: mel bands.
        low: lower edge of the lowest band in Hz.
        high: upper edge of the highest band in Hz.
        offset: what is added before the logarithm.

    Raises:
        InputError: they contradict one another.
    """

    rate: int = 16_000
    window: int = 400
    hop: int = 160
    fft: int = 512
    bands: int = 64
    low: float = 125.0
    high: float = 7500.0
    offset: float = 0.01

    def __post_init__(self) -> None:
        if self.hop <= 0 or not 0 < self.window <= self.fft or not 0 <= self.low < self.high <= self.rate / 2:
            raise InputError(
                f"a spectrogram of {self.rate} Hz cannot have a window of {self.window}, {self.fft} points and "
                f"bands from {self.low:g} to {self.high:g} Hz; the window has to fit into the points, "
                "the bands below half the rate"
            )

    def frames(self, samples: int) -> int:
        """Frames of so many samples: those that lie in them whole.

        Example:
            >>> MelConfig().frames(15_600)
            96
        """
        return max(0, 1 + (samples - self.window) // self.hop)

    def span(self, frame: int) -> tuple[float, float]:
        """Seconds that a frame covers."""
        return frame * self.hop / self.rate, (frame * self.hop + self.window) / self.rate


def mel(hertz: float) -> float:
    """The mel of a frequency [hershey2017cnn].

    Example:
        >>> round(mel(1000.0))
        1000
    """
    return 1127.0 * math.log1p(hertz / 700.0)


@cache
def mel_matrix(config: MelConfig) -> Float[Tensor, "bands bins"]:
    """Weight of every Fourier bin in every band; the bin at 0 Hz has none."""
    import torch

    edges = torch.linspace(mel(config.low), mel(config.high), config.bands + 2, dtype=torch.float64)[:, None]
    bins = [mel(k * config.rate / config.fft) for k in range(config.fft // 2 + 1)]
    places = torch.tensor(bins, dtype=torch.float64)[None]
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    weights = torch.minimum(rising, falling).clamp(min=0)
    weights[:, 0] = 0
    return weights


def log_mel(samples: Float[Tensor, "... n"], config: MelConfig = MelConfig()) -> Float[Tensor, "... t f"]:
    """The log-mel spectrogram of a sound.

    Args:
        samples: one channel in -1..1 at `config.rate`.
        config: parameters.

    Returns:
        Frames by bands; no frame where the sound is shorter than a window.

    Example:
        >>> import torch
        >>> log_mel(torch.zeros(15_600)).shape
        torch.Size([96, 64])
    """
    import torch

    if not config.frames(samples.shape[-1]):
        return samples.new_zeros(*samples.shape[:-1], 0, config.bands)
    frames = samples.unfold(-1, config.window, config.hop)
    window = torch.hann_window(config.window, periodic=True, dtype=samples.dtype, device=samples.device)
    magnitudes = torch.fft.rfft(frames * window, n=config.fft).abs()
    matrix = mel_matrix(config).to(magnitudes)
    spectrum: Tensor = (magnitudes @ matrix.T + config.offset).log()
    return spectrum
