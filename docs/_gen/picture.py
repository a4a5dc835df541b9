"""Make the picture of the README, `docs/assets/montage.png`, by the command line: `python docs/_gen/picture.py`.

Arguments are handed to `sightline explain`; with none it is the bundled model and its scene.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).resolve().parents[1] / "assets" / "montage.png"
WIDTH = 1100
MOST = 200_000


def main() -> None:
    """Explain, and keep the montage, small enough for a repository."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", "from sightline.cli.app import main; main()", "explain", "--json"]
        said = subprocess.run([*command, "--out", out, *sys.argv[1:]], check=True, capture_output=True, text=True)
        folder = Path(json.loads(said.stdout)["photos"][0]["folder"])
        with Image.open(folder / "montage.png") as picture:
            save_small(picture.convert("RGB"))
    print(f"written: {TARGET.name}, {TARGET.stat().st_size // 1000} kB")


def save_small(picture: Image.Image) -> None:
    """At most `WIDTH` wide and `MOST` bytes, with as many colours as fit."""
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(TARGET, optimize=True)
        if TARGET.stat().st_size < MOST:
            return
    sys.exit(f"{TARGET.name} does not fit into {MOST} bytes")


if __name__ == "__main__":
    main()
