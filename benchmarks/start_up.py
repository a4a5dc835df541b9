"""What `import sightline` and `sightline --help` take, and whether either of them loads torch.

    python benchmarks/start_up.py
    python benchmarks/start_up.py --toy
    python benchmarks/start_up.py --repetitions 15 --json out.json --write

CPU time (user and system) of a fresh process, with the bare interpreter beside it; the median counts. The first run,
which finds the files outside the system's cache, does not.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from _measure import conditions, dump, options, table, write

HELP = "import sys; sys.argv = ['sightline', '--help']; from sightline.cli.app import main; main()"
COMMANDS = {
    "the interpreter alone": ("pass", None),
    "import sightline": ("import sightline", 0.3),
    "sightline --help": (HELP, 0.6),
}
WATCH = "import atexit, sys; atexit.register(lambda: print('torch:', 'torch' in sys.modules, file=sys.stderr)); "


def cpu_seconds(code: str) -> float:
    """CPU seconds of a fresh interpreter that runs this code."""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{code!r} ended with {child.returncode}")
    return used.ru_utime + used.ru_stime


def loads_torch(code: str) -> bool:
    """Whether torch is among the modules when the code is done."""
    done = subprocess.run([sys.executable, "-c", WATCH + code], capture_output=True, text=True, check=False)
    return "torch: True" in done.stderr


def measure(code: str, repetitions: int) -> list[float]:
    """CPU seconds of each repetition; the first, cold one is left out."""
    return [cpu_seconds(code) for _ in range(repetitions + 1)][1:]


def main() -> None:
    parser = options(__doc__, models=())
    asked = parser.parse_args()
    repetitions = 3 if asked.toy else asked.repetitions
    found = {name: (measure(code, repetitions), loads_torch(code), bar) for name, (code, bar) in COMMANDS.items()}
    rows = [
        [f"`{name}`" if bar else name, f"{statistics.median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}",
         bar or "-", "yes" if torch else "no"]
        for name, (times, torch, bar) in found.items()
    ]  # fmt: skip
    text = table(["command", "CPU seconds", "range", "bar", "loads torch"], rows)
    about = conditions("cpu")
    print(f"{about}\n\n{text}")
    dump(asked.json, {"about": about, "commands": found})
    if asked.write:
        write("startup", f"{about}; median of {repetitions} fresh processes\n\n{text}")


if __name__ == "__main__":
    main()
