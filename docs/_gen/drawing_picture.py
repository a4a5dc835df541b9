"""Make the picture of `docs/howto/drawing.md`: `python docs/_gen/drawing_picture.py`.

A dog rather than the cat beside it, and a parrot, at three depths, in three colour maps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, photo, save_small

import sightline
from sightline.reports import overlay
from sightline.reports.photo import fit, picture_of

CASES = (
    ("both_dog_cat.png", {"target": "bull mastiff", "contrast": "tabby"}),
    ("both_dog_cat.png", {"target": "tabby", "contrast": "bull mastiff"}),
    ("parrot.jpg", {"target": "macaw"}),
)
LAYERS, CMAPS, SIDE = ("blocks.2.1", "blocks.4.1", "blocks.6.0"), ("glow", "cobalt", "inferno"), 300


def main() -> None:
    """A row for each case: the photo, three depths, and the middle one in the other colour maps."""
    model = sightline.open_model("imagenet")
    rows = []
    for name, question in CASES:
        item = sightline.explain(model, photo(name), method="lrp", **question)[0]
        pixels = fit((item.image * 255).round().byte().permute(1, 2, 0).contiguous(), SIDE, enlarge=True)
        cells = [pixels, *(overlay(item.flow[layer], pixels) for layer in LAYERS)]
        cells += [overlay(item.flow[LAYERS[1]], pixels, cmap=cmap) for cmap in CMAPS[1:]]
        rows.append(torch.cat(cells, 1))
    save_small(picture_of(torch.cat(rows, 0)), ASSETS / "howto" / "drawing.jpg")


if __name__ == "__main__":
    main()
