"""The folder of a saved result: arrays in safetensors, the manifest in JSON, written last. It knows no explanation.

A folder without a manifest is an unfinished one. Nothing is ever pickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from sightline.common.files import make_folder, whole_file, write_text
from sightline.common.reading import check_file, is_there, read_json
from sightline.common.runs import read_record
from sightline.errors import ResultError

SCHEMA = 8
READS = (1, 2, 3, 4, 5, 6, 7, 8)
"""Schemas that can be read; the first has no sentences, and its phrases no roles; the second has no rate,
the third no original picture, the decisions of the fourth no region, the fifth no corrections,
the phrases of the sixth no area of the object, and those of the seventh nothing of other pictures' maps; its
corrections are of one class."""
ADDED: dict[int, dict[str, Any]] = {3: {"rate": None}, 4: {"original": None}, 6: {"corrections": None}}
"""What a schema added to every record, with what its absence in an older one means."""
ADDED_TO_PHRASES: dict[int, dict[str, Any]] = {7: {"object_area": None}, 8: {"object_others": None}}
"""The same for each phrase of a record."""
ADDED_TO_CORRECTIONS: dict[int, dict[str, Any]] = {8: {"thresholds": None}}
"""The same for its corrections, where it has any."""
ARRAYS = "arrays.safetensors"
MANIFEST = "manifest.json"
OURS = r"\d+\.(image|(map|phrase)\.\d+)|original\.[0-9a-f]{16}"
"""Names of arrays."""
Item = TypeVar("Item")


def write_result(folder: str | Path, records: Sequence[dict[str, Any]], arrays: Mapping[str, Tensor]) -> Path:
    """Write a result into a folder, atomically; an older one there stays until the new one is whole.

    Args:
        folder: made if it does not exist.
        records: an explanation each, as JSON.
        arrays: their tensors by name, each on the CPU with a storage of its own.

    Returns:
        The manifest's path.

    Raises:
        ResultError: the folder cannot be written.
    """
    from safetensors.torch import save as to_bytes

    folder = Path(folder)
    make_folder(folder)
    _refuse_foreign(folder)
    with whole_file(folder / ARRAYS) as temporary:
        temporary.write_bytes(to_bytes(dict(arrays)))
        (folder / MANIFEST).unlink(missing_ok=True)  # no moment has the manifest of other arrays
    write_text(folder / MANIFEST, json.dumps({"schema": SCHEMA, "explanations": records}, indent=1))
    return folder / MANIFEST


def read_result(
    folder: str | Path, restore: Callable[[dict[str, Any], Mapping[str, Tensor]], Item]
) -> tuple[Item, ...]:
    """Read a folder that `write_result` wrote.

    Args:
        folder: where it is.
        restore: makes one explanation of its record and of all arrays.

    Raises:
        ResultError: it is missing, unfinished, damaged or of another schema.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    folder = Path(folder)
    manifest = folder / MANIFEST
    if not is_there(manifest, error=ResultError):
        raise ResultError(f"{str(folder)!r} holds no {MANIFEST}: it is not a saved result, or saving was interrupted")
    content = read_json(manifest, error=ResultError)
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema not in READS or isinstance(schema, bool):
        versions = ", ".join(map(str, READS[:-1])) + f" and {READS[-1]}"
        raise ResultError(f"{str(manifest)!r} has schema {schema!r}; this version reads {versions}")
    check_file(folder / ARRAYS, error=ResultError)
    try:
        arrays = from_bytes((folder / ARRAYS).read_bytes())  # by its content: the path need not be UTF-8
        return tuple(restore(_of_today(record, schema), arrays) for record in content["explanations"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as problem:
        raise ResultError(f"the result in {str(folder)!r} is damaged: {problem}") from problem


def _of_today(record: dict[str, Any], schema: int) -> dict[str, Any]:
    """A record of an older schema with what was added since."""
    phrases = [{**_since(ADDED_TO_PHRASES, schema), **phrase} for phrase in record["phrases"]]
    today = {**_since(ADDED, schema), **record, "phrases": phrases}
    if today["corrections"] is not None:
        today["corrections"] = {**_since(ADDED_TO_CORRECTIONS, schema), **today["corrections"]}
    return today


def _since(added: dict[int, dict[str, Any]], schema: int) -> dict[str, Any]:
    return {key: value for number, more in added.items() if schema < number for key, value in more.items()}


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds other files under the two names.

    Raises:
        ResultError: it does.
    """
    manifest = folder / MANIFEST
    if manifest.exists():
        content = read_record(manifest) or {}
        if content.get("schema") in READS and "explanations" in content:
            return
        foreign = manifest
    elif (folder / ARRAYS).exists() and not _is_unfinished(folder / ARRAYS):
        foreign = folder / ARRAYS
    else:
        return
    raise ResultError(f"{str(foreign)!r} was not written by sightline, and is left alone; choose another folder")


def _is_unfinished(path: Path) -> bool:
    """Whether a file holds arrays named as ours are, which lost their manifest when a process was killed."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return all(re.fullmatch(OURS, key) for key in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        return False
