"""`--texts FILE`: what the network says of a whole set, a row per picture and decision, as CSV, JSON or JSON lines.

Rows are kept as they come, so a run that stops goes on where it was. A picture that cannot be read gets a row that
says why. It knows nothing of options.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli.job import ExplainJob, JobResult, display_names, explained, readable
from sightline.cli.tiled import together
from sightline.common.files import make_folder, write_text
from sightline.common.reading import read_json_lines
from sightline.common.runs import begin, locked
from sightline.common.text import printable
from sightline.errors import InputError, ResultError, near
from sightline.terminal.summary import explanation_record

if TYPE_CHECKING:
    from sightline.models.load import LoadedModel

ENDINGS = (".csv", ".json", ".jsonl")
COLUMNS = ("file", "decision", "index", "probability", "score", "text", "seen", "typical", "where", "error")
UNSEEN = ("typical", "unproven", "change")
"""Roles of phrases that were not seen in the picture."""
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First letters that make a spreadsheet run a cell as a formula."""
CHUNK = 8
Row = dict[str, Any]


@dataclass(frozen=True)
class Texts:
    """The file of texts, and the folder in which its rows are kept until all are there.

    Args:
        path: what is written at the end.
    """

    path: Path

    @property
    def work(self) -> Path:
        """Folder of a run that is not finished."""
        return self.path.with_name(f"{self.path.name}.work")

    @property
    def rows(self) -> Path:
        """Rows so far."""
        return self.work / "rows.jsonl"

    def check(self) -> None:
        """Refuse a place before any work.

        Raises:
            InputError: the ending is not known.
            ResultError: there is a file already.
        """
        if self.path.suffix.lower() not in ENDINGS:
            raise InputError(f"--texts {str(self.path)!r}: {near(self.path.suffix, ENDINGS)}; a format is an ending")
        if self.path.exists():
            raise ResultError(f"--texts {str(self.path)!r} is there already; name another file, or remove it")

    def known(self) -> list[Row]:
        """Rows of a run that stopped; a last one that was cut short is left out."""
        if not self.rows.is_file():
            return []
        text = self.rows.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            write_text(self.rows, whole)
        return [row for _, row in read_json_lines(self.rows)] if whole else []

    @contextmanager
    def adding(self) -> Iterator[Callable[[Sequence[Row]], None]]:
        """Rows are added to the file while the block runs."""
        with self.rows.open("a", encoding="utf-8") as file:

            def add(rows: Sequence[Row]) -> None:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                file.flush()

            yield add

    def finish(self) -> None:
        """Write the file, and remove what was only kept on the way."""
        rows = self.known()
        writer = {".csv": as_csv, ".json": as_json, ".jsonl": as_lines}[self.path.suffix.lower()]
        write_text(self.path, writer(rows))
        for path in (self.rows, self.work / "run.json"):
            path.unlink(missing_ok=True)
        self.work.rmdir()


def run_texts(
    photos: Sequence[Path],
    loaded: LoadedModel,
    job: ExplainJob,
    texts: Texts,
    *,
    result: JobResult,
    step: Callable[[], None],
) -> int:
    """Write what the network says of every photo.

    Args:
        photos: files.
        loaded: the model.
        job: what is asked of each.
        texts: where to.
        result: photos that cannot be read are noted in it.
        step: called after each photo.

    Returns:
        How many rows the file has.

    Raises:
        ResultError: the folder of rows is another run's, or nothing can be written.
    """
    make_folder(texts.work)
    tiles = {} if job.tiles is None else {"tiles": job.tiles, "overlap": job.overlap}
    facts = {"model": loaded.provenance, "target": str(job.target), "contrast": job.contrast, "seed": job.seed,
             "methods": job.methods, "levels": dict(job.levels), "set": job.changes, **tiles}  # fmt: skip
    cure = f"remove {str(texts.work)!r} to begin anew"
    with locked(texts.work, cure="wait"):
        rows = texts.known()
        begin(texts.work / "run.json", facts, begun=bool(rows), holds="texts of", cure=cure, error=ResultError)
        names, done = display_names(photos), {row["file"] for row in rows}
        result.errors += [{"source": row["file"], "error": row["error"]} for row in rows if row["error"]]
        rest = [photo for photo in photos if str(photo) not in done]
        for _ in range(len(photos) - len(rest)):
            step()
        with texts.adding() as add:
            size = together(job, CHUNK)
            for start in range(0, len(rest), size):
                part, before = rest[start : start + size], len(result.errors)
                inputs = list(readable(part, loaded, job, result))
                add([_failure(error) for error in result.errors[before:]])
                for photo, items in explained(inputs, loaded, job, names):
                    add(_rows(str(photo.path), [explanation_record(item) for item in items], items))
                for _ in part:
                    step()
        count = len(texts.known())
        texts.finish()
    return count


def _rows(file: str, records: Sequence[Mapping[str, Any]], items: Any) -> list[Row]:
    """A row for each decision of a picture; several methods say the same."""
    from sightline.reports.headline import main_record

    rows: dict[tuple[Any, str], Row] = {}
    for record, item in zip(records, items, strict=True):
        phrases = record["phrases"]
        rows.setdefault(
            (record["index"], record["decision"]),
            {
                "file": file,
                **{name: record[name] for name in ("decision", "index", "probability", "score")},
                "text": " ".join(record["sentences"]),
                "seen": [_phrase(phrase) for phrase in phrases if phrase["role"] not in UNSEEN],
                "typical": [_phrase(phrase) for phrase in phrases if phrase["role"] == "typical"],
                "where": main_record(item)["where"],
                "error": "",
            },
        )
    return list(rows.values())


def _failure(error: Mapping[str, str]) -> Row:
    empty: Row = dict.fromkeys(COLUMNS, None)
    return {**empty, "file": error["source"], "text": "", "seen": [], "typical": [], "error": error["error"]}


def _phrase(phrase: Mapping[str, Any]) -> Row:
    return {name: phrase[name] for name in ("text", "role", "probability")}


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV that a spreadsheet opens without running anything: such cells begin with an apostrophe.

    Args:
        rows: with the keys of `COLUMNS`.

    Example:
        >>> row = dict.fromkeys(COLUMNS, "") | {"file": "=1+1.png", "seen": [], "typical": []}
        >>> as_csv([row]).splitlines()[1][:10]
        "'=1+1.png,"
    """
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        table.writerow([_cell(row[name]) for name in COLUMNS])
    return sink.getvalue()


def as_json(rows: Sequence[Row]) -> str:
    """Rows as one JSON list."""
    return json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"


def as_lines(rows: Sequence[Row]) -> str:
    """Rows as JSON, a line each."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _cell(value: Any) -> str:
    """A value as a cell: numbers as they are, lists of phrases with their probabilities, texts without formulas."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    text = "; ".join(map(_words, value)) if isinstance(value, list) else printable(str(value))
    return f"'{text}" if text.startswith(FORMULAS) else text


def _words(phrase: Row) -> str:
    chance = phrase["probability"]
    words = f"no {phrase['text']}" if phrase["role"] == "absent" else phrase["text"]
    return printable(words) if chance is None else f"{printable(words)} {chance:.2f}"
