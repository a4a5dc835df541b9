"""Pictures with any of three coloured marks, or none: labels whose truth is known."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image

MARKS = {"blue": (40, 40, 255), "green": (20, 220, 60), "red": (250, 40, 30)}


def drawn(path: Path, labels: set[str], draw: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (16, 16), (draw.randrange(90, 140),) * 3)
    for at, name in enumerate(sorted(MARKS)):
        if name in labels:
            place = (5 * at, draw.randrange(0, 10))
            picture.paste(MARKS[name], (*place, place[0] + 5, place[1] + 6))
    picture.save(path)


def marked(folder: Path, count: int = 90, *, unknown: bool = False) -> Path:
    """A folder of pictures, three of each patient, with a column for each mark; blue is rare."""
    draw = random.Random(5)
    rows = ["file,patient,red,green,blue,age"]
    for at in range(count):
        own = {name for name, share in (("red", 0.45), ("green", 0.35), ("blue", 0.15)) if draw.random() < share}
        drawn(folder / f"{at}.png", own, draw)
        cells = [str(int(name in own)) for name in ("red", "green", "blue")]
        if unknown and at % 5 == 0:
            cells[at % 3] = ""
        rows.append(",".join([f"{at}.png", f"p{at // 3}", *cells, str(30 + at % 40)]))
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder
