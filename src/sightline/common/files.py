"""Writing files, whole or not at all, and whether a place can be written before any work."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.errors import ResultError


def check_place(out: Path) -> None:
    """Refuse a place that cannot be written before any work is done.

    Args:
        out: the weights file that is to be written.

    Raises:
        ResultError: a folder or file is in the way, or there is no permission.
    """
    if out.suffix != ".safetensors":
        raise ResultError(
            f"--out is {str(out)!r}, but weights are written to a file that ends in .safetensors; the card and the "
            "page lie beside it under the same name"
        )
    if out.is_dir():
        raise ResultError(f"cannot write to {str(out)!r}: it is a folder; name a file, such as net.safetensors")
    nearest = next(place for place in out.absolute().parents if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "no permission" if nearest.is_dir() else "it is a file"
        raise ResultError(f"cannot write to {str(out)!r}: {why} ({str(nearest)!r}); choose another --out")


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is either whole or not there (a temporary file beside it, then a rename)."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is either whole or not there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
