"""Print the oldest version of every package that pyproject.toml admits, as constraints for pip.

    python .ci/oldest.py > oldest.txt

Tools (pytest, ruff, ...) are left as they are: what is in question is what the library runs with.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
EXTRAS = ("captum", "video", "train", "audit", "gates")


def oldest(texts: list[str]) -> list[str]:
    """`name==version` for every requirement with a lower bound."""
    lines = []
    for need in map(Requirement, texts):
        bounds = [bound.version for bound in need.specifier if bound.operator in (">=", "~=", "==")]
        lines += [f"{need.name}=={bound}" for bound in bounds[:1]]
    return lines


def main() -> None:
    """Read the project file."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = [text for name in EXTRAS for text in project["optional-dependencies"][name]]
    sys.stdout.write("\n".join(oldest([*project["dependencies"], *extras])) + "\n")


if __name__ == "__main__":
    main()
