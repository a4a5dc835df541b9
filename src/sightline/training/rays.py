"""Ray, started quietly: nothing is reported to anybody, and what this process started it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sightline.errors import MissingExtraError


@contextmanager
def ray_session(workers: int, use: str) -> Iterator[Any]:
    """Ray on this machine, or on the cluster that `RAY_ADDRESS` names, while the block runs.

    Args:
        workers: places for work on a machine of our own.
        use: what it is for, for the error text.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as problem:
        raise MissingExtraError("ray", "audit", use) from problem
    ours = not ray.is_initialized()
    if ours:
        ray.init(**_settings(workers))
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _settings(workers: int) -> dict[str, Any]:
    """Of Ray's start: quiet, without its web page; as many places as workers on a machine of our own."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    return quiet if os.environ.get("RAY_ADDRESS") else {**quiet, "include_dashboard": False, "num_cpus": workers}
