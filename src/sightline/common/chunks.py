"""The memory budget: work in chunks, halve the chunk when memory runs out, and say so.

It knows nothing of what is being done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from sightline.common.steps import report
from sightline.errors import InputError

T = TypeVar("T")
log = logging.getLogger(__name__)


def out_of_memory(problem: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    if isinstance(problem, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(problem)
    return "not enough memory" in text or "out of memory" in text or "can't allocate memory" in text


def in_chunks(work: Callable[[slice], T], total: int, size: int | None = None) -> Iterator[tuple[slice, T]]:
    """Do `work` on slices of `total` items; a slice that does not fit into memory is tried again at half its size.

    Args:
        work: what to do with a slice; it must leave nothing behind when it fails.
        total: number of items.
        size: items at a time; None is all at once.

    Yields:
        Each slice and what `work` gave for it, in order.

    Raises:
        InputError: a single item does not fit, or the size is not positive.
    """
    if size is not None and size < 1:
        raise InputError(f"the batch size must be at least 1, not {size}")
    step = min(size or total, total)
    start = 0
    while start < total:
        part = slice(start, min(start + step, total))
        done, result = _attempt(work, part)
        if done:
            report(part.stop, total)
            yield part, result  # type: ignore[misc]
            start = part.stop
            continue
        if step == 1:
            raise InputError(
                "memory ran out on a single sample; use a smaller picture, fewer layers or another device"
            )
        step = max(1, (part.stop - part.start) // 2)
        log.warning("memory ran out; going on with %d samples at a time", step)


def _attempt(work: Callable[[slice], T], part: slice) -> tuple[bool, T | None]:
    """Whether the work fitted into memory, and its result; anything else that goes wrong is passed on."""
    try:
        return True, work(part)
    except (RuntimeError, MemoryError) as problem:
        if not out_of_memory(problem):
            raise
    # Outside the `except`: the problem's traceback would keep the tensors of the failed pass alive.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False, None
