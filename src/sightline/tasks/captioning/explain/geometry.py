"""What a captioner has learnt of boxes: how much attention one region pays to a box by where it lies and its size.

The softmax ignores what is added to all boxes alike, so that each map is shown less its mean.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from sightline.common.files import whole_file
from sightline.errors import InputError
from sightline.tasks.captioning.data.regions import RegionSet
from sightline.tasks.captioning.explain.caption import Caption
from sightline.tasks.captioning.explain.methods import encoder_entries
from sightline.tasks.captioning.network.captioner import Captioner

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REACH = 3.0
"""How far boxes lie off the region that looks, in its own widths and heights."""
CELLS = 32
"""Places along each side of a map; an even number, since a box exactly beside another has the ratio `FLOOR`."""
SHOWN = 0.95
"""Share of values that the colours tell apart; those beyond have the last colour."""
LARGEST = 4.0
"""Sides of boxes are up to so many times, and down to one part in so many of, the sides of the region that looks."""
ZOOM = 5
"""Pixels of a place on the page."""
COLOURS = "PuOr_r"
"""Purple for less, white for nothing, orange for more; told apart in every kind of colour blindness."""
BESIDE = 1.5
"""How far to the right the boxes of other sizes lie, in widths of the region that looks."""


@dataclass(frozen=True, eq=False)
class LearnedGeometry:
    """What boxes add to the logits of attention, as one region looks at them.

    Args:
        region: number of the region that looks.
        places: for each layer and head, for boxes of its own size by the place of their centre, top row first.
        sizes: for each layer and head, for boxes to its right, from small to large.
    """

    region: int
    places: Float[Tensor, "l h y x"]
    sizes: Float[Tensor, "l h s"]

    @property
    def top(self) -> float:
        """Where colours end, of either sign."""
        values = torch.cat([self.places.flatten(), self.sizes.flatten()]).abs().sort().values
        return max(1e-9, float(values[int(SHOWN * (len(values) - 1))]))


def learned_geometry(net: Captioner, regions: RegionSet, region: int) -> LearnedGeometry:
    """What a region's attention takes from the boxes around it, all else being equal.

    Args:
        net: the captioner.
        regions: of one picture.
        region: number of the region that looks, from 0.

    Raises:
        InputError: the captioner's attention knows no boxes, or there is no such region.
    """
    if not net.spec.attention.geometry:
        raise InputError(
            "this captioner's attention has no geometry bias, so that there is none to draw; the presets g-san and "
            "ng-san have one (sightline train captions --preset ng-san)"
        )
    if not 0 <= region < len(regions):
        raise InputError(f"there is no region {region + 1}; this picture has regions 1 to {len(regions)}")
    line = torch.linspace(-REACH, REACH, CELLS)
    y, x = (axis.flatten() for axis in torch.meshgrid(line, line, indexing="ij"))
    places = torch.stack([x - 0.5, y - 0.5, x + 0.5, y + 0.5], 1)
    half = LARGEST ** torch.linspace(-1, 1, CELLS) / 2
    sizes = torch.stack([BESIDE - half, -half, BESIDE + half, half], 1)
    layers: list[Any] = list(net.encoder)
    entries = [x[0, region] for x in encoder_entries(net, regions.batch())]
    maps, lines = (
        torch.stack([layer.attention.bias.response(own, x).T for layer, x in zip(layers, entries, strict=True)])
        for own in (places, sizes)
    )
    maps, lines = (own - own.mean(-1, keepdim=True) for own in (maps, lines))
    return LearnedGeometry(region, rearrange(maps, "l h (y x) -> l h y x", y=CELLS), lines)


def region_most_seen(caption: Caption) -> int:
    """The region with most weight over all words, sinks left out where others are there."""
    rows = torch.tensor(
        [caption.shares(place) for place in range(len(caption.words))] or [[0.0] * len(caption.boxes)]
    )
    totals = rows.sum(0)
    if len(caption.sinks) < len(totals):
        totals[list(caption.sinks)] = -1.0
    return int(totals.argmax())


def geometry_figure(learned: LearnedGeometry) -> Figure:
    """The maps of all layers and heads: above boxes of one size by their place, below boxes at one place by size."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    count, heads = learned.places.shape[:2]
    figure = Figure(figsize=(1.0 + 1.7 * heads, 0.9 + 2.3 * count), layout="constrained")
    axes = figure.subplots(2 * count, heads, squeeze=False, height_ratios=[8, 1] * count)
    looks: dict[str, Any] = {"cmap": COLOURS, "vmin": -learned.top, "vmax": learned.top}
    for layer in range(count):
        for head in range(heads):
            place, size = axes[2 * layer, head], axes[2 * layer + 1, head]
            place.imshow(learned.places[layer, head].numpy(), extent=(-REACH, REACH, REACH, -REACH), **looks)
            for colour, thick in (("white", 2.4), ("#111", 1.0)):  # seen on every colour
                place.add_patch(Rectangle((-0.5, -0.5), 1, 1, fill=False, edgecolor=colour, linewidth=thick))
            size.imshow(learned.sizes[layer, head][None].numpy(), extent=(-1, 1, 0, 1), aspect="auto", **looks)
            place.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8)
            place.set_xticks([-2, 0, 2], ["-2", "0", "2"], fontsize=6)
            place.set_yticks([-2, 0, 2], ["-2", "0", "2"] if not head else [""] * 3, fontsize=6)
            size.set_xticks([-1, 0, 1], [f"1/{LARGEST:g}", "1", f"{LARGEST:g} times"], fontsize=6)
            size.set_yticks([])
    axes[0, 0].set_ylabel("heights down", fontsize=7)
    bar = figure.colorbar(axes[0, 0].images[0], ax=axes, shrink=0.7, extend="both")
    bar.ax.tick_params(labelsize=7)
    bar.set_label("added to the logit, less the mean", fontsize=7)
    figure.suptitle(
        f"Attention of region {learned.region + 1} (outlined) to a box of its size by place; below, by size",
        fontsize=9,
    )
    return figure


def geometry_tiles(learned: LearnedGeometry) -> list[dict[str, str]]:
    """The maps as pictures for a page, with their names: layer by layer, head by head."""
    heads = learned.places.shape[1]
    return [
        {
            "name": f"layer {i // heads + 1}, head {i % heads + 1}",
            "place": _tile(place, learned.top, (CELLS * ZOOM, CELLS * ZOOM), outlined=True),
            "size": _tile(size[None], learned.top, (CELLS * ZOOM, 4 * ZOOM)),
        }
        for i, (place, size) in enumerate(zip(learned.places.flatten(0, 1), learned.sizes.flatten(0, 1), strict=True))
    ]


def _tile(values: Float[Tensor, "y x"], top: float, size: tuple[int, int], *, outlined: bool = False) -> str:
    """A picture in the colours of the figure, as the address of a page's image."""
    from matplotlib import colormaps
    from PIL import Image, ImageDraw

    colours = colormaps[COLOURS]((values / (2 * top) + 0.5).clamp(0, 1).numpy(), bytes=True)[..., :3]
    picture = Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)
    if outlined:
        draw, edge = ImageDraw.Draw(picture), size[0] / (2 * REACH)
        low, high = (size[0] - edge) / 2, (size[0] + edge) / 2
        draw.rectangle((low - 1, low - 1, high + 1, high + 1), outline="white")
        draw.rectangle((low, low, high, high), outline="#111111")
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def save_geometry(learned: LearnedGeometry, path: Path) -> Path:
    """Write the figure in the format of the file's ending: PNG, SVG or PDF.

    Raises:
        InputError: the ending is another one.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in ("png", "svg", "pdf"):
        raise InputError(f"{path.name!r} is not the name of a picture of geometry; end it in .png, .svg or .pdf")
    import matplotlib as mpl

    looks = {"svg.fonttype": "none", "svg.hashsalt": "sightline geometry"}  # the same bytes every time
    with mpl.rc_context(looks), whole_file(path) as temporary:
        geometry_figure(learned).savefig(temporary, format=form, dpi=130)
    return path
