"""Signals, volumes and clips as arrays: WAV files, and numpy's `.npy` and `.npz`, taken as the network takes them.

What an array lies over is told by its axes: `[t]` and `[c, t]` are signals, `[z, y, x]` and `[c, z, y, x]` volumes,
and bytes `[t, y, x, 3]` the frames of a clip. In a `.npz` file the array's name says it: `signal`, `volume`, `clip`.
"""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import check_file
from sightline.data.openers import opener
from sightline.errors import InputError

Floats = NDArray[np.float32]
MOST_VALUES = 200_000_000
"""Largest array that is read; its header is asked first where it has one."""
KINDS = {"signal": "signal", "volume": "volume", "clip": "space-time"}
"""Names of arrays in a `.npz` file, and the domains that they say."""
AXES = {"signal": 2, "volume": 4, "space-time": 4}
"""Axes of an array with its channels first."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """An input that is taken as it is, without resizing or normalising.

    Args:
        values: float32, channels first: `[c, t]`, `[c, z, y, x]` or `[c, t, y, x]`.
        domain: what it lies over: `signal`, `volume` or `space-time`.
        path: the file; None for what was made in memory.
        rate: samples, or frames, in a second; None where the file does not say.
        notes: in words, what was done to it.
    """

    values: Floats
    domain: str
    path: Path | None = None
    rate: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def original_size(self) -> tuple[int, ...]:
        """Sizes along the places, as the file has them."""
        return tuple(self.values.shape[1:])


@opener("sound", ".wav", ".wave", in_folders=False)
def read_sound(path: str | Path) -> Sampled:
    """Read a WAV file: its channels in -1..1, and its samples a second.

    Raises:
        InputError: the file is missing, empty, no WAV file, damaged or without samples.
    """
    from scipy.io import wavfile

    path = Path(path)
    _check(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # chunks that it does not know, such as a title
            rate, samples = wavfile.read(path)
    except Exception as problem:  # a damaged header may lead anywhere
        raise InputError(
            f"the sound {str(path)!r} is damaged or not a WAV file ({problem}); export it as WAV"
        ) from problem
    if not samples.size or rate <= 0:
        raise InputError(f"the sound {str(path)!r} holds no samples; record or export it again")
    values = _unit(samples.reshape(len(samples), -1).T)
    return Sampled(values, "signal", path, float(rate))


@opener("array", ".npy", ".npz", in_folders=False)
def read_array(path: str | Path) -> Sampled:
    """Read an array; a `.npz` file may hold a number `rate` beside it.

    Raises:
        InputError: the file is missing, empty, damaged, holds no numbers, or its axes say nothing that is known.
    """
    path = Path(path)
    _check(path)
    name, array, rate = _loaded(path)
    if array.dtype.kind not in "fiub" or not array.size:
        raise InputError(f"the array in {str(path)!r} holds {array.dtype} of shape {array.shape}, not numbers")
    if array.size > MOST_VALUES:
        raise InputError(f"the array in {str(path)!r} has {array.size:,} values, more than {MOST_VALUES:,}; cut it")
    domain, values, notes = _placed(path, name, array)
    return Sampled(np.ascontiguousarray(values), domain, path, rate, notes)


def _check(path: Path) -> None:
    check_file(path)
    if path.stat().st_size == 0:
        raise InputError(f"{str(path)!r} is empty (0 bytes); copy or download it again")


def _unit(samples: NDArray[Any]) -> Floats:
    """Whole numbers of any depth in -1..1; floats as they are."""
    if samples.dtype.kind == "f":
        return np.ascontiguousarray(samples, np.float32)
    if samples.dtype == np.uint8:  # bytes of a WAV file are around 128
        return np.ascontiguousarray((samples.astype(np.float32) - 128) / 128)
    return np.ascontiguousarray(samples.astype(np.float64) / -float(np.iinfo(samples.dtype).min), np.float32)


def _loaded(path: Path) -> tuple[str, NDArray[Any], float | None]:
    """Name, array and rate of a file; nothing is unpickled."""
    try:
        content = np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix.lower() == ".npy" else None)
        if isinstance(content, np.ndarray):
            return "", content, None
        with content:
            names = [name for name in content.files if name != "rate"]
            rate = float(content["rate"]) if "rate" in content.files else None
            name = next((known for known in KINDS if known in names), names[0] if len(names) == 1 else "")
            array = np.asarray(content[name]) if name else None
    except (OSError, ValueError, EOFError, TypeError, KeyError, MemoryError, zipfile.BadZipFile) as problem:
        raise InputError(
            f"the array {str(path)!r} is damaged or not a numpy file ({problem}); save it again"
        ) from problem
    if array is None:
        raise InputError(
            f"{str(path)!r} holds the arrays {', '.join(names) or 'none'}; name the one that is explained "
            f"{', '.join(KINDS)}"
        )
    if rate is not None and not 0 < rate < float("inf"):
        raise InputError(f"{str(path)!r} has a rate of {rate}; it is the number of samples in a second")
    return name, array, rate


def _placed(path: Path, name: str, array: NDArray[Any]) -> tuple[str, Floats, tuple[str, ...]]:
    """Domain and values with channels first."""
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] == 3 and name in ("", "clip"):
        frames = np.moveaxis(array, -1, 0).astype(np.float32) / np.float32(255)
        return "space-time", frames, ("bytes of frames taken as 0..1",)
    domain = KINDS.get(name) or {1: "signal", 2: "signal", 3: "volume", 4: "volume"}.get(array.ndim, "")
    axes = AXES.get(domain, 0)
    if not domain or array.ndim not in (axes, axes - 1):
        raise InputError(
            f"the array in {str(path)!r} has the shape {array.shape}; a signal is [t] or [c, t], a volume [z, y, x] "
            "or [c, z, y, x], a clip [t, y, x] or [c, t, y, x]"
        )
    values = array.astype(np.float32)
    return domain, values if array.ndim == axes else values[None], ()
