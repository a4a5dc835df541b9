"""Weights: tensors from a file, read without running any code in it, and put into a model or refused in plain words.

It knows nothing of model names; which network to build is the business of `load`.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.common.files import read_tensors
from sightline.common.reading import check_file
from sightline.errors import ModelError

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema", "model_ema", "weights")
"""Entries under which training programs keep a model's tensors in a checkpoint."""

TO_TENSORS = "save its tensors with safetensors.torch.save_model, or torch.save(model.state_dict(), FILE)"

BESIDE_WEIGHTS = (
    "argparse.Namespace", "collections.", "datetime.", "functools.partial", "lightning.", "lightning_fabric.",
    "numpy.", "omegaconf.", "pathlib.", "pytorch_lightning.", "torch.optim.", "torchmetrics.", "typing.",
)  # fmt: skip
"""Kinds of objects that training programs keep beside the tensors: settings, paths, figures. Stand-ins that do
nothing take their places, so that none of their code is run; a file with any other kind is refused."""


class StandIn(dict[Any, Any]):
    """Takes the place of an object in a checkpoint that is no tensor; it takes anything and does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        """What the object held is dropped."""

    def append(self, item: object) -> None:
        """Dropped."""

    def extend(self, items: object) -> None:
        """Dropped."""


_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""torchvision's published DenseNets still carry the names of an older version."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Named tensors of one file.

    Args:
        tensors: name to tensor, on the CPU, as stored.
        path: the file.
        sha256: digest of the file, hexadecimal.
        metadata: text entries of a safetensors file; empty for the others.
        versions: what `torch.save` noted of the modules' versions, by module name; old files need it.
    """

    tensors: dict[str, Tensor]
    path: Path
    sha256: str
    metadata: dict[str, str] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)


def read_weights(path: str | Path) -> Weights:
    """Read a weights file: safetensors, or what `torch.save` wrote if it holds tensors only.

    Raises:
        ModelError: the file is missing, damaged, holds no tensors, or would run code if it were unpickled.
    """
    path = Path(path)
    _check_file(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _is_safetensors(path):
        (tensors, metadata), versions = _read_safetensors(path), dict[str, Any]()
    else:
        (tensors, versions), metadata = _unwrapped(_read_torch(path), path), dict[str, str]()
    if not tensors:
        raise ModelError(f"the weights file {str(path)!r} holds no tensors; {TO_TENSORS}")
    return Weights(tensors, path, digest, metadata, versions)


def fit_weights(model: nn.Module, weights: Weights, *, name: str) -> None:
    """Put weights into a model; floating-point values are cast to the model's type.

    A prefix that wraps every name of the model in the file (`module.`, `model.`) is taken off.

    Args:
        model: changed in place.
        weights: must hold every parameter and buffer of the model, in its shape, and no other.
        name: what the model is called in the error text.

    Raises:
        ModelError: the file does not fit; the text counts and names what is missing, unexpected or of another shape.
    """
    own = model.state_dict()
    tensors = _with_versions(weights, own)
    misfit = _misfit(model, own, tensors)
    if misfit:
        raise ModelError(f"the weights in {str(weights.path)!r} do not fit {name}: {misfit}; {_advice(own, tensors)}")


def matched(tensors: Mapping[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """The tensors under the model's own names: the wrapping prefix that matches most names is taken off."""
    names = set(own)
    prefix = _wrapping(tensors, names)
    inside = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    return {key if key in names else _OLD_DENSENET.sub(r"\1\2", key): value for key, value in inside.items()}


def _wrapping(keys: Iterable[str], names: set[str]) -> str:
    """The prefix of one or two parts (or none) that must come off for most keys to be names of the model."""
    keys = list(keys)
    prefixes = {""}
    for key in keys:
        parts = key.split(".")
        prefixes.update(".".join(parts[:depth]) + "." for depth in (1, 2) if depth < len(parts))

    def hits(prefix: str) -> int:
        return sum(key.startswith(prefix) and key[len(prefix) :] in names for key in keys)

    return max(sorted(prefixes), key=lambda prefix: (hits(prefix), -len(prefix)))


def _with_versions(weights: Weights, own: dict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """The tensors under the model's names, with the version notes by which torch reads old files."""
    tensors = OrderedDict(matched(weights.tensors, own))
    prefix = _wrapping(weights.tensors, set(own))
    notes = {key[len(prefix) :]: note for key, note in weights.versions.items() if key.startswith(prefix)}
    tensors._metadata = notes or own._metadata  # type: ignore[attr-defined]
    return tensors


def _check_file(path: Path) -> None:
    check_file(path, "weights file", error=ModelError)
    try:
        path.open("rb").close()
    except OSError as problem:
        raise ModelError(f"cannot read the weights file {str(path)!r}: {problem.strerror}") from problem
    if path.stat().st_size == 0:
        raise ModelError(f"the weights file {str(path)!r} is empty (0 bytes); copy or download it again")


def _is_safetensors(path: Path) -> bool:
    """By the file's first bytes (8 bytes of header length, then JSON) rather than by its name."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _is_pickle(path: Path) -> bool:
    """Whether the file begins as a pickle, or as the archive in which torch keeps one."""
    with path.open("rb") as file:
        return file.read(2).startswith((b"\x80", b"PK"))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError

    try:
        return read_tensors(path)
    except (SafetensorError, OSError, ValueError) as problem:
        raise ModelError(_damaged(path, problem)) from problem


def _damaged(path: Path, problem: Exception) -> str:
    return f"the weights file {str(path)!r} is damaged or cut short ({problem}); copy or download it again"


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would explain how to open a TorchScript, which is refused here
            return _loaded(path)
    except pickle.UnpicklingError as problem:
        if not _is_pickle(path):
            raise ModelError(_not_weights(path)) from problem
        name = _named(problem)
        raise ModelError(
            f"the weights file {str(path)!r} holds Python objects{f' ({name})' if name else ''} that would run "
            f"code when loaded, and is refused; where you trust it, {TO_TENSORS}"
        ) from problem
    except RuntimeError as problem:
        if "TorchScript" in str(problem):
            raise ModelError(
                f"the weights file {str(path)!r} is a TorchScript program, and is refused; open it with "
                f"torch.jit.load where you trust it and {TO_TENSORS}"
            ) from problem
        raise ModelError(_not_weights(path)) from problem
    except Exception as problem:  # a damaged archive may raise anything
        raise ModelError(_not_weights(path)) from problem


def _loaded(path: Path) -> Any:
    """The file's content, with stand-ins for what training programs keep beside the tensors."""
    stand_ins: dict[str, Any] = {}
    while True:
        try:
            with torch.serialization.safe_globals([(kind, name) for name, kind in stand_ins.items()]):
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as problem:
            name = _named(problem)
            if not name.startswith(BESIDE_WEIGHTS) or name in stand_ins:
                raise
            stand_ins[name] = type("StandIn", (StandIn,), {})


def _named(problem: Exception) -> str:
    """The object that torch's reader stumbled over; empty where it does not say."""
    match = re.search(r"(?:GLOBAL|global) ([\w.]+)", str(problem))
    return match[1].rstrip(".") if match else ""


def _not_weights(path: Path) -> str:
    return f"{str(path)!r} is not a weights file, or is damaged; give a .safetensors, .pth or .pt file of tensors"


def _unwrapped(content: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a checkpoint, from whichever of the usual entries holds them, and its version notes."""
    visited: set[int] = set()
    while isinstance(content, Mapping) and id(content) not in visited:  # a file may hold itself
        visited.add(id(content))
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return tensors, _versions(content)
        content = inner
    raise ModelError(
        f"the weights file {str(path)!r} holds a {type(content).__name__}, not named tensors; {TO_TENSORS}"
    )


def _versions(content: Any) -> dict[str, Any]:
    """The notes on modules' versions that a state dictionary carries, as far as they are notes."""
    notes = getattr(content, "_metadata", None)
    entries = notes.items() if isinstance(notes, Mapping) else ()
    return {str(name): dict(note) for name, note in entries if isinstance(note, Mapping)}


def _misfit(model: nn.Module, own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """Load, and say what does not fit, counted and named; empty if all does."""
    reshaped = [
        f"{key}: file {_shape(tensors[key])}, model {_shape(own[key])}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    other = [
        f"{key}: {tensors[key].dtype}".replace("torch.", "")
        for key in own
        if key in tensors and own[key].is_floating_point() and not tensors[key].is_floating_point()
    ]
    if reshaped or other:
        missing, unexpected = [key for key in own if key not in tensors], [key for key in tensors if key not in own]
    else:
        try:
            missing, unexpected = model.load_state_dict(tensors, strict=False)
        except RuntimeError as problem:  # tensors that hold no values, or of a kind that cannot be copied
            return " ".join(str(problem).split())
        missing = [key for key in missing if not key.endswith("num_batches_tracked")]  # older than these counters
    counts = (
        (missing, "missing"),
        (unexpected, "unexpected"),
        (reshaped, "of another shape"),
        (other, "that are no floating-point numbers"),
    )
    return ", ".join(_some(names, what) for names, what in counts if names)


def _some(names: list[str], what: str, most: int = 3) -> str:
    rest = ", ..." if len(names) > most else ""
    return f"{len(names)} {'keys' if len(names) > 1 else 'key'} {what} ({', '.join(names[:most])}{rest})"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _advice(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    shared = [key for key in own if key in tensors]
    if not shared:
        return (
            "no name is the same, so the file is of another network: try another model name (the same network has "
            "other names in timm: and torchvision:)"
        )
    if len(shared) == len(own) == len(tensors):
        return (
            "try the model arguments it was trained with (num_classes=, in_chans=, img_size=), or another model name"
        )
    return "try another model name, or the model arguments it was trained with"
