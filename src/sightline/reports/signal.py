"""The panel of signals: the signal as a line plot, and its map as bands of colour over it.

It draws with Pillow: a light line on a dark ground, so that the line stays readable under every colour of the map.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from sightline.reports.frame import font
from sightline.reports.panels import PANELS
from sightline.reports.photo import tensor_of
from sightline.reports.spread import spread
from sightline.results import IMAGE, AttentionMap, Explanation

WIDTH, ROW, AXIS = 1280, 74, 20
"""Pixels of the plot: across, for a channel, and for the time axis."""
TALLEST = 400
MOST = 12
"""Channels that are drawn, an even spread of more."""
FINER = 2
"""The line is drawn that much larger and then brought down, which smooths it."""
GROUND, LINE, RULE, WORDS = (22, 24, 30), (245, 246, 248), (58, 62, 74), (150, 156, 170)


@PANELS.register("signal")
def line_plot(item: Explanation) -> Explanation:
    """The explanation over a picture of its signal: maps of one row, as long as they are."""
    maps = tuple(replace(map_, values=map_.values[None], domain=IMAGE) for map_ in item.flow.maps)
    image = item.image
    pixels = plot(image, rate=item.rate) if image is not None else None
    drawn = None if pixels is None else rearrange(pixels.float() / 255, "h w c -> c h w")
    return replace(item, flow=replace(item.flow, maps=maps), image=drawn)


def plot(signal: Float[Tensor, "c t"], *, rate: float | None = None) -> UInt8[Tensor, "h w 3"]:
    """A line for each channel, on a scale of its own, over an axis of time.

    Args:
        signal: in any units; what is not finite is left out.
        rate: samples a second; without it the axis counts samples.
    """
    channels = spread(len(signal), MOST)
    row = min(ROW if len(channels) > 1 else 2 * ROW, (TALLEST - AXIS) // len(channels))
    high = row * len(channels) + AXIS
    canvas = Image.new("RGB", (WIDTH * FINER, high * FINER), GROUND)
    pen = ImageDraw.Draw(canvas)
    values = signal.detach().cpu().float()
    for place, channel in enumerate(channels):
        top = place * row * FINER
        if place:
            pen.line([(0, top), (WIDTH * FINER, top)], fill=RULE, width=FINER)
        _draw_line(pen, values[channel], top=top + 5 * FINER, high=(row - 10) * FINER)
    small = canvas.resize((WIDTH, high), Image.Resampling.LANCZOS)
    _draw_words(small, length=signal.shape[1], rate=rate, names=channels if len(signal) > 1 else ())
    return tensor_of(small)


def _draw_line(pen: ImageDraw.ImageDraw, values: Float[Tensor, " t"], *, top: int, high: int) -> None:
    """The line of one channel; where several samples share a pixel, from the lowest to the highest of them."""
    finite = values[torch.isfinite(values)]
    if not finite.numel():
        return
    low, reach = float(finite.min()), float(finite.max() - finite.min()) or 1.0
    columns = WIDTH * FINER
    points: list[tuple[float, float]] = []
    for x, value in zip(*_points(values, columns), strict=True):
        if math.isfinite(value):
            points.append((x, top + high * (1 - (value - low) / reach)))
            continue
        _stroke(pen, points)
        points = []
    _stroke(pen, points)


def _points(values: Float[Tensor, " t"], columns: int) -> tuple[list[float], list[float]]:
    """Places across, at the middle of each sample's span, and values; of crowded samples the two extremes."""
    count = len(values)
    if count <= columns:
        return ((torch.arange(count) + 0.5) * columns / count).tolist(), values.tolist()
    edges = [round(column * count / columns) for column in range(columns + 1)]
    parts = [values[start:end] for start, end in pairwise(edges)]
    pairs = [(float(part.min()), float(part.max())) for part in parts]
    return [column + 0.5 for column in range(columns) for _ in range(2)], [value for pair in pairs for value in pair]


def _stroke(pen: ImageDraw.ImageDraw, points: list[tuple[float, float]]) -> None:
    if len(points) == 1:
        pen.point(points, fill=LINE)
    elif points:
        pen.line(points, fill=LINE, width=round(1.6 * FINER), joint="curve")


def _draw_words(picture: Image.Image, *, length: int, rate: float | None, names: tuple[int, ...]) -> None:
    """Ticks along the time axis, and the channels' numbers."""
    pen, small = ImageDraw.Draw(picture), font(11, bold=False)
    level = picture.height - AXIS
    whole = length / rate if rate else float(length)
    for mark in ticks(whole):
        x = mark / whole * WIDTH
        pen.line([(x, level), (x, level + 4)], fill=WORDS)
        words = f"{mark:g}{' s' if rate else ''}"
        pen.text((min(x + 3, WIDTH - small.getlength(words) - 2), level + 4), words, font=small, fill=WORDS)
    for place, channel in enumerate(names):
        pen.text((4, 2 + place * level // len(names)), str(channel), font=small, fill=WORDS)


def ticks(whole: float, *, most: int = 9) -> tuple[float, ...]:
    """Round numbers from 0 that divide a length, at most `most` of them.

    Example:
        >>> ticks(10.0)
        (0.0, 2.0, 4.0, 6.0, 8.0)
    """
    step = 10.0 ** math.floor(math.log10(whole / most))
    step *= next(factor for factor in (1, 2, 5, 10) if whole / (step * factor) < most)
    return tuple(number * step for number in range(math.ceil(whole / step)))


def one_row(maps: tuple[AttentionMap, ...]) -> bool:
    """Whether every map lies over a line, so that it can be drawn as a curve too."""
    return all(map_.shape[0] == 1 and map_.shape[1] > 1 for map_ in maps)
