"""What makes tokens of pictures and of sound.

A token of the picture sees little more than its own patch: with a large receptive field a network recognises as well
and points beside the object (`docs/studies/events.md`). A segment of sound sees itself only, so that a curve over
segments is exact in time.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import InputError

Field = Literal["patch", "wide"]
PATCH = 4
"""Pixels from a patch to the next, where none are named."""


class PictureEncoder(nn.Module):
    """Frames to tokens on a grid of one for each patch.

    Args:
        width: channels.
        field: `patch`: one convolution over twice the sides of a patch, then 1 x 1, so a token sees 8 x 8 pixels
            around a patch of 4 x 4; `wide`: three overlapping convolutions, so it sees 21 x 21.
        patch: sides of a patch in pixels, an even number; 4 for `wide`.
    """

    def __init__(self, width: int, field: Field = "patch", patch: int = PATCH) -> None:
        super().__init__()
        self.patch = patch
        if field == "patch":
            first = nn.Conv2d(3, width, 2 * patch, patch, patch // 2)
            layers = [first, nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU()]
        else:
            layers = [
                *(nn.Conv2d(3, width, 5, 2, 2), nn.ReLU()),
                *(nn.Conv2d(width, width, 5, 2, 2), nn.ReLU()),
                *(nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t c y x"]:
        """Tokens on their grid.

        Raises:
            InputError: the sides are not multiples of a patch.
        """
        *lead, height, width = frames.shape[0], frames.shape[1], *frames.shape[-2:]
        if height % self.patch or width % self.patch:
            raise InputError(f"frames of {height} x {width} are not whole patches of {self.patch} px; resize them")
        tokens: Tensor = self.layers(frames.flatten(0, 1))
        return tokens.reshape(*lead, *tokens.shape[1:])


class SoundEncoder(nn.Module):
    """Log-mel frames of each segment to a token: a convolution in time, the mean over the segment, a layer.

    Args:
        bands: mel bands.
        width: channels.
    """

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(bands, width, 5, padding=2), nn.ReLU())
        self.last = nn.Sequential(nn.Linear(width, width), nn.ReLU())

    def forward(self, spectra: Float[Tensor, "b s m f"]) -> Float[Tensor, "b s c"]:
        """Tokens; `m` frames of the spectrogram lie in a segment."""
        inside = self.layers(spectra.flatten(0, 1).transpose(1, 2))
        tokens: Tensor = self.last(inside.mean(2))
        return tokens.reshape(*spectra.shape[:2], -1)


class FeatureEncoder(nn.Module):
    """Features of a frozen network to tokens: one layer, place by place.

    Args:
        features: numbers of a feature.
        width: channels.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.last = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, width), nn.ReLU())

    def forward(self, features: Float[Tensor, "... d"]) -> Float[Tensor, "... c"]:
        """Tokens of the same places."""
        tokens: Tensor = self.last(features)
        return tokens
