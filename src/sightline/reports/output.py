"""Writing a page, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from sightline.common.files import write_text
from sightline.errors import ResultError


def write_page(path: str | Path, text: str) -> Path:
    """Write a page's text.

    Raises:
        ResultError: the file cannot be written.
    """
    path = Path(path)
    try:
        write_text(path, text)
    except OSError as problem:
        raise ResultError(f"cannot write the page to {str(path)!r}: {problem.strerror or problem}") from problem
    return path
