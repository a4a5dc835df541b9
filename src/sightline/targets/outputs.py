"""What a model returns, described for error texts."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sightline.common.nested import parts_of


def describe(output: Any, depth: int = 3) -> str:
    """A short account of an output's parts and shapes, for error texts."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}" + ("" if output.is_floating_point() else f" of {output.dtype}")
    parts = parts_of(output) if depth else {}
    if not parts:
        return type(output).__name__
    if isinstance(output, tuple | list) and not hasattr(output, "_fields"):
        return "(" + ", ".join(describe(part, depth - 1) for part in parts.values()) + ")"
    inner = "{" + ", ".join(f"{key!r}: {describe(part, depth - 1)}" for key, part in parts.items()) + "}"
    return inner if isinstance(output, dict) else f"{type(output).__name__} {inner}"
