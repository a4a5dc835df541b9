"""What a user prefers in every call: a variable of the environment, or a line in a file of their own.

The variable goes before the file. The file is `sightline/config.toml` in the folder of the user's configurations:
`$XDG_CONFIG_HOME`, `%APPDATA%` on Windows, or else `~/.config`. This file knows no preference by name.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from sightline.common.reading import read_toml
from sightline.errors import InputError, near

KNOWN = ("method", "progress")
"""Names that the file may set."""


class Preference(NamedTuple):
    """A preference, and where it was found, in words.

    Args:
        value: what the user wrote.
        where: the variable or the file.
    """

    value: str
    where: str


def preference(name: str) -> Preference | None:
    """What the user prefers; None where nothing was set.

    Args:
        name: `method` is `SIGHTLINE_METHOD` in the environment, and `method = "..."` in the file.

    Raises:
        InputError: the file cannot be read, or sets something else.
    """
    variable = f"SIGHTLINE_{name.upper()}"
    if value := os.environ.get(variable, "").strip():
        return Preference(value, f"the variable {variable}")
    path = preferences_file()
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return None
    content = _content(path, stamp)
    return Preference(content[name], f"the file {str(path)!r}") if name in content else None


def preferences_file() -> Path:
    """The user's own file of preferences; it need not be there."""
    folder = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    return Path(folder or Path.home() / ".config") / "sightline" / "config.toml"


@lru_cache(maxsize=4)
def _content(path: Path, stamp: int) -> dict[str, str]:
    """What the file sets; it is read anew where its stamp is another.

    Raises:
        InputError: a name is not known, or its value is no text.
    """
    content: dict[str, Any] = dict(read_toml(path, "configuration"))
    for name, value in content.items():
        if name not in KNOWN:
            raise InputError(
                f"the configuration {str(path)!r} sets {name!r}, which is not a setting; {near(name, KNOWN)}"
            )
        if not isinstance(value, str):
            raise InputError(f"the configuration {str(path)!r} sets {name} to {value!r}; write it in quotes")
    return content
