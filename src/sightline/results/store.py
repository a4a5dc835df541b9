"""Save and load explanations: arrays in safetensors, the manifest in JSON and written last.

A folder without a manifest is an unfinished one. Nothing is ever pickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.common.files import make_folder, whole_file, write_text
from sightline.common.reading import check_file, is_there, read_json
from sightline.common.records import as_kind, restored
from sightline.common.runs import read_record
from sightline.errors import ResultError
from sightline.results.domains import Domain, DomainKind
from sightline.results.explanation import Decision, Explanation, Explanations, Phrase
from sightline.results.flow import Flow
from sightline.results.maps import AttentionMap

SCHEMA = 2
READS = (1, 2)
"""Schemas that can be read; the first has no sentences, and its phrases no roles."""
ARRAYS = "arrays.safetensors"
MANIFEST = "manifest.json"
Strings = tuple[str, ...]
PLAIN = ("text", "probability", "contribution", "box", "role", "energy", "note", "said")
"""Fields of a phrase that are JSON as they are."""


def save(explanations: Iterable[Explanation], folder: str | Path) -> Path:
    """Write explanations into a folder, atomically; an older result there stays until the new one is whole.

    Args:
        explanations: what to write.
        folder: made if it does not exist.

    Returns:
        The manifest's path.

    Raises:
        ResultError: the folder cannot be written.
    """
    from safetensors.torch import save as to_bytes

    folder = Path(folder)
    arrays: dict[str, Tensor] = {}
    records = [_record(item, f"{number}", arrays) for number, item in enumerate(explanations)]
    make_folder(folder)
    _refuse_foreign(folder)
    with whole_file(folder / ARRAYS) as temporary:
        temporary.write_bytes(to_bytes(arrays))
        (folder / MANIFEST).unlink(missing_ok=True)  # no moment has the manifest of other arrays
    write_text(folder / MANIFEST, json.dumps({"schema": SCHEMA, "explanations": records}, indent=1))
    return folder / MANIFEST


def load(folder: str | Path) -> Explanations:
    """Read a folder that `save` wrote.

    Raises:
        ResultError: it is missing, unfinished, damaged or of another schema.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    folder = Path(folder)
    manifest = folder / MANIFEST
    if not is_there(manifest, error=ResultError):
        raise ResultError(f"{str(folder)!r} holds no {MANIFEST}: it is no saved result, or it was not finished")
    content = read_json(manifest, error=ResultError)
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema not in READS or isinstance(schema, bool):
        versions = " and ".join(map(str, READS))
        raise ResultError(f"{str(manifest)!r} has schema {schema!r}; this version reads {versions}")
    check_file(folder / ARRAYS, error=ResultError)
    try:
        arrays = from_bytes((folder / ARRAYS).read_bytes())  # by its content: the path need not be UTF-8
        return Explanations(tuple(_restore(record, arrays) for record in content["explanations"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as problem:
        raise ResultError(f"the result in {str(folder)!r} is damaged: {problem}") from problem


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
            return all(re.fullmatch(r"\d+\.(image|(map|phrase)\.\d+)", key) for key in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        return False


def _record(item: Explanation, key: str, arrays: dict[str, Tensor]) -> dict[str, Any]:
    """The manifest's entry of one explanation; its tensors go into `arrays` under `key`."""
    if item.image is not None:
        arrays[f"{key}.image"] = _own(item.image)
    return {
        "key": key,
        "source": item.source,
        "method": item.method,
        "remarks": list(item.flow.remarks),
        "decision": vars(item.decision),
        "image": item.image is not None,
        "maps": [_map_record(map_, f"{key}.map.{number}", arrays) for number, map_ in enumerate(item.flow.maps)],
        "phrases": [
            {
                **{name: getattr(phrase, name) for name in PLAIN},
                "map": None if phrase.map is None else _map_record(phrase.map, f"{key}.phrase.{number}", arrays),
            }
            for number, phrase in enumerate(item.phrases)
        ],
        "sentences": list(item.sentences),
        "provenance": item.provenance,
    }


def _map_record(map_: AttentionMap, key: str, arrays: dict[str, Tensor]) -> dict[str, Any]:
    arrays[key] = _own(map_.values)
    return {
        "key": key,
        "stage": map_.layer,
        "domain": map_.domain.kind,
        "labels": list(map_.domain.labels),
        "signed": map_.signed,
        "status": str(map_.status),
        "statistics": {name: value if value == value else None for name, value in map_.statistics().items()},
        "notes": map_.notes,
    }


def _restore(record: dict[str, Any], arrays: dict[str, Tensor]) -> Explanation:
    maps = tuple(_restore_map(entry, arrays) for entry in record["maps"])
    sentences = as_kind(Strings, record.get("sentences", ()), "sentences")
    return Explanation(
        flow=Flow(
            maps, as_kind(str, record["method"], "method"), as_kind(Strings, record.get("remarks", ()), "remarks")
        ),
        decision=restored(Decision, record["decision"]),
        image=_image(arrays[f"{record['key']}.image"]) if as_kind(bool, record["image"], "image") else None,
        source=as_kind(str, record["source"], "source"),
        phrases=tuple(_restore_phrase(entry, arrays, sentences) for entry in record["phrases"]),
        provenance=as_kind(dict[str, Any], record["provenance"], "provenance"),
        sentences=sentences,
    )


def _restore_phrase(entry: dict[str, Any], arrays: dict[str, Tensor], sentences: tuple[str, ...]) -> Phrase:
    """A phrase; what an older schema does not have stays at its default."""
    plain = {name: value for name, value in entry.items() if name != "map"}
    phrase = restored(Phrase, plain, map=None if entry["map"] is None else _restore_map(entry["map"], arrays))
    if phrase.said is not None:
        at, start, end = phrase.said
        if not 0 <= at < len(sentences) or not 0 <= start <= end <= len(sentences[at]):
            raise ValueError(f"the phrase {phrase.text!r} is said where there is no sentence")
    return phrase


def _restore_map(entry: dict[str, Any], arrays: dict[str, Tensor]) -> AttentionMap:
    labels = as_kind(Strings, entry["labels"], "labels")
    map_ = AttentionMap(
        values=_numbers(arrays[entry["key"]], entry["key"]),
        layer=as_kind(str, entry["stage"], "stage"),
        domain=Domain(as_kind(DomainKind, entry["domain"], "domain"), labels),
        signed=as_kind(bool, entry["signed"], "signed"),
        notes=as_kind(dict[str, float], entry["notes"], "notes"),
    )
    if labels and len(labels) != map_.shape[0]:
        raise ValueError(f"the map of {map_.layer!r} has {map_.shape[0]} elements and {len(labels)} labels")
    return map_


def _image(image: Tensor) -> Tensor:
    """A picture of one or three channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.numel():
        raise ValueError(f"its picture has the shape {tuple(image.shape)}, not channels, height and width")
    return _numbers(image, "image")


def _numbers(values: Tensor, key: str) -> Tensor:
    """The values, if their type is one that a map can have (floating point)."""
    if values.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise ValueError(f"the array {key!r} holds {str(values.dtype).removeprefix('torch.')}, not numbers of a map")
    return values


def _own(tensor: Tensor) -> Tensor:
    """A contiguous CPU copy that shares no storage (safetensors wants each tensor to own its bytes)."""
    return tensor.detach().to("cpu", copy=True).contiguous()
