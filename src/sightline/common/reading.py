"""Files that people write or send - text, JSON, TOML, tables - read or refused in one sentence.

The text names the file, the line where there is one, and what to try. It knows no format of ours.
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import InputError, SightlineError, near

Error = type[SightlineError]
LARGEST = 2**30
"""Most bytes of a text that is read: a list of a million pictures has a tenth of it."""
DEEPEST = 100
"""Most brackets in one another; Python gives up near a thousand, and so would whoever writes the content again."""
DELIMITERS = ",;\t"


def check_file(path: Path, what: str = "file", *, error: Error = InputError) -> None:
    """Refuse what is no regular file, before anything waits for a pipe or reads a device.

    Args:
        path: the file.
        what: name of the kind of file in the error text: `labels file`.
        error: the kind of error.

    Raises:
        error: it is not there, a folder, a pipe, a device, a link that leads nowhere, or may not be looked at.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise error(_missing(path, what)) from problem
    except (OSError, ValueError) as problem:  # a loop of links, a name that is too long or holds a NUL
        raise error(f"cannot read the {what} {str(path)!r}: {_reason(problem)}") from problem
    if stat.S_ISDIR(mode):
        raise error(f"the {what} {str(path)!r} is a folder, not a file; give a file")
    if not stat.S_ISREG(mode):
        raise error(f"the {what} {str(path)!r} is not a regular file but a pipe or a device; save it to a file first")


def check_listed(path: Path, where: str, what: str = "picture", *, error: Error = InputError) -> None:
    """`check_file` of a file that another one names.

    Args:
        path: the file.
        where: place that names the file: the other file and its row.
        what: name of the kind of file in the error text.
        error: the kind of error.

    Raises:
        error: as `check_file`.
    """
    try:
        check_file(path, what, error=error)
    except error as problem:
        text = f"{where}: {problem}"
        raise error(text) from problem


def is_file(path: Path) -> bool:
    """Whether a regular file is there; nothing is, where the system refuses the name."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there; nothing is, where the system refuses the name."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_there(path: Path, what: str = "file", *, error: Error = InputError) -> bool:
    """Whether a file that may be left out is there.

    Raises:
        error: something lies in its place that is no regular file, such as a link that leads nowhere.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as problem:
        raise error(f"cannot read the {what} {str(path)!r}: {_reason(problem)}") from problem
    check_file(path, what, error=error)
    return True


def read_text(path: Path, what: str = "file", *, error: Error = InputError) -> str:
    """A text in UTF-8, without its byte order mark, its lines ended by line feeds.

    Raises:
        error: it is no regular file, too large, in another encoding, or no text.
    """
    check_file(path, what, error=error)
    try:
        if path.stat().st_size > LARGEST:
            raise error(f"the {what} {str(path)!r} is larger than {LARGEST // 2**20} MiB; give a smaller one")
        content = path.read_bytes()
    except OSError as problem:
        raise error(f"cannot read the {what} {str(path)!r}: {_reason(problem)}") from problem
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(f"the {what} {str(path)!r}, line {line}, is not UTF-8 text; save it as UTF-8") from problem
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise error(
            f"the {what} {str(path)!r}, line {line}, holds a NUL byte, so it is not UTF-8 text; save it as UTF-8"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path, what: str = "file", *, error: Error = InputError) -> Iterator[tuple[int, str]]:
    """Numbered lines of a text that are not blank, without the blanks around them.

    Raises:
        error: as `read_text`.
    """
    for number, line in enumerate(read_text(path, what, error=error).split("\n"), 1):
        if stripped := line.strip():
            yield number, stripped


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        content = json.loads(text)
    except RecursionError as problem:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep") from problem
    _check_depth(content)
    return content


def read_json(path: Path, what: str = "file", *, error: Error = InputError) -> Any:
    """What a JSON file holds.

    Raises:
        error: as `read_text`, or it is no JSON.
    """
    text = read_text(path, what, error=error)
    try:
        return parse_json(text)
    except ValueError as problem:
        raise error(f"the {what} {str(path)!r} is not in JSON, or is damaged ({problem})") from problem


def read_json_lines(path: Path, what: str = "file", *, error: Error = InputError) -> Iterator[tuple[int, Any]]:
    """What every line of a file holds, by its number.

    Raises:
        error: as `read_text`, or a line is no JSON.
    """
    for number, line in read_lines(path, what, error=error):
        try:
            yield number, parse_json(line)
        except ValueError as problem:
            raise error(f"the {what} {str(path)!r}, line {number}, is not in JSON ({problem})") from problem


def read_toml(path: Path, what: str = "file", *, error: Error = InputError) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        error: as `read_text`, or it is no TOML.
    """
    import tomllib

    text = read_text(path, what, error=error)
    try:
        content = tomllib.loads(text)
        _check_depth(content)
    except (ValueError, RecursionError) as problem:
        reason = f"nested more than {DEEPEST} levels deep" if isinstance(problem, RecursionError) else problem
        raise error(f"the {what} {str(path)!r} is not in TOML ({reason})") from problem
    return content


@dataclass(frozen=True)
class Table:
    """A table with a header.

    Args:
        path: the file.
        header: names of the columns; no two are the same.
        rows: the number of each, the header's being 1, and its cells by column, without blanks around them.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def read_table(path: Path, what: str = "table", *, error: Error = InputError, lower: bool = False) -> Table:
    """A table with a header, its cells parted by commas, semicolons or tabs.

    Args:
        path: the file.
        what: name of the kind of file in the error text.
        error: the kind of error.
        lower: whether the header is turned into lower case.

    Raises:
        error: as `read_text`; the header names a column twice or not at all; a row has more or fewer cells.
    """
    text = read_text(path, what, error=error)
    try:
        lines = rows_of(text)
    except ValueError as problem:
        raise error(f"the {what} {str(path)!r} cannot be read ({problem}); correct that row") from problem
    if not lines:
        raise error(f"the {what} {str(path)!r} has no row, not even a header")
    header = tuple(name.lower() if lower else name for name in lines[0][1])
    if twice := [name for name, count in Counter(header).items() if count > 1 or not name]:
        raise error(f"the {what} {str(path)!r} has a header in which {twice[0]!r} stands twice or is empty")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise error(
                f"the {what} {str(path)!r}, row {number}: expected {len(header)} cells as in the header, found "
                f"{len(cells)}"
            )
    return Table(path, header, tuple((number, dict(zip(header, cells, strict=True))) for number, cells in lines[1:]))


def column_named(table: Table, name: str, option: str, *, error: Error = InputError) -> str:
    """The column that a user names, whatever its case and the blanks around it; one of that very name comes first.

    Args:
        table: a table.
        name: as the user wrote it.
        option: what it was given to, for the error text.
        error: the kind of error.

    Raises:
        error: there is no such column; the text lists near names.

    Example:
        >>> column_named(Table(Path("a.csv"), ("file", "Patient"), ()), " patient", "--group-by")
        'Patient'
    """
    wanted = name.strip()
    if wanted in table.header:
        return wanted
    column = next((one for one in table.header if one.lower() == wanted.lower()), None)
    if column is None:
        raise error(f"{option} {name}: {str(table.path)!r} has no such column; {near(name, table.header)}")
    return column


def rows_of(text: str, delimiters: str = DELIMITERS) -> list[tuple[int, list[str]]]:
    """Rows of a table's text: the number of each from 1, and its cells; blank lines are counted, but left out.

    Raises:
        ValueError: a quotation mark is never closed, or a cell is too long; the text names the row.
    """
    first = text.lstrip("\n").partition("\n")[0]
    lines = csv.reader(io.StringIO(text), delimiter=max(delimiters, key=first.count), strict=True)
    rows: list[list[str]] = []
    try:
        rows.extend([cell.strip() for cell in cells] for cells in lines)
    except csv.Error as problem:
        raise ValueError(f"row {len(rows) + 1}: {problem}") from problem
    return [(number, row) for number, row in enumerate(rows, 1) if len(row) > 1 or any(row)]


def _check_depth(content: Any) -> None:
    """Walk the content level by level, which never recurses.

    Raises:
        ValueError: it is nested too deeply.
    """
    level = [content]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def _missing(path: Path, what: str) -> str:
    """In words, with names like it in its folder."""
    if path.is_symlink():
        return f"the {what} {str(path)!r} is a link to {str(path.readlink())!r}, which is not there; mend the link"
    try:
        beside = [other.name for other in path.parent.iterdir()]
    except OSError:
        beside = []
    hint = f"in its folder, {near(path.name, beside)}" if beside else "check the path and the folder that you are in"
    return f"there is no {what} {str(path)!r}; {hint}"


def _reason(problem: Exception) -> str:
    """What the system says, in words."""
    return str(getattr(problem, "strerror", None) or problem)
