"""A table on a page is what the command beside it prints: same columns, same rows, held to the script's toy run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.benchmarks.script import run
from tests.docs.conftest import ROOT

DOCS = ROOT / "docs"
NETWORK = r"toy|birdnet|alexnet|googlenet|swin_t|convnext_tiny|vgg11_features|[a-z]+\w*\d\w*"
LAYER = r"(?:features|classifier)\.\d+|\d+(?:\.\d+)*"

EAT = ("controls", "guided", "bottlenecks", "grounding", "text", "faithfulness")
CLICKS = ("clicks planted", "clicks classes")
HARDER = ("events ways, harder", "events areas, harder", "events networks", "events weights")
LATER = ("events epochs", "events real", "events real clips", "events real encoder")
OTHERS = "^default$|factorised|AVEL|shared|wide|self-|no match|modality|^0.1$|^3$|^24 epochs$"
"""Rows of the study of events that its toy leaves out."""
EVENTS = tuple(
    f"events {name}" for name in ("recognition", "by event", "ways", "negative", "areas", "forgotten", "speed")
)
EAT_STUDY = ("claims", "recognition", "bases", "guides", "texts", "tuned", "chosen")
CAPTIONS = tuple(f"captions {name}" for name in ("relations", "transfer", "pointing", "normalisers", "critical"))
BOTH = ("mobilenet_v2", "squeezenet1_0")
TRUTH = {"mosaics": BOTH, "faithful": BOTH, "causal": BOTH, "shuffled": BOTH, "damping": BOTH[:1]}


@dataclass(frozen=True)
class Printed:
    """A Markdown table: names of its columns, and the cells by which its rows are told apart."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Script:
    """A script's toy run and the tables of the docs that it writes.

    `free` are the words that depend on what is measured (networks, layers): they are compared as one word. `keys` are
    the columns that name a row; rows that match `absent` are left out by one side;
    `within`: a page may show a part of the rows.
    """

    command: str
    marks: tuple[str, ...]
    free: str = NETWORK
    keys: int = 1
    absent: str = field(default=r"(?!)", kw_only=True)
    within: bool = field(default=False, kw_only=True)

    def run(self, folder: Path) -> str:
        result = run(*self.command.split(), "--toy", folder=folder)
        assert result.returncode == 0, result.stderr
        return result.stdout


SCRIPTS = [
    Script("maps_cost.py", ("table: maps_cost", "table: maps_cost_again", "table: fixed_cost", "table: peers")),
    Script("maps_memory.py", ("table: memory",), keys=2, absent="torchcam|grad-cam|captum"),
    Script("flow_cost.py", ("table: flow_cost", "table: flow_cost_again", "table: flow_cost_gpu")),
    Script("flow_cost.py --memory --batch 2 --repetitions 1", ("table: flow_memory",)),
    Script("flow_cost.py --batches 1 8 32", ("table: flow_batches",)),
    Script("naflow_cost.py --memory", ("table: naflow_cost",)),
    Script("metrics_cost.py", ("table: metrics_cost", "table: quantus")),
    Script("start_up.py", ("table: startup",), free="(?!)"),
    Script("page_cost.py", ("table: page",), free="(?!)", absent="first paint|slider"),
    Script("words_cost.py", ("table: words",), free="(?!)"),
    Script("pairs.py", ("table: pairs",), free="(?!)"),
    Script("domains.py", ("table: domains",), free="(?!)"),
    Script("gates_cost.py", ("table: gates", "table: gates-system"), free=r"(?!)", absent="EAN", within=True),
    Script("eat_audit.py", ("table: audit-noise", "table: audit-background"), free="(?!)", absent=".*"),
    Script("eat.py", tuple(f"eat {name}" for name in EAT), free="(?!)", absent=".*"),
    Script("eat_study.py", tuple(f"eat_study {name}" for name in EAT_STUDY), free="(?!)", absent=".*"),
    Script("eat_texts.py", ("eat_texts seen", "eat_texts typical"), free="(?!)", absent=".*"),
    Script("eat_points.py --seeds 3", ("eat_points pointing", "eat_points energy"), free="(?!)", keys=2, within=True),
    Script("clicks.py --study planted --study classes", CLICKS, free="(?!)", within=True),
    Script("events.py --study drawn --study speed", EVENTS, free="(?!)", absent="real clips"),
    Script("events.py --study harder --study networks --study weights", HARDER, free="(?!)", absent=OTHERS),
    Script("events.py --study epochs --study real", LATER, free="(?!)"),
    Script("captions.py", CAPTIONS, free="(?!)", within=True, absent=".*"),
    Script("captions_photos.py", ("captions photos",), free="(?!)", absent="^SAN"),
    Script("eat_noise.py", ("eat_noise photos",), free="(?!)", keys=2, absent="CUB, attributes|CIFAR"),
    Script("eat_tuned_audit.py", ("eat_tuned_audit noise", "eat_tuned_audit heads"), free="(?!)", absent="^1$"),
    Script("drawing_peers.py", ("table: peers-drawn",), free="(?!)"),
    Script("drawing_search.py --tries", ("table: tries",), free="(?!)", keys=2),
    Script("drawing_search.py --hues", ("table: hues",), free="(?!)", absent=".*"),
    Script("fine_tuning.py", ("fine_tuning few photos",), free="(?!)", keys=2, within=True),
    Script("xai_tris.py", ("xai_tris precision", "xai_tris gain"), free="(?!)"),
    Script("evidence.py", ("table: coco-where", "table: cub-where"), free=r"(?!)", absent=r".*"),
    *(Script(f"flow_truth.py {study}", tuple(f"table: truth-{study}-{net}" for net in nets), LAYER, absent="captum")
      for study, nets in TRUTH.items()),
]  # fmt: skip


def tables_of(text: str, *, free: str, keys: int) -> list[Printed]:
    """All tables of a text, with what is free replaced by one word."""
    tables, lines = [], text.splitlines()
    for at, line in enumerate(lines[:-1]):
        if line.startswith("|") and re.fullmatch(r"\|[-:| ]+\|", lines[at + 1]):
            end = at + 2
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            rows = tuple(dict.fromkeys(_cells(row, free)[:keys] for row in lines[at + 2 : end]))
            tables.append(Printed(tuple(dict.fromkeys(_cells(line, free))), rows))
    return tables


def _cells(line: str, free: str) -> tuple[str, ...]:
    cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")))
    return tuple("..." if re.fullmatch(free, cell) else cell for cell in cells)


def marked(mark: str) -> str:
    """What stands on the pages between this mark and the next end."""
    pages = [page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md"))]
    texts = [page.partition(f"<!-- {mark} -->")[2].partition("<!-- end -->")[0] for page in pages]
    return "".join(texts)


def differences(page: list[Printed], toy: list[Printed], absent: str, *, within: bool) -> list[str]:
    """Tables of the page that the script does not print so."""
    problems = []
    for table in page:
        same = [one for one in toy if one.columns == table.columns]
        rows = {row for row in table.rows if not any(re.search(absent, cell) for cell in row)}
        if not same:
            problems.append(f"no table with the columns {table.columns}; printed: {[one.columns for one in toy]}")
        elif within and any(rows <= set(one.rows) for one in same):
            continue
        elif not any(rows == {r for r in one.rows if not any(re.search(absent, c) for c in r)} for one in same):
            problems.append(f"rows {sorted(rows ^ set(same[0].rows))} stand on one side only")
    return problems


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.command)
def test_a_table_has_the_columns_and_rows_that_its_script_prints(script: Script, tmp_path: Path) -> None:
    printed = script.run(tmp_path)
    toy = tables_of(printed, free=script.free, keys=script.keys)
    assert toy
    for mark in script.marks:
        if "quantus" in mark and "its table is left out" in printed:
            continue
        page = tables_of(marked(mark), free=script.free, keys=script.keys)
        assert page, f"no page has a table <!-- {mark} -->"
        assert not differences(page, toy, script.absent, within=script.within), mark


def test_every_script_runs_at_toy_size_somewhere() -> None:
    here = {script.command.split()[0] for script in SCRIPTS}
    elsewhere = (ROOT / ".ci" / "run", ROOT / "tests" / "benchmarks" / "test_scripts.py")
    texts = " ".join(path.read_text(encoding="utf-8") for path in elsewhere)
    scripts = {path.name for path in (ROOT / "benchmarks").glob("[!_]*.py")}
    assert {name for name in scripts - here if name not in texts} == set()
