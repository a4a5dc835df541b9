"""Where the documentation is, and its generators."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "docs" / "_gen", ROOT / ".ci"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
