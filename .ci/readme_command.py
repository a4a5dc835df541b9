"""Print a command of the README: `python .ci/readme_command.py explain|test`.

The README is the one place where they are written; the block behind `<!-- command: NAME -->` is the command.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def readme_command(name: str) -> str:
    """The command that is marked by this name, on one line.

    Raises:
        SystemExit: the README has no such command.
    """
    found = re.search(
        rf"<!-- command: {name} -->\s*```bash\n(.*?)\n```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    if found is None:
        sys.exit(f"{README.name} has no command {name!r}")
    return " ".join(found[1].replace("\\\n", " ").split())


if __name__ == "__main__":
    sys.stdout.write(readme_command(sys.argv[1]) + "\n")
