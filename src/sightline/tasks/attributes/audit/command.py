"""`sightline audit`: weaknesses of a network and of its data, as a page and a table."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sightline.common.files import write_text
from sightline.common.settings import REQUIRED, Settings, leaves, setting
from sightline.tasks.attributes.audit.trained_on import DataReading, TrainedOn
from sightline.terminal.folder import check_place, whole_folder, write_summary
from sightline.terminal.screen import finite, progress, say, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.tasks.attributes.audit import Audit, Finding, Observations, Redrawn
    from sightline.tasks.attributes.audit.data import Audited
    from sightline.tasks.attributes.audit.page import Section
    from sightline.tasks.attributes.data import AttributeData
    from sightline.tasks.attributes.network.net import AttributeNet

PAGE, TABLE, RECORDS = "audit.html", "findings.csv", "findings.json"
TABLES = {"unread": "heads.csv", "label-noise": "labels.csv", "class-noise": "class_labels.csv"}
"""A line for every head; for the labels to look at first, reported or not."""


@dataclass(frozen=True, kw_only=True)
class AuditOptions(Settings):
    """What is audited."""

    PANEL = "What to audit"

    weights: Path = setting(REQUIRED, "A network with attributes: what `train eat` wrote.")
    data: Path = setting(REQUIRED, "Photos with attributes, or a rendered world.")
    out: Path = setting(Path("sightline_audit"), "Folder for the page and the table.")
    split: str = setting("all", "train, validation, test, or all.")
    layout: str = setting("auto", "cub, awa2, sun, table; auto looks which files are there.", "--data-layout")
    kind: tuple[str, ...] = setting((), "Detectors, with commas. Default: all.")
    limit: int | None = setting(None, "Most pictures, chosen by a hash of their path.", "--count", low=2)
    scenes: int = setting(100, "Scenes of a world that are drawn again; 0 for none.", low=0)
    shown: int = setting(50, "Most findings of a kind on the page; the table has all.", low=1)
    white: float | None = setting(
        None, "Value that is white in pictures of more than 8 bits: 4095 of a 12-bit camera."
    )
    black: float | None = setting(None, "Value that is black in them: -1000 of a CT, for air.")
    trained_on: TrainedOn = TrainedOn()
    as_json: bool = setting(False, "Counts and findings as JSON on standard output.", "--json")

    def command(self, reading: Sequence[str], kind: str = "") -> str:
        """The command line, for all detectors or for one.

        Args:
            reading: its words on how the data is read.
            kind: the detector; empty for all.
        """
        words = ["sightline", "audit", "eat", "--weights", str(self.weights), "--data", str(self.data)]
        words += ["--split", self.split, "--scenes", str(self.scenes), "--out", str(self.out)]
        words += [] if self.layout == "auto" else ["--data-layout", self.layout]
        words += [] if self.limit is None else ["--count", str(self.limit)]
        for name, value in (("--white", self.white), ("--black", self.black)):
            words += [] if value is None else [name, f"{value:g}"]
        return shlex.join([*words, *reading, *(["--kind", kind] if kind else [])])


def eat(ctx: typer.Context, options: AuditOptions) -> None:
    """Audit a network that was taught attributes, and the labels of its data.

    Every finding has its evidence, effect, 95 % interval and the command that prints it again. In a rendered world
    scenes are drawn again with one thing changed; elsewhere labels, maps and masks have to do. The data is read as in
    the network's training, which its file says.
    """
    from sightline.tasks.attributes.audit import DETECTORS
    from sightline.tasks.attributes.audit import audit as look
    from sightline.tasks.attributes.audit.data import fitting
    from sightline.tasks.attributes.network.store import load_attribute_net
    from sightline.terminal.options import selection

    kinds = selection(options.kind, list(DETECTORS), option="--kind")
    check_place(options.out)
    net = load_attribute_net(options.weights)
    reading = DataReading.of(options.trained_on, _given(ctx, options.trained_on), net.kept_reading)
    data = reading.read(options.data, options.layout)
    audited = fitting(net, data, options.split, options.limit)
    notes = tuple(note for note in (reading.described(), *reading.doubts(data), *audited.notes) if note)
    for note in notes:
        say_note(note)
    observations, redrawn = _observations(net, audited, options)
    command = partial(options.command, reading.command())
    outcome = look(observations, redrawn, kinds=kinds, command=command)
    looked = Looked(audited.data, observations, redrawn, reading.same_splits(data), notes, command)
    with whole_folder(options.out) as folder:
        _write(folder, outcome, looked, options)
    _tell(outcome, options.out, as_json=options.as_json)


def _given(ctx: typer.Context, options: Settings) -> set[str]:
    """Names of the options that were typed."""
    sources = {leaf.name: ctx.get_parameter_source(leaf.name) for leaf in leaves(options)}
    return {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}


def _observations(net: AttributeNet, audited: Audited, options: AuditOptions) -> tuple[Observations, Redrawn | None]:
    """Run the network, and draw scenes again where they can be."""
    import tempfile

    from sightline.data.levels import Levels
    from sightline.tasks.attributes.audit.data import drawn_again, watched

    with tempfile.TemporaryDirectory() as work, progress() as bar:
        task = bar.add_task("looking", total=len(audited.data))
        observations = watched(
            net,
            audited,
            Path(work),
            lambda done: bar.update(task, advance=done),
            levels=Levels(options.black, options.white),
        )
        second_task = bar.add_task("drawing again", total=None)
        redrawn = drawn_again(
            net, audited, observations, options.scenes, lambda done: bar.update(second_task, advance=done)
        )
    return observations, redrawn


@dataclass(frozen=True, eq=False)
class Looked:
    """What was looked at.

    Args:
        data: photos.
        observations: what the network said of them.
        redrawn: scenes that were drawn again.
        known: splits whose pictures are those of the training's.
        notes: what was noticed in the reading.
        command: the command line of all detectors, or of one.
    """

    data: AttributeData
    observations: Observations
    redrawn: Redrawn | None
    known: frozenset[str]
    notes: tuple[str, ...]
    command: Callable[..., str]


def _write(folder: Path, outcome: Audit, looked: Looked, options: AuditOptions) -> None:
    """The page, the table twice, every head's skill, the most suspicious labels, and a summary."""
    from sightline._version import __version__
    from sightline.tasks.attributes.audit.judged import figures
    from sightline.tasks.attributes.audit.page import save_audit

    observations, redrawn = looked.observations, looked.redrawn
    facts = {
        "network": options.weights.name,
        "join": observations.join,
        "data": options.data.name,
        "split": options.split,
        "pictures": str(len(observations)),
        **figures(observations, looked.data.split, looked.known),
        "scenes drawn again": "0" if redrawn is None else str(len(redrawn.labels)),
        "sightline": __version__,
    }
    records = [finding.record() for finding in outcome.findings]
    write_text(folder / RECORDS, json.dumps(finite(records), indent=1, ensure_ascii=False) + "\n")
    _csv(folder / TABLE, records)
    for kind, name in TABLES.items():
        table = outcome.verdicts[kind].table if kind in outcome.verdicts else ()
        if table:
            write_text(folder / name, _lines([list(table[0]), *(list(one.values()) for one in table)]))
    write_summary(
        folder, {"facts": facts, "notes": looked.notes, "kinds": _counts(outcome), "command": looked.command()}
    )
    title = f"Weaknesses of {options.weights.name} and of {options.data.name}"
    page = _sections(outcome, options, looked)
    save_audit(page, folder / PAGE, title=title, verdict=_verdict(outcome), facts=facts, notes=looked.notes)


def _verdict(outcome: Audit) -> str:
    """The kinds with findings, the counts of what was tested in the same breath."""
    counts = [f"{len(v.findings)} {kind}" for kind, v in outcome.verdicts.items() if v.findings]
    tested = sum(verdict.tested for verdict in outcome.verdicts.values())
    skipped = [kind for kind, verdict in outcome.verdicts.items() if verdict.skipped]
    text = f"Findings: {', '.join(counts)}" if counts else "Nothing was found that chance could not explain"
    return f"{text}; {tested} places tested" + (f"; not tested: {', '.join(skipped)}." if skipped else ".")


def _sections(outcome: Audit, options: AuditOptions, looked: Looked) -> list[Section]:
    from sightline.tasks.attributes.audit import DETECTORS
    from sightline.tasks.attributes.audit.page import Row, Section, lines_of
    from sightline.tasks.attributes.audit.shown import pictures_of

    def row(finding: Finding) -> Row:
        pictures = pictures_of(looked.data, looked.observations, finding.pictures)
        return Row(**{name: getattr(finding, name) for name in names}, pictures=pictures)

    names = ("id", "where", "says", "effect", "low", "high", "null", "p", "evidence")
    return [
        Section(
            kind=kind,
            subject=DETECTORS[kind].subject,
            question=DETECTORS[kind].question,
            measure="; or ".join(dict.fromkeys(finding.measure for finding in verdict.findings)),
            rule=verdict.rule,
            tested=verdict.tested,
            found=len(verdict.findings),
            skipped=verdict.skipped,
            summary=verdict.summary,
            command=looked.command(kind),
            rows=tuple(row(finding) for finding in verdict.findings[: options.shown]),
            says=verdict.says,
            table=lines_of(verdict.table),
        )
        for kind, verdict in outcome.verdicts.items()
    ]


def _counts(outcome: Audit) -> dict[str, dict[str, Any]]:
    return {
        kind: {
            "found": len(v.findings),
            "tested": v.tested,
            "skipped": v.skipped,
            "rule": v.rule,
            "says": v.says,
            **v.summary,
        }
        for kind, v in outcome.verdicts.items()
    }


def _csv(path: Path, records: list[dict[str, Any]]) -> None:
    """One line per finding; its evidence as JSON in one cell."""
    from sightline.tasks.attributes.audit import Finding

    columns = [field.name for field in fields(Finding)]
    rows: list[list[Any]] = [columns]
    for record in records:
        evidence = json.dumps(finite(record["evidence"]), ensure_ascii=False)
        flat = record | {"evidence": evidence, "pictures": "; ".join(record["pictures"])}
        rows.append(["" if flat[name] is None else flat[name] for name in columns])
    write_text(path, _lines(rows))


def _lines(rows: list[list[Any]]) -> str:
    sink = io.StringIO(newline="")
    csv.writer(sink).writerows(rows)
    return sink.getvalue()


def _tell(outcome: Audit, out: Path, *, as_json: bool) -> None:
    if as_json:
        files = [str(out / name) for name in (PAGE, TABLE, RECORDS)]
        say_json({"kinds": _counts(outcome), "findings": [f.record() for f in outcome.findings], "files": files})
        return
    rows = []
    for kind, verdict in outcome.verdicts.items():
        first = (
            verdict.findings[0].says
            if verdict.findings
            else (f"not tested: {verdict.skipped}" if verdict.skipped else "")
        )
        rows.append((kind, str(len(verdict.findings)), str(verdict.tested), first))
    for verdict in outcome.verdicts.values():
        if verdict.says:
            say(verdict.says)
    say_table(("kind", ">found", ">tested", "first"), rows)
    say(f"{out}: {PAGE}, {TABLE}, {RECORDS}")
