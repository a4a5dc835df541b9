"""Make the picture of `docs/howto/layers.md`, `docs/assets/layouts.jpg`: `python docs/_gen/layouts_picture.py`.

The bundled bird model as an attribute of another module, on a tall picture whose sides are no multiple of its stride.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, save_small

import sightline
from sightline.data.openers import open_input
from sightline.models.load import load_model
from sightline.reports import save_montage

BORDER = 37


class Mine(nn.Module):
    """A network inside a module of one's own."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        out: Tensor = self.backbone(x)
        return out


def main() -> None:
    """Explain the scene with a border above and below, and keep the montage."""
    loaded = load_model(None)
    scene = loaded.preprocess(open_input(Path(str(files("sightline") / "assets" / "scene.png"))))
    tall, view = (
        nn.functional.pad(x[None], (0, 0, BORDER, BORDER), mode="reflect") for x in (scene.inputs, scene.view)
    )
    items = sightline.explain(
        Mine(loaded.model), tall, labels=loaded.labels, images=view, sources=["a tall scene"],
        layers=["backbone.stage1.1", "backbone.stage2.1", "backbone.stage3.2", "backbone.stage4.2"],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        montage = Image.open(save_montage(list(items), Path(folder) / "layouts.png"))
        save_small(montage, ASSETS / "layouts.jpg")


if __name__ == "__main__":
    main()
