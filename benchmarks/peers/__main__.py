"""Compare Sightline with the packages of others, in an environment of their own.

    python -m benchmarks.peers --make ENV     a new environment with Sightline and the peers
    python -m benchmarks.peers --run ENV      the differential tests in it; exit 1 where one disagrees or is left out

Run from the root of the repository. The new environment sees the packages of the one that makes it, so that torch is
not installed twice; `--apart` installs everything anew. zennit and quantus are LGPL and are imported by tests alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ["captum>=0.8", "grad-cam>=1.5.5", "torchcam>=0.5", "zennit>=0.5.1"]
ALONE = ["lxt>=2.1"]
"""Installed without what they ask for: only rules are used, and those need torch alone."""

TESTS = "tests/differential"


def main() -> int:
    """Make the environment, or run the tests in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", type=Path, metavar="ENV", help="make this environment")
    parser.add_argument("--run", type=Path, metavar="ENV", help="run the comparison in this environment")
    parser.add_argument("--apart", action="store_true", help="with --make: install torch and all else anew")
    options = parser.parse_args()
    if options.make is None and options.run is None:
        parser.error("nothing to do: give --make ENV, --run ENV or both")
    if options.make is not None:
        make(options.make, apart=options.apart)
    return 0 if options.run is None else run(options.run)


def make(folder: Path, *, apart: bool) -> None:
    """A new environment; one that is there is taken further."""
    venv.create(folder, with_pip=True)
    if not apart:
        _link(folder)
    extras = "[test,captum]" if apart else ""
    _pip(folder, "--editable", f"{ROOT}{extras}", *([] if apart else ["--no-deps"]))
    _pip(folder, *PEERS)
    _pip(folder, "--no-deps", *ALONE)


def _link(folder: Path) -> None:
    """Let the environment see the packages of this one."""
    own = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    paths = [path for path in sys.path if "site-packages" in path]
    (Path(own) / "of_the_maker.pth").write_text("\n".join(paths) + "\n")


def _pip(folder: Path, *words: str) -> None:
    subprocess.run([python(folder), "-m", "pip", "install", "--quiet", *words], check=True)


def python(folder: Path) -> str:
    """The environment's interpreter."""
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def run(folder: Path) -> int:
    """The differential tests, none of them skipped: a peer that is not there is a failure here."""
    words = [python(folder), "-m", "pytest", "-n", "0", "-rs", "-q", TESTS]
    result = subprocess.run(words, cwd=ROOT, env={**os.environ, "SIGHTLINE_PEERS": "all"}, check=False)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
