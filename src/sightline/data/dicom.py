"""DICOM files, the pictures of radiology: they are recognised, and refused with what to do instead.

Their decoders and their many rules for values are pydicom's; a TIFF file of the values loses nothing of a picture.
"""

from __future__ import annotations

from pathlib import Path

ENDINGS = frozenset({".dcm", ".dicom", ".ima"})
MAGIC = b"DICM"
PREAMBLE = 128
"""Bytes before the magic word."""
WAY = (
    "save its values as a TIFF file with pydicom (docs/errors.md has a script), and name its black and white: "
    "--black -1000 --white 400 of a CT"
)


def is_dicom(path: Path) -> bool:
    """Whether a file is one, by its magic word or its ending; scanners often leave out one of the two."""
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC
    except OSError:
        return False


def some_dicom(folder: Path) -> str:
    """A clause on the DICOM files of a folder without pictures; empty where the first of its files is none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    one = next((path for path in files if path.suffix.lower() in ENDINGS), files[0] if files else None)
    return f"; {str(one)!r} is a DICOM file: {WAY}" if one is not None and is_dicom(one) else ""
