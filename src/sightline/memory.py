"""Telling memory shortage from other errors, on any device. It knows nothing of what was being done."""

from __future__ import annotations

import torch


def out_of_memory(problem: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    if isinstance(problem, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(problem)
    return "not enough memory" in text or "out of memory" in text or "can't allocate memory" in text
