"""Small logs in the formats that people have."""

from __future__ import annotations

import random
from pathlib import Path

CATEGORIES = [f"{number:08x}" for number in range(7)]


def criteo_rows(rows: int = 50, seed: int = 0) -> list[list[str]]:
    """Criteo's 40 columns with empty cells and negative numbers."""
    draw = random.Random(seed)
    table = []
    for _ in range(rows):
        numbers = [draw.choice(["", "-1", "0", "3", "120"]) for _ in range(13)]
        table.append([str(int(draw.random() < 0.3)), *numbers, *(draw.choice([*CATEGORIES, ""]) for _ in range(26))])
    return table


def write_tsv(path: Path, rows: list[list[str]], *, end: str = "\n", delimiter: str = "\t") -> Path:
    path.write_bytes((end.join(delimiter.join(row) for row in rows) + end).encode())
    return path


def small_log(path: Path, *, rows: int = 300, delimiter: str = ",", end: str = "\n") -> Path:
    """A table with a header: two categories whose equality makes clicks, a user, a price, a time."""
    draw = random.Random(1)
    table = [["click", "user_id", "a", "b", "price", "timestamp"]]
    for number in range(rows):
        a, b = draw.choice("xyz"), draw.choice("xyz")
        click = int(draw.random() < (0.8 if a == b else 0.2))
        table.append([str(click), f"u{number % 9}", a, b, f"{draw.random():.3f}", str(1_000_000_000 + number)])
    return write_tsv(path, table, end=end, delimiter=delimiter)
