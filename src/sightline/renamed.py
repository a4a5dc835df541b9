"""What had another name before: an old option, verb, method or argument is answered with its new name.

Options of `WORKING` still work, with a note; of the others no alias is kept. This is the one table of all of them; it
must know nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

NAMES: dict[str, tuple[str, ...]] = {
    "accelerator": ("device",),
    "backbone": ("model",),
    "batch": ("batch-size",),
    "best": ("monitor",),
    "consistency": ("consistency-weight",),
    "decay": ("weight-decay",),
    "dimensions": ("width",),
    "drop-out": ("part-dropout",),
    "drops": ("lr-milestones",),
    "factor": ("lr-gamma",),
    "grid": ("model",),
    "held-out": ("test-share",),
    "labels": ("label-columns",),
    "layer": ("layers",),
    "layers": ("blocks",),
    "layout": ("data-layout",),
    "least-count": ("min-count",),
    "limit": ("count",),
    "loose": ("random-scenes",),
    "model-args": ("model-arg",),
    "outside": ("outside-weight",),
    "parts": ("part-weight",),
    "photos": ("count",),
    "place": ("depth",),
    "pooling": ("pool",),
    "rate": ("lr",),
    "reading": ("attribute-stride", "attribute-width"),
    "relevance": ("lrp",),
    "side": ("size",),
    "smoothing": ("label-smoothing",),
    "split": ("split-by",),
    "spread": ("executor",),
    "stages": ("layers",),
    "trunk-rate": ("trunk-lr-factor",),
    "validation": ("validation-share",),
    "warm-up": ("lr-warm-up",),
    "width": ("attribute-width",),
}
"""Old names to new ones, without dashes in front; the first that is known where it was asked for is meant."""
WORKING = {
    "backbone", "dimensions", "drop-out", "grid", "held-out", "labels", "layer", "layers", "layout", "least-count",
    "limit", "photos", "pooling", "side", "split", "validation", "warm-up",
}  # fmt: skip
"""Old options that are still taken on the command line, as their new ones."""


def renamed(name: str, known: Container[str]) -> str | None:
    """The name that an old one has now, written as it was; None where it never had another.

    Args:
        name: what was asked for; dashes in front are kept, underscores are dashes.
        known: the names that there are, written likewise.

    Example:
        >>> renamed("--rate", ["--lr"]), renamed("relevance", ["lrp"]), renamed("rate", ["layers"])
        ('--lr', 'lrp', None)
    """
    bare = name.lstrip("-")
    dashes = name[: len(name) - len(bare)]
    options = (dashes + new for new in NAMES.get(bare.lower().replace("_", "-"), ()))
    return next((option for option in options if option in known), None)


def answering(function: Callable[P, R]) -> Callable[P, R]:
    """The function; an argument by its old name is answered with its new one."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for old in kwargs:
            if (new := renamed(old, function.__annotations__)) and old not in function.__annotations__:
                raise TypeError(f"{function.__name__}() has no argument {old!r}; it is called {new!r} now")
        return function(*args, **kwargs)

    return call
