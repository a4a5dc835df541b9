"""Our few exceptions, and how they are worded.

Each text says what was asked, what was found and what to try. This file knows nothing of the rooms above.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from sightline.renamed import WORKING, renamed


class SightlineError(Exception):
    """Base of everything that Sightline raises on purpose; the command line prints it as one sentence."""


class InputError(SightlineError):
    """A photo, tensor or file that was handed in cannot be used as it is."""


class DataError(SightlineError):
    """A data set breaks the format that it claims to follow."""


class ModelError(SightlineError):
    """A model or its weights cannot be loaded, or cannot be looked into."""


class UnfollowedError(ModelError):
    """A model computes in a way that a flow cannot be followed through."""


class LayerError(SightlineError):
    """A layer does not exist, did not run, or holds nothing that can be drawn as a map."""


class TargetError(SightlineError):
    """The decision that was asked for cannot be read off this model's output."""


class MethodError(SightlineError):
    """A method is unknown, or cannot be used on this model."""


class ResultError(SightlineError):
    """A saved result is missing, incomplete or from another schema."""


class TrainingError(SightlineError):
    """A training cannot begin, go on, or be resumed as it was asked for."""


class GateError(SightlineError):
    """A gate cannot be plugged, shared or taken out as it was asked for."""


class MissingExtraError(SightlineError):
    """An optional dependency is not installed; the text names the extra that brings it.

    Args:
        package: what is missing.
        extra: the extra that brings it; None where there is none, and the package is installed by its own name.
        purpose: what needs it.
        other: another way, if there is one.
    """

    def __init__(self, package: str, extra: str | None, purpose: str, *, other: str = "") -> None:
        brings = package if extra is None else f"'sightline[{extra}]'"
        more = f"; or {other}" if other else ""
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. Try: pip install {brings}{more}"
        )


def near(name: str, names: Iterable[str], *, most: int = 5) -> str:
    """The part of an error text that lists names close to the one asked for, or says how it is called now.

    Example:
        >>> near("zebre", ["zebra", "horse"])
        "near names: 'zebra'"
    """
    known = sorted(set(names))
    # Modules and arguments may well be called as an option was.
    if name not in WORKING and (new := renamed(name, known)):
        return f"it is called {new!r} now"
    by_lower = {known_name.lower(): known_name for known_name in known}
    hits = difflib.get_close_matches(name.lower(), by_lower, n=most, cutoff=0.55)
    hits += [low for low in by_lower if name and name.lower() in low and low not in hits][: most - len(hits)]
    if hits:
        return "near names: " + ", ".join(repr(by_lower[hit]) for hit in hits)
    shown = ", ".join(repr(known_name) for known_name in known[:most])
    rest = f" and {len(known) - most} more" if len(known) > most else ""
    return f"known names: {shown}{rest}" if known else "there are no names to choose from"
