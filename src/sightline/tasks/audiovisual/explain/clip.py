"""A file as the network of events takes it: a picture and a piece of spectrogram for each segment of its ruler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.data.openers import OPENERS
from sightline.data.ruler import Ruler
from sightline.data.sound import RATE, WAV, Track, read_track
from sightline.data.video import Footage, read_video
from sightline.errors import InputError
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.world import spectra_of

SOUNDS = (*WAV, ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac")
"""Endings of files that have sound and no picture."""


@dataclass(frozen=True, eq=False)
class EventClip:
    """A clip that is ready for the network.

    Args:
        path: the file.
        ruler: how its times line up.
        frames: a picture for each segment, in 0..1, `[1, t, 3, h, w]`.
        spectra: a piece of spectrogram for each segment, `[1, s, m, f]`.
        pictured: whether there are pictures.
        audible: which segments the file has sound in.
        features: features of the frames by the network's frozen encoder; None where it takes frames.
    """

    path: Path
    ruler: Ruler
    frames: Float[Tensor, "1 t 3 h w"]
    spectra: Float[Tensor, "1 s m f"]
    pictured: Bool[Tensor, "1 t"]
    audible: Bool[Tensor, "1 s"]
    features: Float[Tensor, "1 t y x d"] | None = None

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the network takes."""
        return self.pictures, self.spectra, self.pictured, self.audible

    @property
    def pictures(self) -> Tensor:
        """Frames, or their features where the network takes these."""
        return self.frames if self.features is None else self.features

    @property
    def footage(self) -> Footage | None:
        """Its pictures at the size in which they are shown; None for a sound."""
        return self.ruler.footage


def read_event_clip(path: str | Path, spec: EventSpec) -> EventClip:
    """Decode a clip and line its picture and sound up.

    Args:
        path: a video, a folder of pictures, or a sound.
        spec: what the network takes.

    Raises:
        MissingExtraError: the decoder is not installed.
        InputError: the file cannot be read, or the network takes features and no clips.
    """
    path = Path(path)
    if spec.sound_features or (spec.picture_features and not spec.encoder):
        raise InputError(f"this network of events takes features, not clips such as {str(path)!r}; give it features")
    footage = None if path.suffix.lower() in SOUNDS else read_video(path)
    track = _silent(path) if path.is_dir() else read_track(path)
    if footage is None and not len(track.samples):
        raise InputError(f"{str(path)!r} has neither picture nor sound; download or export it again")
    ruler = Ruler(footage, track, spec.seconds, spec.patch, spec.config)
    frames = _pictures(footage, ruler, spec)
    ruler = replace(ruler, size=(frames.shape[-2], frames.shape[-1]))
    features = _features(footage, ruler, spec) if spec.encoder else None
    return EventClip(
        path,
        ruler,
        frames[None],
        spectra_of(torch.from_numpy(ruler.samples)[None], spec.seconds),
        torch.full((1, ruler.segments), footage is not None),
        torch.from_numpy(ruler.audible)[None],
        features,
    )


def _features(footage: Footage | None, ruler: Ruler, spec: EventSpec) -> Float[Tensor, "1 t y x d"]:
    """Features of the frame of each segment, by the model that the network learned from."""
    from sightline.tasks.audiovisual.data.encoding import as_frames, frame_encoder

    if footage is None:
        return torch.zeros(1, ruler.segments, 1, 1, spec.picture_features)
    features = frame_encoder(spec.encoder, spec.layer or None, spec.pixels)(as_frames(footage.frames[ruler.frames]))
    if features.shape[-1] != spec.picture_features:
        raise InputError(
            f"{spec.encoder} gives {features.shape[-1]} features of a place, and this network learned from "
            f"{spec.picture_features}; name the model that it learned from"
        )
    return features[None]


def _silent(path: Path) -> Track:
    return Track(np.zeros(0, np.float32), RATE, path, (0, 0), ("a folder of pictures has no sound",))


def _pictures(footage: Footage | None, ruler: Ruler, spec: EventSpec) -> Float[Tensor, "t 3 h w"]:
    """The frame of each segment, its short side as the network takes it, the long one whole patches."""
    size, patch = spec.size, spec.patch
    if footage is None:
        return torch.zeros(ruler.segments, 3, size, size)
    chosen = torch.from_numpy(footage.frames[ruler.frames].copy()).permute(0, 3, 1, 2).float() / 255
    height, width = chosen.shape[-2:]
    scale = size / min(height, width)
    sides = [max(patch, patch * round(side * scale / patch)) for side in (height, width)]
    pictures: Tensor = fn.interpolate(chosen, size=sides, mode="area")
    return pictures


def is_clip(path: Path) -> bool:
    """Whether a file's name is one of a video."""
    return path.suffix.lower() in OPENERS["clip"].suffixes
