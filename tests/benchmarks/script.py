"""Runs a script of `benchmarks/` in this process: a fresh one would take seconds to import what is here already.

Scripts that set what cannot be put back, such as the C library's allocator, have a process of their own, and so has
one that opens a browser: a process has one loop for browsers, and the session's may be open.
"""

from __future__ import annotations

import io
import logging
import os
import random
import runpy
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
APART = ("gates_cost.py", "page_cost.py")
"""Scripts with a process of their own."""
LOGGERS = ("", "lightning", "lightning.pytorch")


def run(script: str, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A script as `python benchmarks/SCRIPT WORDS` runs it: its output, and how it ended.

    Args:
        script: name of the file.
        words: what stands behind it.
        folder: where it runs; here.
    """
    path, output, errors = str(SCRIPTS / script), io.StringIO(), io.StringIO()
    if script in APART:
        command = [sys.executable, path, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    with ExitStack() as undo:
        undo.enter_context(_as_before())
        undo.enter_context(chdir(folder or Path.cwd()))
        undo.enter_context(patch.object(sys, "argv", [path, *words]))
        undo.enter_context(patch.object(sys, "path", [str(SCRIPTS), *sys.path]))
        undo.enter_context(patch.object(tempfile, "tempdir", None))  # read anew from TMPDIR, as a process does
        undo.enter_context(redirect_stdout(output))
        undo.enter_context(redirect_stderr(errors))
        code = _ending(path, errors)
    return subprocess.CompletedProcess([path, *words], code, output.getvalue(), errors.getvalue())


def _ending(path: str, errors: io.StringIO) -> int:
    """The exit code of a script."""
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            errors.write(end.code)
            return 1
        return end.code or 0
    except Exception:  # noqa: BLE001 - as the interpreter would
        errors.write(traceback.format_exc())
        return 1
    return 0


@contextmanager
def _as_before() -> Iterator[None]:
    """What a script sets for its own process is put back."""
    threads, state = torch.get_num_threads(), (random.getstate(), np.random.get_state(), torch.get_rng_state())
    disabled, levels = logging.root.manager.disable, [logging.getLogger(name).level for name in LOGGERS]
    with warnings.catch_warnings(), patch.dict(os.environ):
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            random.setstate(state[0])
            np.random.set_state(state[1])
            torch.set_rng_state(state[2])
            logging.disable(disabled)
            for name, level in zip(LOGGERS, levels, strict=True):
                logging.getLogger(name).setLevel(level)
