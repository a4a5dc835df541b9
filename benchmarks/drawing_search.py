"""Which hues, and which ways of painting them, are seen on every photo by every eye: `docs/studies/drawing.md`.

    python benchmarks/drawing_search.py --hues --write       # 24 hues at three brightnesses
    python benchmarks/drawing_search.py --tries --write      # other ways of painting
    python benchmarks/drawing_search.py --tries --toy        # seconds, for CI

Photos, maps, limits and figures are those of `drawing.py`, at three layers; they are taken from 300 of the pixels
with most evidence and 200 of those with least, so that a hue costs seconds. A cell is the median over photos, of the
layer where it is lowest, and behind the stroke the worst photo of all layers. Structure is measured on whole pictures
of every fourth photo at the first of the layers.

Ways of painting (`WAYS`): `plain` lays one hue over the photo; `kept detail` adds the hue to the photo's fine detail
and takes its local mean away; `local shade` takes a light shade where the photo is dark and a dark one where it is
light; `shade of the photo` takes the same shade all over a photo, whichever is seen better by the worst of four eyes;
`shade by luma` takes it by the photo's median luma, which is what Sightline does.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur

from _measure import conditions, dump, options, table, toy, write
from _seeing import DEFICIENCIES, difference, luma, similarity
from drawing import EACH, PAGE, SIDE, Photo, explained, network, toy_photos
from sightline.reports.cmaps import BLUE, COVERING, DARK, DETAIL, GREEN, LIGHT, LIME, SKY, STEEPNESS, STRONGEST
from sightline.reports.density import unit_of
from sightline.reports.kernel import grown

Colour = tuple[int, int, int]
LAYERS = ("blocks.2.1", "blocks.4.1", "blocks.6.0")
EYES = ("", *DEFICIENCIES)
MOST, LEAST = 300, 200
HUES, BRIGHTNESSES = 24, (1.0, 0.75, 0.5)
LIMITS = (32.0, 20.0, 25.6, 16.0)
"""Seen and seen by the worst photo; the same with a deficiency."""
HEAD = ("way", "evidence", "seen", "seen, worst of three", "untouched", "structure", "photos below a limit")


@dataclass(frozen=True)
class Way:
    """A way of painting.

    Args:
        light: the shade where the photo is dark, or the only one.
        dark: the shade where the photo is light.
        by: `pixel` chooses the shade place by place, `photo` once, `luma` once by the photo's median luma.
        beta: how much of the photo's detail the paint covers: 1 is plain paint, 0 keeps all.
        strongest: largest opacity.
        grey: how much the photo is desaturated first.
        level: luma of a place, or of the photo, above which it counts as light.
    """

    light: Colour
    dark: Colour | None = None
    by: str = "pixel"
    beta: float = 1.0
    strongest: float = COVERING
    grey: float = 0.0
    level: float = 0.4


BLACK_GREEN, BRIGHT = (0, 40, 0), (0, 64, 255)
WAYS: dict[str, dict[str, Way]] = {
    "plain (the default before)": {"for": Way(LIME), "against": Way(BRIGHT)},
    "photo half desaturated": {"for": Way(LIME, grey=0.5), "against": Way(BRIGHT, grey=0.5)},
    "plain, opacity .9": {"for": Way(LIME, strongest=0.9), "against": Way(BRIGHT, strongest=0.9)},
    "kept detail, opacity .9": {
        "for": Way(LIME, beta=0.5, strongest=0.9),
        "against": Way(BRIGHT, beta=0.5, strongest=0.9),
    },
    "local shade": {"for": Way(LIME, GREEN), "against": Way(SKY, BRIGHT)},
    "local shade, kept detail, opacity .9": {
        "for": Way(LIME, GREEN, beta=0.5, strongest=0.9),
        "against": Way(SKY, BLUE, beta=0.5, strongest=0.9),
    },
    "local shade, darker, opacity .9": {
        "for": Way(LIME, BLACK_GREEN, beta=0.7, strongest=0.9),
        "against": Way(SKY, BLUE, beta=0.7, strongest=0.9),
    },
    "shade of the photo": {"for": Way(LIME, GREEN, by="photo"), "against": Way(SKY, BRIGHT, by="photo")},
    "shade of the photo, darker": {
        "for": Way(LIME, BLACK_GREEN, by="photo"),
        "against": Way(SKY, BLUE, by="photo"),
    },
    "shade of the photo, kept detail, opacity .9": {
        "for": Way(LIME, GREEN, by="photo", beta=0.5, strongest=0.9),
        "against": Way(SKY, BLUE, by="photo", beta=0.5, strongest=0.9),
    },
    "shade by luma, kept detail, opacity .9 (the default)": {
        "for": Way(LIME, GREEN, by="luma", beta=1 - DETAIL, strongest=STRONGEST, level=LIGHT),
        "against": Way(SKY, BLUE, by="luma", beta=1 - DETAIL, strongest=STRONGEST, level=DARK),
    },
}


@dataclass(frozen=True, eq=False)
class Sample:
    """Pixels of one photo and map: those with most evidence first, then those with least."""

    pixels: Float[Tensor, "n 3"]
    ground: Float[Tensor, "n 3"]
    density: Float[Tensor, " n"]
    photo: Float[Tensor, "h w 3"]
    whole: Float[Tensor, "h w"]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--hues", action="store_true", help="single hues; else ways of painting")
    parser.add_argument("--tries", action="store_true", help="ways of painting (the default)")
    parser.add_argument("--count", type=int, default=4 * EACH + 16, help="that many photos at most")
    asked = parser.parse_args()
    model = toy().eval() if asked.toy else network()
    photos = list(toy_photos(model) if asked.toy else explained(model, asked.count))
    layers = LAYERS if LAYERS[0] in photos[0].maps["lrp"] else tuple(photos[0].maps["lrp"])[:1]
    samples = {layer: [sample(photo, layer, seed) for seed, photo in enumerate(photos)] for layer in layers}
    ways = hues(2 if asked.toy else HUES) if asked.hues else WAYS
    rows = [(name, side, *judged(way, samples)) for name, sides in ways.items() for side, way in sides.items()]
    if asked.hues:
        rows = [(name, *cells) for name, _, *cells in rows]
    head = ("hue, brightness", *HEAD[2:]) if asked.hues else HEAD
    text = f"{table(head, rows)}\n\n{len(photos)} photos; {conditions('cpu')}"
    print(text)
    dump(asked.json, {"about": conditions("cpu"), "rows": rows})
    if asked.write and not asked.toy:
        write("hues" if asked.hues else "tries", text, PAGE)


def hues(count: int) -> dict[str, dict[str, Way]]:
    """Single hues around the circle, at three brightnesses."""
    ways = {}
    for number in range(count):
        for brightness in BRIGHTNESSES:
            red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(number / count, 1.0, brightness))
            ways[f"{number * 360 // count}, {brightness:g}"] = {"": Way((red, green, blue))}
    return ways


def sample(photo: Photo, layer: str, seed: int) -> Sample:
    """Pixels of a photo with the density of the evidence for the decision there."""
    map_ = photo.maps["lrp"][layer]
    density = unit_of(map_).densities(grown(map_, (SIDE, SIDE))).clamp(min=0.0)
    order, generator = density.flatten().argsort(), torch.Generator().manual_seed(seed)
    draw = lambda part, count: part[torch.randperm(len(part), generator=generator)[:count]]  # noqa: E731
    places = torch.cat([draw(order[-len(order) // 10 :], MOST), draw(order[: len(order) // 2], LEAST)])
    flat = (photo.pixels.reshape(-1, 3), local_mean(photo.pixels).reshape(-1, 3), density.flatten())
    return Sample(*(values[places] for values in flat), photo.pixels, density)


def local_mean(photo: Float[Tensor, "h w 3"], cells: int = 28) -> Float[Tensor, "h w 3"]:
    """The photo without detail finer than a twenty-eighth of its side."""
    coarse = interpolate(photo.permute(2, 0, 1)[None], (cells, cells), mode="area")
    smooth = gaussian_blur(coarse, [5, 5], [1.0, 1.0])
    return interpolate(smooth, photo.shape[:2], mode="bilinear", align_corners=False)[0].permute(1, 2, 0)


def painted(way: Way, pixels: Tensor, ground: Tensor, density: Tensor) -> Tensor:
    """Pixels with the paint on them; `ground` is the photo's local mean there."""
    power = density**STEEPNESS
    alpha = (way.strongest * power / (power + 1.25**STEEPNESS))[..., None]
    if way.grey:
        pixels = pixels + way.grey * (luma(pixels)[..., None] - pixels)
    colour = torch.tensor(way.light) / 255
    if way.dark is not None:
        share = torch.sigmoid((luma(ground)[..., None] - way.level) / 0.04)
        colour = colour * (1 - share) + torch.tensor(way.dark) / 255 * share
    return (pixels * (1 - alpha * way.beta) + alpha * (colour - (1 - way.beta) * ground)).clamp(0.0, 1.0)


def judged(way: Way, samples: dict[str, list[Sample]]) -> list[str]:
    """The cells of a way: seen, seen with a deficiency, untouched, structure, and how many photos miss a limit."""
    layers, chosen = [], {}
    for rows in samples.values():
        figures = []
        for number, one in enumerate(rows):
            own = chosen.setdefault(number, shade(way, one)) if way.by != "pixel" else way
            drawn = painted(own, one.pixels, one.ground, one.density)
            base = painted(own, one.pixels, one.ground, torch.zeros_like(one.density))
            eyes = [float(difference(drawn[:MOST], base[:MOST], deficiency=eye).median()) for eye in EYES]
            figures.append([eyes[0], min(eyes[1:]), float(difference(drawn[MOST:], one.pixels[MOST:]).median())])
        layers.append(torch.tensor(figures))
    stack = torch.stack(layers)
    medians, worst = stack.median(1).values, stack.amin((0, 1))
    below = ((stack[..., 0].amin(0) < LIMITS[1]) | (stack[..., 1].amin(0) < LIMITS[3])).sum()
    seen = [f"{float(medians[:, place].min()):.1f} / {float(worst[place]):.1f}" for place in (0, 1)]
    first = next(iter(samples.values()))[::4]
    alike = torch.tensor([structure(chosen.get(4 * number, way), one) for number, one in enumerate(first)])
    return [*seen, f"{float(medians[:, 2].max()):.1f}", f"{float(alike.median()):.2f}", str(int(below))]


def shade(way: Way, one: Sample) -> Way:
    """The way with one shade: by the photo's median luma, or the one that the worst of four eyes sees better."""
    if way.by == "luma":
        dark = float(luma(one.photo).median()) > way.level
        return replace(way, light=(way.dark or way.light) if dark else way.light, dark=None)
    alone = [replace(way, light=colour, dark=None) for colour in (way.light, way.dark or way.light)]
    return max(alone, key=lambda single: weakest(single, one.photo.reshape(-1, 3)[::97]))


def weakest(way: Way, pixels: Float[Tensor, "n 3"]) -> float:
    """How well full paint is seen by the worst of four eyes, on the fifth of the pixels where it is seen least."""
    drawn = painted(way, pixels, pixels, torch.full((len(pixels),), 8.0))
    return min(float(difference(drawn, pixels, deficiency=eye).quantile(0.2)) for eye in EYES)


def structure(way: Way, one: Sample) -> float:
    """SSIM of the luminance under the tenth with most evidence."""
    drawn = painted(way, one.photo, local_mean(one.photo), one.whole)
    most = one.whole >= one.whole.flatten().sort().values[one.whole.numel() * 9 // 10]
    return float(similarity(luma(drawn), luma(one.photo))[most].mean())


if __name__ == "__main__":
    main()
