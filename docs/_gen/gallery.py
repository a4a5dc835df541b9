"""Make the gallery's pictures, `docs/assets/gallery/*.jpg`: `python docs/_gen/gallery.py [NAME]...`.

Each case of `gallery_cases.py` is run as it stands on the page. The page itself is written by `python docs/_gen`.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from gallery_cases import CASES, Case
from photos import ASSETS, save_small

HERE = Path(__file__).resolve().parents[1] / "tutorials"
INTRODUCTION = """# Gallery

Real cases, each with the code that made its picture. Green speaks for the decision, blue against it, and the outline
is the smallest area that holds half of the evidence; where nothing speaks, the photo stays as it is. The code runs in
`docs/tutorials`, after `import dataclasses` and `import sightline`; `python docs/_gen/gallery.py` makes all pictures
again. The small networks of some cases are trained by `docs/_gen/toys.py`.
"""


def gallery_page() -> str:
    """The page, from the cases."""
    return "\n".join([INTRODUCTION, *(_section(case) for case in CASES), _credits()])


def place(case: Case) -> str:
    """The case's picture, as a path in `docs/assets`."""
    return case.name if case.command else f"gallery/{case.name}.jpg"


def run(case: Case) -> Image.Image:
    """Run a case's code and give its picture."""
    names: dict[str, Any] = {}
    with contextlib.chdir(HERE):
        exec(compile(f"import dataclasses\nimport sightline\n{case.code}", case.name, "exec"), names)
    figure = names["figure"]
    if isinstance(figure, Image.Image):
        return figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return Image.open(buffer)


def _section(case: Case) -> str:
    code = f"```python\n{case.code}\n```\n" if case.code else f"*Made by `{case.command}`.*\n"
    return f"## {case.title}\n\n{case.words}\n\n![{case.title}](assets/{place(case)})\n\n{code}"


def _credits() -> str:
    return (
        "## Photos\n\nOpen Images V5, CC BY 2.0 (bird, cat, owl, parrot, two dogs), and pytorch-grad-cam, MIT "
        "(dog and cat); the image ids are in `docs/tutorials/photos/CREDITS.txt`. Everything else is drawn.\n"
    )


def main() -> None:
    """Make the pictures that are named, or all."""
    for case in CASES:
        if case.code and (not sys.argv[1:] or case.name in sys.argv[1:]):
            save_small(run(case), ASSETS / place(case), width=1000)


if __name__ == "__main__":
    main()
