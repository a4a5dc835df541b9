"""Files of text, compressed or not: their first lines, and a stream of their bytes.

gzip and Zstandard are known by their first bytes, so that the name does not matter. It knows no format.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from sightline.common.reading import check_file
from sightline.errors import DataError, MissingExtraError

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed files."""
FIRST = 2**17
"""Bytes that are looked at to recognise a format."""


def arrow() -> Any:
    """Pyarrow.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
    except ModuleNotFoundError as problem:
        raise MissingExtraError("pyarrow", "clicks", "reading logs of clicks") from problem
    return pyarrow


def stream(path: Path, *, pair: bytes = b"") -> Any:
    """The bytes of a file, decompressed as they are read.

    Args:
        path: the file.
        pair: two bytes that part columns, such as `::`; they become a tab.

    Raises:
        DataError: it cannot be read.
    """
    check_file(path, "log", error=DataError)
    pa = arrow()
    with path.open("rb") as file:
        start = file.read(4)
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
    source = pa.input_stream(str(path), compression=kind)
    return pa.PythonFile(_Replaced(source, pair), mode="r") if pair else source


class _Replaced(io.RawIOBase):
    """A stream in which two bytes become a tab, also where they lie on both sides of a read."""

    def __init__(self, source: Any, pair: bytes) -> None:
        self.source, self.pair, self.kept = source, pair, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content = self.kept + bytes(self.source.read(size if size > 1 else 2**20))
        self.kept = b""
        if len(content) > 1 and content.endswith(self.pair[:1]):
            content, self.kept = content[:-1], content[-1:]
        return content.replace(self.pair, b"\t")


def first_lines(path: Path, most: int = 200) -> list[str]:
    """The first whole lines that are not blank.

    Raises:
        DataError: the file is empty, damaged, or not text.
    """
    try:
        with stream(path) as file:
            content = bytes(file.read(FIRST))
    except OSError as problem:
        raise DataError(f"the log {str(path)!r} is damaged ({problem}); copy or download it again") from problem
    if b"\0" in content:
        raise DataError(f"the log {str(path)!r} is neither text nor Parquet; give a CSV, TSV, libsvm or Parquet file")
    lines = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").split("\n")
    whole = lines[:-1] if len(content) == FIRST else lines
    rows = [line for line in whole if line.strip()][:most]
    if not rows:
        raise DataError(f"the log {str(path)!r} has no line; is it the right file?")
    return rows
