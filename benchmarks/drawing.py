"""How well a drawing shows where evidence lies, and how little it changes elsewhere: `docs/studies/drawing.md`.

    python benchmarks/drawing.py --list                    # the forty photos, and the rule that chose each
    python benchmarks/drawing.py --write                   # the default colour map at every depth
    python benchmarks/drawing.py --styles --write          # every colour map, and the drawings of before and of peers
    python benchmarks/drawing.py --toy                     # seconds, for CI

The photos are those of the test pack (`$SIGHTLINE_PACK`), the network is EfficientNet-Lite0 (`sightline[imagenet]`).
Of each photo: the colour difference (CIEDE2000) between the drawn picture and the same picture drawn with an all-zero
map, the median over the tenth of pixels with most evidence ("seen"); the same with the worst of three colour
deficiencies ("seen, worst of three"); how much the given photo is changed, the median over the half of the pixels
with least evidence ("untouched"); Spearman's correlation of that colour difference with |evidence| over all pixels
("order"); and the structural similarity of the luminance under the tenth ("structure"). A cell is the median over
photos, and behind the stroke the worst photo. Evidence is the map as it is drawn: grown by the display kernel.
The maps: `lrp`; `lrp` with the runner-up for contrast, which has evidence against; and `lrp` with its sign turned,
which is all of it against. The outline does not count.
"""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import functional as pictures

import sightline
from _drawings import STYLES, Picture, Style
from _measure import STUDIES, conditions, dump, options, table, toy, write
from _seeing import DEFICIENCIES, difference, luma, similarity
from sightline.metrics import spearman
from sightline.reports.cmaps import DEFAULT
from sightline.reports.density import unit_of
from sightline.reports.kernel import grown
from sightline.results import AttentionMap

PAGE = STUDIES / "drawing.md"
SIDE = 224
EACH, POOL = 6, 40
"""Photos of each kind, drawn from that many that have most of its trait."""
MAPS = ("lrp", "contrast", "turned")
FEW = ("blocks.0.0", "blocks.2.1", "blocks.4.1", "blocks.6.0")
"""Depths at which the styles are compared."""
COLUMNS = ("seen", *DEFICIENCIES, "untouched", "order", "structure")
HEAD = ("drawing", "maps", "layer", "seen", "seen, worst of three", "untouched", "order", "structure")


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo, why it was chosen, and its maps: for each kind, layer by layer."""

    name: str
    reason: str
    pixels: Picture
    maps: dict[str, dict[str, AttentionMap]]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--list", action="store_true", help="list the photos and end")
    parser.add_argument("--styles", action="store_true", help="every style at a few depths")
    parser.add_argument("--count", type=int, default=4 * EACH + 16, help="that many photos at most")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{reason:8} {path.name}" for reason, path in chosen(pack())))
        return
    model = toy().eval() if arguments.toy else network()
    photos = list(toy_photos(model) if arguments.toy else explained(model, arguments.count))
    names = list(STYLES) if arguments.styles else [DEFAULT, "before"] if arguments.toy else [DEFAULT]
    layers = [layer for layer in photos[0].maps["lrp"] if arguments.toy or not arguments.styles or layer in FEW]
    rows, facts = [], {}
    for name in names:
        for kind in MAPS:
            for layer in layers:
                figures = torch.tensor([judged(STYLES[name], photo, photo.maps[kind][layer]) for photo in photos])
                rows.append((name, kind, f"`{layer}`", *cells(figures)))
                facts[f"{name} {kind} {layer}"] = figures.tolist()
                print(" ".join(map(str, rows[-1])), flush=True)
    text = f"{table(HEAD, rows)}\n\n{len(photos)} photos; {conditions(arguments.device)}"
    print(text)
    dump(arguments.json, {"about": conditions(arguments.device), "columns": COLUMNS, "figures": facts})
    if arguments.write and not arguments.toy:
        write("styles" if arguments.styles else "drawing", text, PAGE)


def judged(style: Style, photo: Photo, map_: AttentionMap) -> tuple[float, ...]:
    """The figures of one picture: seen as it is and with each deficiency, untouched, order, structure."""
    drawn = style(map_, photo.pixels)
    none = style(AttentionMap(torch.zeros_like(map_.values), map_.layer, signed=map_.signed), photo.pixels)
    evidence = unit_of(map_).densities(grown(map_, (SIDE, SIDE))).abs()
    most, least = evidence >= evidence.quantile(0.9), evidence <= evidence.quantile(0.5)
    seen = [
        float(difference(drawn[most][::3], none[most][::3], deficiency=name).median()) for name in ("", *DEFICIENCIES)
    ]
    untouched = float(difference(drawn[least][::5], photo.pixels[least][::5]).median())
    changes = difference(drawn[::3, ::3], none[::3, ::3])
    order = float(spearman(changes.reshape(1, -1), evidence[::3, ::3].reshape(1, -1)))
    structure = float(similarity(luma(drawn), luma(photo.pixels))[most].mean())
    return *seen, untouched, order, structure


def cells(figures: Float[Tensor, "photos 7"]) -> list[str]:
    """The median over photos and the worst photo, for each figure; of the three deficiencies the worst one."""
    medians, least, most = figures.nanmedian(0).values, figures.amin(0), figures.amax(0)
    seen = f"{medians[0]:.1f} / {least[0]:.1f}"
    deficient = f"{medians[1:4].min():.1f} / {least[1:4].min():.1f}"
    shares = [f"{medians[place]:.2f} / {least[place]:.2f}" for place in (5, 6)]
    return [seen, deficient, f"{medians[4]:.1f} / {most[4]:.1f}", *shares]


def chosen(folder: Path) -> list[tuple[str, Path]]:
    """Forty photos by rule: six each of the 40 darkest, brightest, most skin, sand and snow; six of fur; four others.

    The traits are measured on the photo at 64 x 64 (`traits`); fur is ImageNet's classes 151 to 298, dogs to cats and
    bears and the mongooses beside them. Which six of each pool is drawn with seed 0; no photo is taken twice.
    """
    rows = list(csv.DictReader((folder / "imagenet_photos" / "labels.csv").open()))
    paths = [folder / "imagenet_photos" / row["file"] for row in rows]
    measured = [traits(cropped(path, 64)) for path in paths]
    generator, taken = random.Random(0), {}
    pools = {name: sorted(range(len(paths)), key=lambda i: -measured[i][name])[:POOL] for name in measured[0]}
    pools["fur"] = [i for i, row in enumerate(rows) if 151 <= int(row["class_index"]) <= 298]
    pools["other"] = list(range(len(paths)))
    for reason, pool in pools.items():
        free = [i for i in generator.sample(pool, len(pool)) if i not in taken]
        taken.update(dict.fromkeys(free[: EACH if reason != "other" else 4], reason))
    return [(reason, paths[i]) for i, reason in taken.items()]


def traits(picture: Image.Image) -> dict[str, float]:
    """Mean luma, and shares of pixels with the colour of skin (a usual rule in YCbCr), of sand, and of snow."""
    luminance, blue, red = (band.flatten() for band in pictures.pil_to_tensor(picture.convert("YCbCr")).float())
    hue, saturation, value = (band.flatten() for band in pictures.pil_to_tensor(picture.convert("HSV")).float())
    skin = (blue > 77) & (blue < 127) & (red > 133) & (red < 173) & (luminance > 80)
    sand = (hue > 18) & (hue < 35) & (saturation > 40) & (saturation < 130) & (value > 130)
    snow = (saturation < 35) & (value > 200)
    mean = float(luminance.mean())
    shares = {name: float(part.float().mean()) for name, part in {"skin": skin, "sand": sand, "snow": snow}.items()}
    return {"dark": -mean, "bright": mean, **shares}


def explained(model: nn.Module, count: int) -> Iterator[Photo]:
    """The chosen photos with their maps."""
    for reason, path in chosen(pack())[:count]:
        yield photo_of(model, path.name, reason, pictures.to_tensor(cropped(path, SIDE)))


def photo_of(model: nn.Module, name: str, reason: str, pixels: Float[Tensor, "3 h w"]) -> Photo:
    """A photo with its maps, for the class that the network decides for."""
    inputs = (pixels[None] - 0.5) / 0.5
    plain = sightline.explain(model, inputs, method="lrp")[0].flow.maps
    contrast = sightline.explain(model, inputs, method="lrp", contrast="runner-up")[0].flow.maps
    turned = [AttentionMap(-map_.values, map_.layer, signed=True) for map_ in plain]
    kinds = dict(zip(MAPS, (plain, contrast, turned), strict=True))
    maps = {kind: {map_.layer: map_ for map_ in flow} for kind, flow in kinds.items()}
    return Photo(name, reason, pixels.permute(1, 2, 0), maps)


def toy_photos(model: nn.Module) -> Iterator[Photo]:
    """Two pictures of noise, for CI."""
    for seed in range(2):
        noise = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        pixels = nn.functional.interpolate(noise, (SIDE, SIDE), mode="bilinear")[0]
        yield photo_of(model, f"noise {seed}", "toy", pixels)


def cropped(path: Path, side: int) -> Image.Image:
    """The middle of a photo, as the network sees it."""
    photo = Image.open(path).convert("RGB")
    whole = pictures.resize(photo, round(side * 256 / 224), pictures.InterpolationMode.BICUBIC)
    return pictures.center_crop(whole, [side, side])


def network() -> nn.Module:
    """EfficientNet-Lite0 with the weights of its package."""
    import timm

    from sightline.models.zoo.packaged import packaged_weights

    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(packaged_weights("imagenet", model).tensors, strict=False)
    return model.eval()


def pack() -> Path:
    """The folder of the test pack."""
    here = Path(os.environ.get("SIGHTLINE_PACK", Path(__file__).resolve().parents[2] / "shared" / "pack"))
    if not here.is_dir():
        raise SystemExit("the test pack is not here; name its folder in SIGHTLINE_PACK, or ask for --toy")
    return here


if __name__ == "__main__":
    main()
