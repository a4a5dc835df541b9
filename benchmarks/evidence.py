"""Tables of `docs/studies/evidence.md` from finished comparisons of `sightline evaluate`.

    python benchmarks/evidence.py coco FOLDER --data coco_subset --write

FOLDER is what `sightline evaluate ... --out FOLDER` has written. The first word names the place on the page that the
table goes to. The command that made the comparison is read from its record and stands above the table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from _measure import PAGE, have, table, write
from sightline.compare import PLACES, Answer, Standing, rank
from sightline.compare.store import read_table
from sightline.explainers import METHODS
from sightline.metrics import METRICS

EVIDENCE = PAGE.with_name("evidence.md")


def command_of(about: dict[str, Any], data: str) -> str:
    """The command that makes this comparison again, from its record."""
    model, settings = about["model"], about["settings"]
    methods = [name for name in settings["methods"] if METHODS[name].family != "Controls"]
    steps = {options["steps"] for options in settings["options"].values() if "steps" in options}
    return " \\\n    ".join(
        [
            f"sightline evaluate {data} --model {model['model'].split(':')[-1]}",
            *([f"--weights {model['weights']}"] if model.get("weights") else []),
            f"--method {','.join(methods)} --metric {','.join(settings['metrics'])}",
            *(f"--steps {number}" for number in steps),
            f"--count {len(about['samples'])} --seed {settings['seed']}",
        ]
    )


def cell(standing: Standing | None) -> str:
    """Mean and interval; bold where better than every control beyond the noise, a star where level with the best."""
    if standing is None:
        return ""
    if standing.interval is None:
        return "not scored"
    found = standing.interval
    text = f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"
    text = f"**{text}**" if standing.beats_controls else text
    return text + (" *" if standing.level else "").replace("*", "\\*")


def metric_table(standings: Sequence[Standing], metric: str) -> str:
    """Methods down, places across; controls at the end."""
    cells = {(s.method, s.place): s for s in standings if s.metric == metric}
    methods = sorted({s.method for s in cells.values()}, key=lambda name: list(METHODS).index(name))
    places = [place for place in PLACES if any(s.place == place for s in cells.values())]
    lines = [
        [
            f"*{name}*" if METHODS[name].family == "Controls" else name,
            *(cell(cells.get((name, place))) for place in places),
        ]
        for name in methods
    ]
    photos = {s.interval.n for s in cells.values() if s.interval}
    counted = f"{min(photos)}" if len(photos) == 1 else f"{min(photos)} to {max(photos)}"
    better = "higher" if METRICS[metric].higher_is_better else "lower"
    head = f"**{METRICS[metric].title}** (`{metric}`, {better} is better, {counted} photos)"
    return f"{head}\n\n{table(['method', *places], lines)}"


def section(folder: Path, data: str) -> str:
    """What goes between the markers: date, command, and one table per metric."""
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    answer: Answer = rank(read_table(folder / "table.parquet"), seed=about["settings"]["seed"])
    versions = ", ".join(f"{name} {have(name)}" for name in ("sightline", "torch") if have(name))
    head = f"{date.today().isoformat()}, {versions}.\n\n```bash\n{command_of(about, data)}\n```"
    tables = [metric_table(answer.standings, metric) for metric in about["settings"]["metrics"]]
    return "\n\n".join([head, *tables, f"Verdict of the command: {answer.verdict}"])


def toy_comparison() -> Path:
    """A comparison of four scenes of a small world, in a temporary folder."""
    import subprocess
    import sys
    import tempfile

    work = Path(tempfile.mkdtemp())
    run = [sys.executable, "-c", "from sightline.cli.app import main; main()"]
    for arguments in (
        ["world", "render", "--out", "birds", "--count", "24", "--size", "64"],
        ["evaluate", "birds", "--count", "4", "--cue", "none", "--method", "gradcam", "--metric", "energy-in-mask",
         "--out", "found"],
    ):  # fmt: skip
        subprocess.run([*run, *arguments], cwd=work, check=True, capture_output=True)
    return work / "found"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="the table's name on the page")
    parser.add_argument("folder", nargs="?", type=Path, help="a finished comparison")
    parser.add_argument("--data", help="the data set's folder, as it is to stand in the command")
    parser.add_argument("--write", action="store_true", help="put it into docs/studies/evidence.md")
    parser.add_argument("--toy", action="store_true", help="a comparison of four scenes, made for it: for CI")
    options = parser.parse_args()
    if options.toy:
        options.folder, options.data = toy_comparison(), "birds"
    elif options.name is None or options.folder is None or options.data is None:
        parser.error("give NAME, FOLDER and --data, or --toy")
    text = section(options.folder, options.data)
    print(text)
    if options.write and not options.toy:
        write(options.name, text, EVIDENCE)


if __name__ == "__main__":
    main()
