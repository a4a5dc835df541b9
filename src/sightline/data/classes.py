"""Names of classes as people write them: `001.Amber_Finch` and `Amber Finch` are one."""

from __future__ import annotations


def folded_name(name: str) -> str:
    """A class name without its number, in lower case with blanks: equal for two spellings of one class."""
    head, dot, tail = name.partition(".")
    return (tail if dot and head.isdigit() else name).replace("_", " ").lower()
