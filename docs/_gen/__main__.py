"""Write the pages that are made from registries and measurements: `python docs/_gen`; `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from gallery import gallery_page
from methods_page import methods_page
from models_page import models_page
from references_page import references_page
from rooms import filled

DOCS = Path(__file__).resolve().parents[1]
PAGES: dict[str, Callable[[], str]] = {
    "gallery.md": gallery_page,
    "methods.md": methods_page,
    "models.md": models_page,
    "references.md": references_page,
    "design.md": lambda: filled(DOCS / "design.md"),
    "../README.md": lambda: filled(DOCS / "../README.md"),
}


def stale() -> dict[str, str]:
    """Pages whose file is not what would be written now, with their new text."""
    made = {name: make().rstrip() + "\n" for name, make in PAGES.items()}
    return {name: text for name, text in made.items() if _read(DOCS / name) != text}


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def main() -> None:
    """Write what is stale, or say so and fail."""
    old = stale()
    if "--check" in sys.argv and old:
        sys.exit(f"these pages are out of date: {', '.join(old)}; run: python docs/_gen")
    for name, text in old.items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(f"written: docs/{name}")


if __name__ == "__main__":
    main()
