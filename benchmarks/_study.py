"""What studies of many trainings share: intervals over seeds, tables, and the page that holds them."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from _measure import STUDIES, between
from sightline.common.files import write_text

Rows = list[dict[str, str]]
PAGES = {
    "eat": "attributes",
    "eat_study": "eat",
    "eat_texts": "texts",
    "eat_points": "places",
    "eat_noise": "audit",
    "eat_tuned_audit": "audit",
    "fine_tuning": "fine-tuning",
    "xai_tris": "pixels",
}
"""Pages whose name is not that of their script."""


def interval(values: Sequence[float], sign: str = "+", *, share: bool = False) -> str:
    """Mean and Student's 95 % interval over seeds; NaN is left out, and the interval of a share ends at 0 and 1.

    Values that are all equal have none.
    """
    from scipy.stats import sem, t

    clean = [v for v in values if not math.isnan(v)]
    if len(clean) < 2:
        return f"{clean[0]:{sign}.3f} (1 seed)" if clean else "-"
    if max(clean) == min(clean):
        return f"{clean[0]:{sign}.3f} ({len(clean)} seeds, all equal)"
    mean = float(np.mean(clean))
    low, high = t.interval(0.95, len(clean) - 1, loc=mean, scale=sem(clean))
    if share:
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{mean:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def markdown(rows: Rows) -> str:
    """A table; columns may have one name if they differ in blanks at its end."""
    if not rows:
        return "(no finished cells)"
    lines = [[head.strip() for head in rows[0]], ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def arguments(
    about: str | None, work: str, page: str, studies: Sequence[str], *, seeds: int = 5
) -> argparse.ArgumentParser:
    """What every study is asked: train or tables, which part, where."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="train", choices=("train", "tables"))
    parser.add_argument("--study", action="append", choices=studies, help="which studies; all by default")
    parser.add_argument("--work", type=Path, default=Path(work), help="folder of data, networks and figures")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--part", default="0/1", help="which share of the cells this process trains")
    parser.add_argument("--json", type=Path, help="a file for the tables")
    parser.add_argument(
        "--write", action="store_true", help=f"put the tables between their marks in docs/studies/{page}"
    )
    parser.add_argument("--toy", action="store_true", help="a few cells of seconds, in a folder that is thrown away")
    return parser


def part_of(asked: argparse.Namespace) -> tuple[int, int]:
    """Which share of the cells, of how many: `0/2` is the first half."""
    at, of = (int(v) for v in asked.part.split("/"))
    return at, of


def publish(tables: dict[str, Rows], page: str, *, json_to: Path | None = None, write: bool = False) -> None:
    """Print tables; keep them as JSON, and put them between `<!-- PAGE NAME -->` and `<!-- end -->`, if asked."""
    for name, rows in tables.items():
        print(f"\n{name}\n\n{markdown(rows)}")
    if json_to:
        write_text(json_to, json.dumps(tables, indent=1))
    if not write:
        return
    path = STUDIES / f"{PAGES.get(page, page)}.md"
    words = path.read_text(encoding="utf-8")
    for name, rows in tables.items():
        mark = f"<!-- {page} {name} -->"
        if mark in words and rows:
            words = between(words, mark, f"\n\n{markdown(rows)}\n\n")
    write_text(path, words)
