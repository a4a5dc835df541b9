"""Pictures with any of two marks, or none, each with attributes of its own: what they show is known."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image

MARKS = {"blue": (40, 40, 255), "red": (250, 40, 30)}


def labelled(folder: Path, count: int = 96) -> Path:
    """A folder with `attributes.csv`: three pictures of each patient, listed labels, a ground and a place."""
    draw = random.Random(3)
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["file,Patient,labels,ground,high"]
    for at in range(count):
        own = sorted(name for name in MARKS if draw.random() < 0.45)
        dark, high = draw.random() < 0.5, draw.random() < 0.5
        picture = Image.new("RGB", (32, 32), (draw.randrange(20, 50) if dark else draw.randrange(150, 180),) * 3)
        for name in own:
            place = (2 if name == "blue" else 18, draw.randrange(0, 4) if high else draw.randrange(16, 20))
            picture.paste(MARKS[name], (*place, place[0] + 12, place[1] + 12))
        picture.save(folder / f"{at}.png")
        where = ("yes" if high else "no") if own else ""
        rows.append(f"{at}.png,p{at // 3},{';'.join(own) or 'no finding'},{'dark' if dark else 'light'},{where}")
    (folder / "attributes.csv").write_text("\n".join(rows) + "\n")
    return folder
