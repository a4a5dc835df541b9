"""Sightline: see where a neural network looks - at every layer, for any decision it makes.

Names are resolved on first use, so that importing the package loads neither torch nor any extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sightline._version import __version__

if TYPE_CHECKING:
    from sightline.api.embed import embed
    from sightline.api.explain import explain
    from sightline.api.explain_pair import explain_pair
    from sightline.api.explain_tiles import explain_tiles
    from sightline.api.open_model import open_model
    from sightline.errors import SightlineError
    from sightline.results import AttentionMap, Decision, Explanation, Explanations, Flow, Phrase, load

_HOME = {
    "AttentionMap": "sightline.results",
    "Decision": "sightline.results",
    "Explanation": "sightline.results",
    "Explanations": "sightline.results",
    "Flow": "sightline.results",
    "Phrase": "sightline.results",
    "SightlineError": "sightline.errors",
    "embed": "sightline.api.embed",
    "explain": "sightline.api.explain",
    "explain_pair": "sightline.api.explain_pair",
    "explain_tiles": "sightline.api.explain_tiles",
    "load": "sightline.results",
    "open_model": "sightline.api.open_model",
}

__all__ = [
    "AttentionMap",
    "Decision",
    "Explanation",
    "Explanations",
    "Flow",
    "Phrase",
    "SightlineError",
    "__version__",
    "embed",
    "explain",
    "explain_pair",
    "explain_tiles",
    "load",
    "open_model",
]


def __getattr__(name: str) -> Any:
    if name == "targets":
        return import_module("sightline.targets")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'sightline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
