"""Layers of models that make a spectrogram themselves: places are the frames, frequencies are channels."""

import pytest
import torch
from torch import nn

from sightline.models import adapt

HOP, WINDOW = 64, 128


class Spectrogram(nn.Module):
    """Framing by `torch.stft` or by `unfold`, log power, two convolutions and a head."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, padding=1))
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wave = x[:, 0]
        if self.way == "stft":
            spectrum = torch.stft(wave, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True)
        else:
            padded = nn.functional.pad(wave, (WINDOW // 2, WINDOW // 2), mode="reflect")
            spectrum = torch.fft.rfft(padded.unfold(-1, WINDOW, HOP) * torch.hann_window(WINDOW)).transpose(1, 2)
        power = spectrum.abs().square().add(1e-4).log()
        return self.head(self.body(power[:, None]).mean((2, 3)))


@pytest.mark.parametrize("way", ["stft", "unfold"])
def test_frames_are_places_and_frequencies_are_channels(way):
    torch.manual_seed(0)
    model, x = Spectrogram(way).eval(), torch.randn(2, 1, 2048)
    site = adapt(model).structure(x).site("body.1", "output", 1)
    assert site is not None
    assert site.layout is not None
    assert site.layout.size == (2048 // HOP + 1,)

    x.requires_grad_()
    activations = []
    hook = model.body[1].register_forward_hook(lambda module, args, output: activations.append(output))
    model(x)
    hook.remove()
    frame = site.layout.to_grid(activations[0])[0, :, 16].sum()
    near = torch.autograd.grad(frame, x)[0][0, 0].nonzero().flatten()

    # A frame and its two neighbours by the convolution, each as long as the window.
    assert near.min() >= 15 * HOP - WINDOW // 2
    assert near.max() < 17 * HOP + WINDOW // 2
