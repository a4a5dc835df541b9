"""The words on a picture: captions, shortened names, numbers for people. It knows no drawing library."""

from __future__ import annotations

import math

from sightline.results import MEANING, AttentionMap, Decision, Status

NOTES: dict[str, str] = {
    "carried": "score carried through this layer",
    "drift": "relevance lost to biases",
    "object": "share on the object",
    "object_area": "share that is object",
    "object_others": "share of other pictures' maps on it",
    "prefix": "share on class and register tokens",
    "abandoned": "share abandoned",
    "kept": "share of neurons kept",
    "sinks": "sink tokens",
    "sinks_relevance": "relevance on sink tokens",
    "growth": "growth of the norm",
    "residual": "residual of the solution",
    "iterations": "iterations of the solver",
    "damping": "damping",
}
"""What notes of well-known names mean; a note of any other name stands under its name."""
NAMES: dict[str, str] = {
    "probability": "probability",
    "score": "score",
    "half": "half of the evidence in",
    "box": "share in the box",
    "region": "share in the region",
    "against": "evidence against it",
    "concentration": "concentration",
    "grid": "cells",
    "peak": "peak",
}
"""Names of the numbers that every map has."""
HELP: dict[str, str] = {
    "probability": "Of this decision, as the network gives it; networks are often too sure.",
    "score": "The output that is explained, mostly a logit.",
    "half": "Share of the picture: the smallest area that holds half of the evidence. Even evidence has 50 %.",
    "against": "Share of the map's magnitude that lowers the score.",
    "concentration": "Share of the map's magnitude in the strongest tenth of its cells. An even map has 10 %.",
    "grid": "Rows × columns of this layer. The map knows nothing finer than a cell.",
    "peak": "Largest magnitude of a cell, in units of the method.",
    "carried": "Relevance that reaches this layer. LRP keeps the score, up to what biases take.",
    "drift": "Score less the relevance of this layer. Zero where all is conserved.",
    "box": "Share of the positive evidence within the box of the decision.",
    "region": "Share of the positive evidence within the places that the decision is about.",
    "object": "Share of the positive evidence within the object's mask.",
    "object_area": "Share of the picture within that mask: what an even map has on it.",
    "object_others": "Share within that mask of the mean map of the other pictures of the same run.",
    "prefix": "Evidence on tokens that belong to no place of the picture.",
    "abandoned": "Evidence on paths that the method did not follow.",
    "kept": "Neurons that the method kept as evidence.",
    "sinks": "Tokens of abnormal norm that hold attention but show no place of the picture.",
    "sinks_relevance": "Share of the relevance on those tokens.",
}
"""What a number is, in a line."""
SHARES = ("abandoned", "kept", "object", "object_area", "object_others", "prefix")
"""Notes that are shares."""


ROLES: dict[str, str] = {
    "why": "for it",
    "contrast": "tells it apart",
    "absent": "missing",
    "against": "against it",
    "doubt": "unusual",
    "change": "would change it",
    "typical": "typical, not seen",
    "unproven": "unproven",
}
"""What the roles of phrases are called; a role of any other name stands under its name."""


def short(text: str, most: int) -> str:
    """A text cut in its middle to at most `most` characters.

    Example:
        >>> short("features.denseblock4", 11)
        'featu…lock4'
    """
    text = clean(" ".join(text.split()))
    if len(text) <= most:
        return text
    head = most // 2
    return text[:head] + "…" + text[len(text) - (most - head - 1) :]


def clean(text: str) -> str:
    """A text that can be written as UTF-8: half characters, as in odd file names, become question marks."""
    return text.encode("utf-8", "replace").decode()


def number(value: float) -> str:
    """A number in at most four significant digits.

    Example:
        >>> number(0.000588123)
        '0.0005881'
    """
    return f"{value:.4g}"


def decided(decision: Decision) -> str:
    """The decision's score and probability in words; nothing where the score is not known.

    Example:
        >>> decided(Decision("cat", 12.5, probability=0.25))
        'score 12.5 · 25.0 %'
    """
    if math.isnan(decision.score):
        return ""
    chance = "" if decision.probability is None else f" · {100 * decision.probability:.1f} %"
    return f"score {number(decision.score)}{chance}"


def grid(map_: AttentionMap) -> str:
    """A map's grid in words, rows first.

    Example:
        >>> import torch
        >>> grid(AttentionMap(torch.ones(7, 9), "last"))
        '7×9'
    """
    if sections := len(map_.domain.labels):
        return f"{map_.shape[0]}×{map_.shape[1] // sections} in {sections} sections"
    return "×".join(map(str, map_.shape))


def warning(map_: AttentionMap) -> str:
    """The status in a word if there is something to say about it, else nothing."""
    return "" if map_.status is Status.OK else str(map_.status)


def meaning(map_: AttentionMap) -> str:
    """The status as a sentence: `zero: every value is exactly zero ...`."""
    return f"{map_.status}: {MEANING[map_.status]}"
