"""Files that people write, read or refused in one sentence."""

import os
import threading
from pathlib import Path

import pytest

from sightline.common.reading import (
    Table,
    column_named,
    is_there,
    parse_json,
    read_json,
    read_table,
    read_text,
    read_toml,
)
from sightline.errors import DataError, InputError


def test_a_byte_order_mark_and_foreign_line_ends_are_taken_off(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_text(tmp_path / "a.txt") == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a\nb\né\n".encode("latin-1"), "line 3, is not UTF-8 text"),
        ("a\nb\n".encode("utf-16"), "is not UTF-8 text"),
        ("a\nb\n".encode("utf-16-le"), "holds a NUL"),
        (b"a\nb\0\n", "line 2, holds a NUL"),
    ],
)
def test_a_text_in_another_encoding_is_refused_with_its_line(tmp_path, content, words):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_text(tmp_path / "a.txt", "list", error=DataError)


def _pipe(path):
    os.mkfifo(path)


def _loop(path):
    path.symlink_to(path.name)


def _dangling(path):
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (_pipe, "a pipe or a device"),
        (_loop, "symbolic links"),
        (_dangling, "is a link to 'nowhere', which is not there"),
        (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
    ],
)
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path, make, words):
    make(tmp_path / "a.txt")
    outcome = []
    worker = threading.Thread(target=lambda: outcome.append(_refusal(read_text, tmp_path / "a.txt")), daemon=True)
    worker.start()
    worker.join(5)
    assert outcome, "it waits"
    assert words in outcome[0]
    with pytest.raises(InputError):
        is_there(tmp_path / "a.txt")


def _refusal(step, *words):
    try:
        step(*words)
    except InputError as problem:
        return str(problem)
    return "read"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot read"):
        read_text(tmp_path / name)


def test_a_missing_file_is_answered_with_names_like_it(tmp_path):
    (tmp_path / "labels.txt").touch()
    with pytest.raises(InputError, match=r"there is no labels file .*near names: 'labels.txt'"):
        read_text(tmp_path / "lables.txt", "labels file")
    assert not is_there(tmp_path / "lables.txt")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 150 + "]" * 150, "9" * 5000, "", "{]"])
def test_json_that_is_none_or_too_deep_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="is not in JSON"):
        read_json(tmp_path / "a.json")


def test_json_of_a_usual_depth_is_read():
    assert parse_json("[" * 90 + "]" * 90)


@pytest.mark.parametrize("text", ["a=" + "[" * 100_000, "a=" + "[" * 150 + "]" * 150, "a=" + "9" * 5000, "a"])
def test_toml_that_is_none_or_too_deep_is_refused(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match="is not in TOML"):
        read_toml(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not even a header"),
        ("a,a\n1,2\n", "'a' stands twice"),
        ("a,\n1,2\n", "'' stands twice or is empty"),
        ("a,b\n1,2\n3\n", "row 3: expected 2 cells"),
        ("a,b\n1,2\n3,4,5\n", "row 3: expected 2 cells"),
        ('a,b\n1,"2\n3,4\n', "cannot be read .row 2"),
        ("a,b\n1," + "x" * 200_000 + "\n", "cannot be read .row 2"),
    ],
)
def test_a_broken_row_of_a_table_is_named(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_rows_know_their_number_and_blank_lines_are_none(tmp_path, sign):
    text = 'a,b\n\n1,"two\nlines"\n \n3,x\x0cy\n'.replace(",", sign)
    (tmp_path / "a.csv").write_text(text)
    table = read_table(tmp_path / "a.csv")
    assert table.rows == ((3, {"a": "1", "b": "two\nlines"}), (5, {"a": "3", "b": "x\x0cy"}))


def test_a_column_is_found_in_any_case_and_that_very_name_comes_first() -> None:
    table = Table(Path("a.csv"), ("file", "Patient", "patient"), ())
    assert column_named(table, " patient ", "--group-by") == "patient"
    assert column_named(table, "PATIENT", "--group-by") == "Patient"
    with pytest.raises(InputError, match=r"--group-by patients: 'a\.csv' has no such column; near names: 'patient'"):
        column_named(table, "patients", "--group-by")
