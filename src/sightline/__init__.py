"""Sightline: see where a neural network looks - at every layer, for any decision it makes.

Names are resolved on first use, so that importing the package loads neither torch nor any extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sightline.errors import SightlineError
    from sightline.frontdoor import explain
    from sightline.pairs import embed, explain_pair
    from sightline.results import AttentionMap, Decision, Explanation, Explanations, Flow, Phrase, load

_HOME = {
    "AttentionMap": "sightline.results",
    "Decision": "sightline.results",
    "Explanation": "sightline.results",
    "Explanations": "sightline.results",
    "Flow": "sightline.results",
    "Phrase": "sightline.results",
    "SightlineError": "sightline.errors",
    "embed": "sightline.pairs",
    "explain": "sightline.frontdoor",
    "explain_pair": "sightline.pairs",
    "load": "sightline.results",
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
    "load",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'sightline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
