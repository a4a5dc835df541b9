"""Writing a page, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from sightline.common.files import write_text


def write_page(path: str | Path, text: str) -> Path:
    """Write a page's text.

    Raises:
        ResultError: the file cannot be written.
    """
    write_text(path, text)
    return Path(path)
