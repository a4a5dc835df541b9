"""Frozen features of frames: any model of `models/`, read at one of its layers, over a grid of places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.capture.forward import run_forward
from sightline.capture.record import Recorder
from sightline.common.modes import leave_as_found
from sightline.errors import InputError, ModelError
from sightline.models import adapt
from sightline.models.load import load_model

AT_ONCE = 16
"""Frames in one forward."""


@dataclass(frozen=True, eq=False)
class FrameEncoder:
    """A model of pictures as the encoder of frames.

    Args:
        model: in eval mode; it is left as it was.
        layer: name of the layer that is read, or `last`.
        size: height and width to which a whole frame is resized.
        mean: mean of each channel in units of 0..1, which is subtracted.
        std: standard deviation of each channel, by which is divided.
        name: name of the model.
    """

    model: nn.Module
    layer: str
    size: tuple[int, int]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    name: str = ""

    @torch.no_grad()
    def __call__(
        self, frames: Float[Tensor, "t 3 h w"], report: Callable[[int], None] = lambda done: None
    ) -> Float[Tensor, "t y x d"]:
        """Features of frames in 0..1.

        Raises:
            ModelError: the model fails on frames.
            InputError: the layer gives no grid of places.
        """
        parts = []
        for some in torch.split(frames, AT_ONCE):
            parts.append(self._features(some))
            report(len(some))
        return torch.cat(parts)

    def _features(self, frames: Tensor) -> Tensor:
        own = fn.interpolate(frames, size=self.size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
        mean, std = (own.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        inputs = (own - mean) / std
        adapter = adapt(self.model)
        structure = adapter.structure(inputs)
        specs = structure.layers(self.layer)
        with leave_as_found(self.model):
            recorder = Recorder(
                adapter, structure, specs, inputs, gradients=False, copied=frozenset(s.path for s in specs)
            )
            with recorder.listening():
                run_forward(adapter, inputs)
            layer = recorder.layers()[0]
        grid = layer.layout.to_grid(recorder.records[0].activation.detach())
        if grid.ndim != 4:
            raise InputError(f"the layer {layer.name!r} gives no grid of places of a frame; name another layer")
        return grid.permute(0, 2, 3, 1).float()


@lru_cache(maxsize=2)
def frame_encoder(name: str, layer: str | None = None, size: tuple[int, int] = (0, 0)) -> FrameEncoder:
    """The encoder of a model's name.

    Args:
        name: as `--model` has it.
        layer: name of a layer; None for the last block.
        size: sides of the frames; (0, 0) for those that the model was made for.

    Raises:
        ModelError: there is no such model, or it takes other inputs than pictures of three channels.
    """
    loaded = load_model(name)
    prepared: Any = loaded.preprocess
    if len(prepared.mean) != 3:
        raise ModelError(
            f"{name} takes pictures of {len(prepared.mean)} channels, and frames have 3; name another model"
        )
    sides = size if min(size) > 0 else tuple(prepared.size)
    return FrameEncoder(
        loaded.model, layer or "last", (sides[0], sides[1]), tuple(prepared.mean), tuple(prepared.std), loaded.name
    )


def as_frames(pictures: NDArray[np.uint8]) -> Float[Tensor, "t 3 h w"]:
    """Pictures `[t, h, w, 3]` as frames in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
