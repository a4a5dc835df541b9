"""Every picture of these pages, and the command that makes it: `python docs/_gen/pictures.py` prints the table.

A test holds `docs/assets` to this table: no picture without a command, and no command without its picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from gallery import CASES, place
from howto_pictures import PICTURES
from screenshots import SHOTS

OTHERS = {
    "montage.jpg": "python docs/_gen/picture.py",
    "input.jpg": "python docs/_gen/picture.py input.jpg",
    "layouts.jpg": "python docs/_gen/layouts_picture.py",
    "outputs.jpg": "python docs/_gen/outputs_picture.py",
    "detection.jpg": "python docs/_gen/decisions_picture.py",
    "segmentation.jpg": "python docs/_gen/decisions_picture.py",
    "text.jpg": "python docs/_gen/decisions_picture.py",
    "eat-study.png": "python benchmarks/eat_study.py tables --picture docs/assets/eat-study.png",
    "drawing-peers.jpg": "python benchmarks/drawing_peers.py --picture docs/assets/drawing-peers.jpg",
    "domains.jpg": "python benchmarks/domains.py --write",
}
"""Pictures by scripts of their own; `howto/input.md` has all arguments of `input.jpg`."""
ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".svg")
DRAWN_BY_HAND = {"favicon.svg"}
"""Two circles."""


def table() -> dict[str, str]:
    """Path below `docs/assets` to command."""
    return {
        **OTHERS,
        **{f"howto/{name}.jpg": f"python docs/_gen/howto_pictures.py {name}" for name in PICTURES},
        **{f"howto/{name}.jpg": f"python docs/_gen/screenshots.py {name}" for name in SHOTS},
        "howto/drawing.jpg": "python docs/_gen/drawing_picture.py",
        **{place(case): f"python docs/_gen/gallery.py {case.name}" for case in CASES if case.code},
    }


def pictures(assets: Path) -> set[str]:
    """The pictures that are there, as paths below the folder."""
    files = {path.relative_to(assets).as_posix() for path in assets.rglob("*") if path.suffix in ENDINGS}
    return files - DRAWN_BY_HAND


if __name__ == "__main__":
    for name, command in sorted(table().items()):
        print(f"{name:32} {command}")
