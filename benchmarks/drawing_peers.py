"""The same maps drawn by us, by torch-cam and by grad-cam, side by side and in figures: `docs/studies/drawing.md`.

    python benchmarks/drawing_peers.py --picture docs/assets/drawing-peers.jpg    # the photos of the tutorials
    python benchmarks/drawing_peers.py --count 12 --write                         # figures on photos of the test pack
    python benchmarks/drawing_peers.py --count 12 --picture pack.png              # the same photos, to look at
    python benchmarks/drawing_peers.py --toy                                      # seconds, for CI

Here the packages draw themselves (`torchcam.utils.overlay_mask`, `pytorch_grad_cam.utils.image.show_cam_on_image`),
as their own manuals show it: the map brought to 0..1, their own colours and opacity. Both must be installed
(`python -m benchmarks.peers --make ENV`); `--toy` takes our copies of them for those that are not. The maps: `lrp` at
a middle and at the last block, and `gradcam` at the last, which is what both packages are made for. The figures are
those of `drawing.py`; a cell is the median over photos, and behind the stroke the worst photo.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import functional as pictures

import sightline
from _drawings import STYLES, Picture, Style, ours
from _measure import conditions, dump, have, options, table, toy, write
from drawing import PAGE, SIDE, Photo, cells, chosen, cropped, judged, network, pack, toy_photos
from sightline.reports.drawing import overlay
from sightline.reports.photo import picture_of
from sightline.results import AttentionMap

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials" / "photos"
PEERS = {"torch-cam": "torchcam", "grad-cam": "grad-cam"}
MAPS = (("lrp", "blocks.4.1"), ("lrp", "blocks.6.0"), ("gradcam", "blocks.6.0"))
SHOWN = (MAPS[0], MAPS[2])
"""Maps of the picture."""
GAP = 6
HEAD = ("drawing", "maps", "layer", "seen", "seen, worst of three", "untouched", "order", "structure")


def main() -> None:
    parser = arguments()
    asked = parser.parse_args()
    styles = drawings(refuse=not asked.toy)
    model = toy().eval() if asked.toy else network()
    photos = list(toy_maps(model) if asked.toy else of_pack(model, asked.count) if asked.count else tutorials(model))
    if asked.picture:
        drawn = sheet(photos, styles, pairs(photos) if asked.toy else SHOWN)
        drawn.save(asked.picture, quality=70, optimize=True)
        print(f"written: {asked.picture}; columns: photo, then {', '.join(styles)} for each map")
    rows, facts = [], {}
    for kind, layer in pairs(photos):
        for name, style in styles.items():
            figures = torch.tensor([judged(style, photo, photo.maps[kind][layer]) for photo in photos])
            rows.append((name, kind, f"`{layer}`", *cells(figures)))
            facts[f"{name} {kind} {layer}"] = figures.tolist()
    text = f"{table(HEAD, rows)}\n\n{len(photos)} photos; {conditions('cpu', 'torchcam', 'grad-cam')}"
    print(text)
    dump(asked.json, {"figures": facts})
    if asked.write and not asked.toy:
        write("peers-drawn", text, PAGE)


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = options(__doc__)
    parser.add_argument("--count", type=int, default=0, help="so many photos of the test pack; 0: the tutorials' own")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw them side by side into this file")
    return parser


def drawings(*, refuse: bool) -> dict[str, Style]:
    """The three ways of drawing, by the packages themselves.

    Args:
        refuse: whether a package that is missing ends the script; else our copy of its code takes its place.
    """
    missing = [name for name, package in PEERS.items() if have(package) is None]
    if missing and refuse:
        raise SystemExit(
            f"{' and '.join(missing)} must be installed to draw; make an environment that has them with "
            "`python -m benchmarks.peers --make ENV`, or ask for --toy"
        )
    copies = {"torch-cam": STYLES["torch-cam's"], "grad-cam": STYLES["grad-cam's"]}
    own = {"torch-cam": by_torchcam, "grad-cam": by_gradcam}
    return {"sightline": ours("glow"), **{name: (copies if name in missing else own)[name] for name in PEERS}}


def unit(map_: AttentionMap) -> torch.Tensor:
    """A map from 0 to 1, evidence against left out, as both packages make theirs."""
    values = map_.values.float().clamp(min=0)
    return (values - values.min()) / (values.max() - values.min()).clamp(min=1e-12)


def by_torchcam(map_: AttentionMap, photo: Picture) -> Picture:
    """torch-cam's picture."""
    from torchcam.utils import overlay_mask

    below = pictures.to_pil_image(photo.permute(2, 0, 1))
    drawn = overlay_mask(below, pictures.to_pil_image(unit(map_)[None], mode="F"))
    return torch.from_numpy(np.asarray(drawn).copy()).float() / 255


def by_gradcam(map_: AttentionMap, photo: Picture) -> Picture:
    """grad-cam's picture."""
    from pytorch_grad_cam.utils.image import scale_cam_image, show_cam_on_image

    values = scale_cam_image(unit(map_).numpy()[None], (photo.shape[1], photo.shape[0]))[0]
    drawn = show_cam_on_image(photo.numpy(), values, use_rgb=True)
    return torch.from_numpy(drawn.copy()).float() / 255


def of_pack(model: nn.Module, count: int) -> Iterator[Photo]:
    """Photos of the test pack, spread evenly over the forty of `drawing.py`."""
    rows = chosen(pack())
    for place in range(count):
        reason, path = rows[place * len(rows) // count]
        yield photo_of(model, path, reason)


def tutorials(model: nn.Module) -> Iterator[Photo]:
    """The photos that are in the repository."""
    for path in sorted(TUTORIALS.glob("*.jpg")):
        yield photo_of(model, path, "tutorial")


def photo_of(model: nn.Module, path: Path, reason: str) -> Photo:
    """A photo with its maps, for the class that the network decides for."""
    pixels = pictures.to_tensor(cropped(path, SIDE))
    flows = sightline.explain(model, (pixels[None] - 0.5) / 0.5, method=("lrp", "gradcam"))
    maps = {item.flow.method: {map_.layer: map_ for map_ in item.flow.maps} for item in flows}
    return Photo(path.name, reason, pixels.permute(1, 2, 0), maps)


def toy_maps(model: nn.Module) -> Iterator[Photo]:
    """Pictures of noise with maps of their own, for CI."""
    for photo in toy_photos(model):
        yield Photo(photo.name, photo.reason, photo.pixels, {"lrp": photo.maps["lrp"], "gradcam": photo.maps["lrp"]})


def pairs(photos: list[Photo]) -> tuple[tuple[str, str], ...]:
    """Method and layer of each map that is judged."""
    layers = list(photos[0].maps["lrp"])
    return MAPS if MAPS[0][1] in layers else tuple((kind, layers[-1]) for kind in ("lrp", "gradcam"))


def sheet(photos: list[Photo], styles: dict[str, Style], maps: tuple[tuple[str, str], ...]) -> Image.Image:
    """A row for each photo: as it is, and for each map all drawings, ours with its outline."""
    width = SIDE + len(maps) * (GAP + len(styles) * SIDE)
    page = Image.new("RGB", (width, len(photos) * (SIDE + GAP) - GAP), "white")
    for row, photo in enumerate(photos):
        place, pixels = 0, (photo.pixels * 255).round().to(torch.uint8)
        cells_ = [(0, pixels)]
        for number, (kind, layer) in enumerate(maps):
            map_ = photo.maps[kind][layer]
            place = SIDE + GAP + number * (GAP + len(styles) * SIDE)
            for name, style in styles.items():
                drawn = (style(map_, photo.pixels) * 255).round().to(torch.uint8)
                cells_.append((place, overlay(map_, pixels) if name == "sightline" else drawn))
                place += SIDE
        for left, drawn in cells_:
            page.paste(picture_of(drawn), (left, row * (SIDE + GAP)))
    return page.resize((width * 2 // 3, page.height * 2 // 3), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
