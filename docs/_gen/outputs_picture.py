"""Make the picture of `docs/howto/outputs.md`, `docs/assets/outputs.jpg`: `python docs/_gen/outputs_picture.py`.

One number of the bundled bird model, up and down, and its class against those most like it, on the bundled scene.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, save_small

import sightline
from sightline.data.openers import open_input
from sightline.models.load import load_model
from sightline.reports import save_montage

LAYERS = ["stage1.1", "stage2.1", "stage3.2", "stage4.2"]
QUESTIONS = ({"target": "both value:7"}, {"contrast": "closest:3", "contrast_weight": 1.0})


def main() -> None:
    """Explain the scene, and keep the montage."""
    loaded = load_model(None)
    scene = loaded.preprocess(open_input(Path(str(files("sightline") / "assets" / "scene.png"))))
    items = [
        item
        for question in QUESTIONS
        for item in sightline.explain(
            loaded.model,
            scene.inputs[None],
            labels=loaded.labels,
            images=scene.view[None],
            sources=["scene"],
            method="gradcam",
            layers=LAYERS,
            **question,
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        montage = Image.open(save_montage(items, Path(folder) / "outputs.png"))
        save_small(montage, ASSETS / "outputs.jpg")


if __name__ == "__main__":
    main()
