"""What mkdocs does besides: formulas become MathML, the example of the home page is made, tutorials are run."""

from __future__ import annotations

import html
import re
import runpy
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)


def on_startup(*, command: str, **_: Any) -> None:
    """Make the example of the home page with this version; a server makes it only if it is missing."""
    example = runpy.run_path(str(Path(__file__).parent / "_gen" / "example_page.py"))
    if command == "build" or not example["PAGE"].is_file():
        example["make"]()


def on_files(files: Any, config: Any) -> Any:
    """Put the page of each notebook in the place of the notebook itself."""
    from mkdocs.structure.files import File

    made = runpy.run_path(str(Path(__file__).parent / "_gen" / "notebooks.py"))
    for path in made["notebooks"]():
        own = files.get_file_from_path(f"tutorials/{path.name}")
        if own is not None:
            files.remove(own)
        files.append(File.generated(config, f"tutorials/{path.stem}.md", content=made["page"](path)))
    return files


def on_page_content(page: str, /, **_: Any) -> str:
    """Turn each formula that arithmatex has marked into MathML."""
    return FORMULA.sub(_mathml, page)


def _mathml(match: re.Match[str]) -> str:
    display = "block" if match[2] == "[" else "inline"
    return convert(html.unescape(match[3]).strip(), display=display)
