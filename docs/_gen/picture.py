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

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, save_small


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
            save_small(picture, target)


if __name__ == "__main__":
    main()
