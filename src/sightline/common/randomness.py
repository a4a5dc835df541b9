"""Torch's random state: put back as it was found, or seeded for a while; also where several threads share it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sightline.common.threads import surely

_DRAWING = threading.RLock()
_STATES: dict[torch.device, tuple[int, Tensor]] = {}
"""Of each device: how many contexts are open, and the random state that the first of them found."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of this seed inside, on every device; no other thread draws through Sightline meanwhile."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with _DRAWING, torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield


@contextmanager
def random_state_kept(devices: Iterable[torch.device]) -> Iterator[None]:
    """Put back the random state of the CPU and of these devices.

    Torch has one state for all threads: where several are inside, the last to leave puts back what the first found.
    """
    saved: dict[torch.device, Tensor] = {}
    try:
        with _DRAWING:
            for device in {torch.device("cpu"), *(d for d in devices if d.type == "cuda")}:
                state = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
                count, first = _STATES.get(device, (0, state))
                _STATES[device] = count + 1, first
                saved[device] = state
        yield
    finally:
        surely(lambda: _put_back(saved))


def _put_back(saved: dict[torch.device, Tensor]) -> None:
    with _DRAWING:
        while saved:
            device, own = saved.popitem()
            count, first = _STATES.pop(device)
            if count > 1:
                _STATES[device] = count - 1, first
            state = own if count > 1 else first
            if device.type == "cuda":
                torch.cuda.set_rng_state(state, device)
            else:
                torch.set_rng_state(state)
