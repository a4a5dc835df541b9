"""Background families, drawn small and soft as behind a long lens, then enlarged.

Each family is one function from a generator to a picture of 96 pixels; a registry holds them all.
Knows nothing of birds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from sightline.worlds.aviary.canvas import Floats
from sightline.worlds.aviary.scene import Backdrop

BASE = 96
Rgb = tuple[int, int, int]
Painter = Callable[[Generator], Image.Image]


def background(backdrop: Backdrop, side: int) -> Floats:
    """The backdrop as [side, side, 3] in 0-1."""
    rng = np.random.default_rng([backdrop.seed, 29])
    image = FAMILIES[backdrop.family](rng)
    image = image.resize((side, side), Image.Resampling.BICUBIC)
    grain = _grain(rng, side)
    return np.asarray(np.clip(np.asarray(image, np.float32) / 255 + grain, 0, 1), np.float32)


def _grain(rng: Generator, side: int) -> Floats:
    """Soft mottling at two sizes, [side, side, 1]."""
    coarse = Image.fromarray(rng.standard_normal((7, 7)).astype(np.float32))
    fine = Image.fromarray(rng.standard_normal((28, 28)).astype(np.float32))
    size, bicubic = (side, side), Image.Resampling.BICUBIC
    both = 0.030 * np.asarray(coarse.resize(size, bicubic)) + 0.012 * np.asarray(fine.resize(size, bicubic))
    return np.asarray(both[..., None], np.float32)


def _gradient(stops: tuple[Rgb, ...], rng: Generator, spread: float = 9.0) -> Image.Image:
    """A vertical gradient through the stops, each jittered."""
    knots = np.array(stops, np.float32) + rng.normal(0, spread, 3) + rng.normal(0, spread / 2, (len(stops), 3))
    rows = np.linspace(0, len(stops) - 1, BASE)
    column = np.stack([np.interp(rows, range(len(stops)), knots[:, c]) for c in range(3)], axis=1)
    tile = np.broadcast_to(np.clip(column, 0, 255).astype(np.uint8)[:, None], (BASE, BASE, 3))
    return Image.fromarray(np.ascontiguousarray(tile))


def _vary(rgb: Rgb, rng: Generator, spread: float = 14.0) -> Rgb:
    """A neighbour of a colour: mostly lighter or darker."""
    moved = np.array(rgb) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    r, g, b = np.clip(moved, 0, 255).astype(int)
    return int(r), int(g), int(b)


def _blobs(
    image: Image.Image,
    rng: Generator,
    colours: tuple[Rgb, ...],
    *,
    count: int,
    size: float,
    rows: tuple[float, float],
) -> None:
    """Soft round spots (leaves, flowers, lights) between two heights."""
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        x, y = rng.uniform(0, BASE), rng.uniform(*rows) * BASE
        radius = size * rng.uniform(0.5, 1.5)
        fill = _vary(colours[int(rng.integers(len(colours)))], rng)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _ridge(image: Image.Image, rng: Generator, rgb: Rgb, *, height: float, swing: float) -> None:
    """A rolling silhouette that fills everything below it."""
    x = np.linspace(0, BASE, 17)
    waves = np.sin(x / BASE * rng.uniform(3, 9) + rng.uniform(0, 6)) + 0.4 * rng.standard_normal(17)
    line = [(float(a), float(b)) for a, b in zip(x, (height + swing * waves) * BASE, strict=True)]
    ImageDraw.Draw(image).polygon([*line, (BASE, BASE + 9), (0, BASE + 9)], fill=_vary(rgb, rng, 9))


def _strokes(
    image: Image.Image,
    rng: Generator,
    colours: tuple[Rgb, ...],
    *,
    count: int,
    rows: tuple[float, float],
    reach: tuple[float, float],
    width: int,
) -> None:
    """Blades, trunks or ripples: short lines from a random foot, that reach so far sideways and upwards."""
    draw = ImageDraw.Draw(image)
    lean, rise = reach
    for _ in range(count):
        x, y = rng.uniform(-8, BASE + 8), rng.uniform(*rows) * BASE
        dx, dy = lean * rng.normal(0, 1), -rise * rng.uniform(0.5, 1.2)
        fill = _vary(colours[int(rng.integers(len(colours)))], rng)
        draw.line((x, y, x + dx, y + dy), fill=fill, width=width)


def _soft(image: Image.Image, radius: float) -> Image.Image:
    """Out of focus."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def _sky(rng: Generator) -> Image.Image:
    image = _gradient(((92, 156, 226), (148, 196, 240), (214, 232, 248)), rng)
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(0, BASE), rng.uniform(0.1, 0.9) * BASE
        draw = ImageDraw.Draw(image)
        for dx, dy, r in rng.normal(0, 1, (6, 3)):
            w = 7 + 3 * abs(r)
            draw.ellipse(
                (x + 9 * dx - w, y + 2.5 * dy - 0.6 * w, x + 9 * dx + w, y + 2.5 * dy + 0.6 * w),
                fill=(243, 247, 252),
            )
    return _soft(image, 3.2)


def _forest(rng: Generator) -> Image.Image:
    image = _gradient(((96, 132, 84), (48, 86, 52), (30, 56, 36)), rng)
    _strokes(
        image,
        rng,
        ((52, 44, 36), (74, 60, 46)),
        count=int(rng.integers(3, 7)),
        rows=(0.9, 1.1),
        reach=(4, 130),
        width=int(rng.integers(3, 8)),
    )
    _blobs(image, rng, ((72, 124, 62), (44, 92, 50), (122, 160, 84)), count=26, size=6, rows=(-0.05, 0.75))
    return _soft(image, 2.2)


def _water(rng: Generator) -> Image.Image:
    image = _gradient(((150, 192, 210), (64, 132, 164), (28, 88, 122)), rng)
    _strokes(
        image,
        rng,
        ((190, 222, 232), (36, 104, 140), (110, 170, 194)),
        count=46,
        rows=(0.2, 1.0),
        reach=(9, 0.6),
        width=1,
    )
    _ridge_top(image, rng)
    return _soft(image, 1.1)


def _ridge_top(image: Image.Image, rng: Generator) -> None:
    """A far shore above the water."""
    level = rng.uniform(0.06, 0.2) * BASE
    ImageDraw.Draw(image).rectangle((0, 0, BASE, level), fill=_vary((196, 216, 224), rng))
    ImageDraw.Draw(image).rectangle((0, level - 5, BASE, level), fill=_vary((92, 118, 104), rng))


def _meadow(rng: Generator) -> Image.Image:
    image = _gradient(((196, 220, 226), (158, 192, 110), (106, 156, 66), (78, 126, 50)), rng)
    _strokes(
        image,
        rng,
        ((120, 172, 72), (92, 144, 56), (164, 196, 96)),
        count=80,
        rows=(0.4, 1.15),
        reach=(3, 14),
        width=1,
    )
    _blobs(image, rng, ((240, 214, 90), (236, 236, 228), (214, 110, 150)), count=18, size=1.8, rows=(0.4, 1.0))
    return _soft(image, 1.2)


def _desert(rng: Generator) -> Image.Image:
    image = _gradient(((178, 208, 226), (232, 222, 196), (226, 190, 136)), rng)
    for height, rgb in ((0.45, (226, 190, 138)), (0.62, (212, 166, 108)), (0.82, (194, 144, 88))):
        _ridge(image, rng, rgb, height=height, swing=0.05)
    return _soft(image, 1.5)


def _city(rng: Generator) -> Image.Image:
    image = _gradient(((176, 188, 204), (206, 204, 206), (150, 150, 158)), rng)
    draw, x = ImageDraw.Draw(image), -4.0
    while x < BASE:
        width, top = rng.uniform(10, 24), rng.uniform(0.1, 0.6) * BASE
        draw.rectangle((x, top, x + width, BASE), fill=_vary((124, 126, 138), rng, 20))
        for wx in np.arange(x + 2, x + width - 3, 4.5):
            for wy in np.arange(top + 3, BASE, 6.5):
                if rng.random() < 0.7:
                    draw.rectangle(
                        (wx, wy, wx + 2, wy + 3),
                        fill=(232, 214, 150) if rng.random() < 0.35 else (84, 94, 114),
                    )
        x += width + rng.uniform(-1, 4)
    return _soft(image, 1.3)


def _snow(rng: Generator) -> Image.Image:
    image = _gradient(((178, 194, 214), (214, 222, 232), (236, 240, 246)), rng)
    _ridge(image, rng, (224, 230, 240), height=0.6, swing=0.05)
    _strokes(
        image,
        rng,
        ((106, 112, 122), (136, 142, 152)),
        count=int(rng.integers(4, 9)),
        rows=(0.6, 0.75),
        reach=(3, 42),
        width=2,
    )
    _blobs(image, rng, ((248, 250, 252), (232, 238, 246)), count=26, size=2.2, rows=(0.0, 1.0))
    return _soft(image, 1.5)


def _sunset(rng: Generator) -> Image.Image:
    image = _gradient(((92, 74, 132), (206, 110, 122), (246, 172, 110), (250, 214, 150)), rng)
    x, y, r = rng.uniform(0.1, 0.9) * BASE, rng.uniform(0.55, 0.8) * BASE, rng.uniform(6, 11)
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=(255, 236, 184))
    _ridge(image, rng, (92, 62, 92), height=0.82, swing=0.03)
    _ridge(image, rng, (58, 42, 70), height=0.92, swing=0.03)
    return _soft(image, 1.9)


FAMILIES: Mapping[str, Painter] = {
    "sky": _sky,
    "forest": _forest,
    "water": _water,
    "meadow": _meadow,
    "desert": _desert,
    "city": _city,
    "snow": _snow,
    "sunset": _sunset,
}
