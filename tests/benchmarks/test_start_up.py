"""Start-up: light in CPU time, and without torch."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

import pytest

HELP = "import sys; sys.argv = ['sightline', '--help']; from sightline.cli.app import main; main()"
WATCH = "import atexit, sys; atexit.register(lambda: print('torch:', 'torch' in sys.modules, file=sys.stderr)); "


def cpu_seconds(code: str) -> float:
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(("code", "bar"), [("import sightline", 0.3), (HELP, 0.6)], ids=["import", "help"])
def test_start_up_is_quick(code, bar):
    cpu_seconds(code)
    assert statistics.median(cpu_seconds(code) for _ in range(3)) < bar


@pytest.mark.parametrize("code", ["import sightline", HELP], ids=["import", "help"])
def test_start_up_loads_no_torch(code):
    done = subprocess.run([sys.executable, "-c", WATCH + code], capture_output=True, text=True, check=True)
    assert "torch: False" in done.stderr
