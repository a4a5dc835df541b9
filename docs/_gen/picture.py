"""Make the picture of the README, `docs/assets/montage.jpg`, by the command line: `python docs/_gen/picture.py`.

Arguments are handed to `sightline explain`; with none it is the bundled model and its scene. A first argument such as
`input.jpg` names another picture of that folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

ASSETS = Path(__file__).resolve().parents[1] / "assets"
WIDTH = 1100
MARGIN = 20
MOST = 200_000


def main() -> None:
    """Explain, and keep the montage, small enough for a repository."""
    named = sys.argv[1:2] if sys.argv[1:] and sys.argv[1].endswith(".jpg") else []
    target = ASSETS / (named or ["montage.jpg"])[0]
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", "from sightline.cli.app import main; main()", "explain", "--json"]
        said = subprocess.run(
            [*command, "--out", out, *sys.argv[1 + len(named) :]], check=True, capture_output=True, text=True
        )
        folder = Path(json.loads(said.stdout)["photos"][0]["folder"])
        with Image.open(folder / "montage.png") as picture:
            save_small(picture.convert("RGB"), target)
    print(f"written: {target.name}, {target.stat().st_size // 1000} kB")


def save_small(picture: Image.Image, target: Path) -> None:
    """At most `WIDTH` wide and `MOST` bytes, as good as fits."""
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    picture = picture.crop((0, 0, picture.width, ImageOps.invert(picture).getbbox()[3] + MARGIN))
    target.parent.mkdir(parents=True, exist_ok=True)
    for quality in (92, 85, 75, 60):
        picture.save(target, quality=quality, optimize=True, subsampling=0)
        if target.stat().st_size < MOST:
            return
    sys.exit(f"{target.name} does not fit into {MOST} bytes")


if __name__ == "__main__":
    main()
