"""The notebooks of `docs/tutorials/`: run in a fresh kernel, and turned into pages with their outputs.

The files hold no outputs. `mkdocs build` runs them, which needs the extra `test`, and writes `tutorials/NAME.md`;
with `SIGHTLINE_NOTEBOOKS=off` the pages show the code alone. `python docs/_gen/notebooks.py` runs all of them and
says how long each takes.
"""

from __future__ import annotations

import base64
import html
import io
import logging
import os
import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

log = logging.getLogger("mkdocs.hooks")
FOLDER = Path(__file__).resolve().parents[1] / "tutorials"
SECONDS = 180
"""What a cell may take at most, on a busy machine."""
HEAVY = 60_000
"""Bytes from which a picture becomes a JPEG."""


def notebooks() -> tuple[Path, ...]:
    """The notebooks, by name."""
    return tuple(sorted(FOLDER.glob("*.ipynb")))


def executed(path: Path) -> Any:
    """The notebook with the outputs of a fresh kernel, run in its own folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=place).execute()
    return notebook


def page(path: Path) -> str:
    """The notebook as Markdown with its outputs, or with the code alone where the outputs are switched off."""
    import json

    bare = os.environ.get("SIGHTLINE_NOTEBOOKS", "").lower() in ("off", "0")
    if not bare and find_spec("nbclient") is None:
        log.warning("%s is shown without outputs: nbclient is not installed (extra 'docs')", path.name)
        bare = True
    if bare:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    else:
        cells = executed(path).cells
    return "\n\n".join(_cell(cell) for cell in cells) + "\n"


def _cell(cell: Any) -> str:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    outputs = (_output(output) for output in cell["outputs"])
    return "\n\n".join([f"```python\n{source}\n```", *filter(None, outputs)])


def _output(output: Any) -> str:
    """What a reader sees of an output; warnings on standard error are left out."""
    if output["output_type"] == "stream":
        return _text(output["text"]) if output["name"] == "stdout" else ""
    data = output.get("data", {})
    if "text/html" in data:
        return _html(data["text/html"])
    if "image/png" in data:
        return _picture(base64.b64decode(data["image/png"]))
    return _text(data.get("text/plain", ""))


def _html(text: str) -> str:
    """HTML as one block of Markdown, in which no blank line may stand."""
    content = re.sub(r"\n\s*\n", "\n", text).strip()
    return f'<div class="output">{content}</div>' if content else ""


def _text(text: str) -> str:
    return f'<pre class="output">{html.escape(text.strip())}</pre>' if text.strip() else ""


def _picture(content: bytes) -> str:
    kind = "png"
    if len(content) > HEAVY:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(content)).convert("RGB").save(buffer, "JPEG", quality=85)
        content, kind = buffer.getvalue(), "jpeg"
    return f'<img class="output" alt="output" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'


def main() -> None:
    """Run all notebooks, or those that are named."""
    for path in notebooks():
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        start = time.monotonic()
        executed(path)
        print(f"{path.name}: {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
