"""Ways of drawing a map over a photo that `drawing.py` judges side by side: ours, ours of before, and the peers'.

The peers' pictures are re-made from their own code with the same map: `overlay_mask` of torch-cam 0.5 (jet of the
squared map, 30 %), `show_cam_on_image` of grad-cam 1.5 (jet, 50 %, brought to a peak of 1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import matplotlib
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from sightline.reports.cmaps import CMAPS
from sightline.reports.drawing import overlay
from sightline.reports.palette import SIGNED, UNSIGNED
from sightline.results import AttentionMap

Picture = Float[Tensor, "h w 3"]
Style = Callable[[AttentionMap, Picture], Picture]


def ours(cmap: str) -> Style:
    """Our drawing in one of its colour maps, without the outline."""

    def drawn(map_: AttentionMap, photo: Picture) -> Picture:
        pixels = (photo * 255).round().to(torch.uint8)
        return overlay(map_, pixels, cmap=cmap, outlined=False).float() / 255

    return drawn


def bilinear(map_: AttentionMap, photo: Picture, *, mode: str = "bilinear") -> Float[Tensor, "h w"]:
    """The map at the photo's size."""
    return interpolate(map_.values[None, None].float(), photo.shape[:2], mode=mode, align_corners=False)[0, 0]


def before(map_: AttentionMap, photo: Picture) -> Picture:
    """Our drawing until November 2026: a table that is black at zero, 60 % over the photo, on the map's own peak."""
    values = bilinear(map_, photo)
    peak = float(values.abs().max()) or 1.0
    share, table = ((values / peak + 1) / 2, SIGNED) if map_.signed else ((values / peak).clamp(0, 1), UNSIGNED)
    return 0.4 * photo + 0.6 * table[(share * 255 + 0.5).long()].float() / 255


def torchcam(map_: AttentionMap, photo: Picture) -> Picture:
    """`torchcam.utils.overlay_mask` with its default opacity."""
    values = _unit(bilinear(map_, photo, mode="bicubic").clamp(min=0))
    return 0.7 * photo + 0.3 * _jet()[(values.square() * 255).long()]


def gradcam(map_: AttentionMap, photo: Picture) -> Picture:
    """`pytorch_grad_cam.utils.image.show_cam_on_image` with its default weight."""
    mixed = 0.5 * photo + 0.5 * _jet()[(_unit(bilinear(map_, photo).clamp(min=0)) * 255).long()]
    return mixed / mixed.max().clamp(min=1e-6)


def _unit(values: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Values from 0 to 1, as both peers bring them; zeros stay zeros."""
    return (values - values.min()) / (values.max() - values.min()).clamp(min=1e-12)


@cache
def _jet() -> Float[Tensor, "256 3"]:
    return torch.tensor(matplotlib.colormaps["jet"](range(256))[:, :3]).float()


STYLES: dict[str, Style] = {
    **{name: ours(name) for name in CMAPS},
    "before": before,
    "torch-cam's": torchcam,
    "grad-cam's": gradcam,
}
