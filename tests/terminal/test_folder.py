"""Result folders are whole or not there."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.errors import ResultError
from sightline.terminal.folder import SUMMARY, check_place, folder_names, whole_folder, write_summary


def write(folder, text, **files):
    with whole_folder(folder) as partial:
        write_summary(partial, {"text": text})
        for name, content in files.items():
            (partial / name).write_text(content)
        assert not folder.exists() or read(folder) != text


def read(folder):
    return json.loads((folder / SUMMARY).read_text()).get("text")


def break_off(folder, problem):
    with whole_folder(folder) as partial:
        write_summary(partial, {"text": "half"})
        raise problem


def test_a_folder_appears_when_it_is_whole_and_is_replaced_in_one_step(tmp_path):
    write(tmp_path / "deep" / "a", "first")
    write(tmp_path / "deep" / "a", "second")
    assert read(tmp_path / "deep" / "a") == "second"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a"]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, ResultError, OSError])
def test_whatever_interrupts_leaves_what_was_there(tmp_path, problem):
    write(tmp_path / "a", "first")
    expected = ResultError if problem is OSError else problem
    with pytest.raises(expected):
        break_off(tmp_path / "a", problem)
    assert read(tmp_path / "a") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_parents_that_were_made_for_nothing_are_removed(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "x" / "y" / "a"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_files_are_put_in_place_comes_too_late(tmp_path, monkeypatch):
    write(tmp_path / "a", "first", page="1", stale="1")
    replace, interrupts = Path.replace, [KeyboardInterrupt]

    def interrupted(self, target):
        if self.name == "page" and interrupts:
            raise interrupts.pop()
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "a", "second", page="2", other="2")
    assert {path.name: path.read_text() for path in (tmp_path / "a").iterdir() if path.name != SUMMARY} == {
        "page": "2",
        "other": "2",
    }
    write(tmp_path / "a", "third", page="3")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_not_listed_stays_through_a_rerun(tmp_path):
    write(tmp_path / "a", "first", page="1", stale="1")
    (tmp_path / "a" / "notes.txt").write_text("mine")
    (tmp_path / "a" / "drafts").mkdir()
    (tmp_path / "a" / "drafts" / "page").write_text("mine too")
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    write(tmp_path / "a", "second", page="2")
    assert {path.name for path in (tmp_path / "a").iterdir()} == {SUMMARY, "page", "notes.txt", "drafts", "link"}
    assert (tmp_path / "a" / "drafts" / "page").read_text() == "mine too"
    assert (tmp_path / "a" / "page").read_text() == "2"


def edited(folder):
    (folder / "page").write_text("my words")


def linked(folder):
    (folder / "page").rename(folder.parent / "elsewhere")
    (folder / "page").symlink_to(folder.parent / "elsewhere")


def hollowed(folder):
    (folder / "page").unlink()
    (folder / "page").mkdir()


def described(folder):
    summary = json.loads((folder / SUMMARY).read_text())
    (folder / SUMMARY).write_text(json.dumps({**summary, "comment": "see me"}))


@pytest.mark.parametrize("change", [edited, linked, hollowed, described])
def test_a_file_of_ours_that_somebody_changed_is_refused_before_any_work(change, tmp_path):
    write(tmp_path / "a", "first", page="1")
    change(tmp_path / "a")
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    with pytest.raises(ResultError, match=r"changed"):
        check_place(tmp_path / "a")
    assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "a").iterdir()} == before


def test_a_new_file_never_takes_the_place_of_a_users(tmp_path):
    write(tmp_path / "a", "first", page="1")
    (tmp_path / "a" / "walk").write_text("mine")
    with pytest.raises(ResultError, match="walk"):
        write(tmp_path / "a", "second", page="2", walk="2")
    assert (read(tmp_path / "a"), (tmp_path / "a" / "page").read_text()) == ("first", "1")
    assert (tmp_path / "a" / "walk").read_text() == "mine"


def test_a_folder_behind_a_link_is_written_behind_the_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "disk" / "a")
    write(tmp_path / "a", "first")
    write(tmp_path / "a", "second")
    assert (tmp_path / "a").is_symlink()
    assert read(tmp_path / "disk" / "a") == "second"


@pytest.mark.parametrize(
    "summary",
    [
        {"sightline": "0.9", "model": {}, "files": ["page", "summary.json"]},
        {"facts": {}, "kinds": {}, "command": "sightline audit eat"},
    ],
    ids=["explain", "audit"],
)
def test_folders_of_earlier_versions_are_known_by_their_summary(summary, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / SUMMARY).write_text(json.dumps(summary))
    for name in ("page", "audit.html", "notes"):
        (tmp_path / "a" / name).write_text("old")
    write(tmp_path / "a", "new")
    ours = {"page"} if "files" in summary else {"audit.html"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {SUMMARY, "notes", "page", "audit.html"} - ours


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(tmp_path):
    code = f"""
import time
from pathlib import Path
from sightline.terminal.folder import whole_folder
with whole_folder(Path({str(tmp_path / "a")!r})) as partial:
    (partial / "page").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGKILL)
    mine = tmp_path / f".b.{run.pid}.partial"
    mine.mkdir()
    (tmp_path / ".b.partial").mkdir()
    assert (tmp_path / ".a.partial" / "page").exists()
    write(tmp_path / "a", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a", mine.name, ".b.partial"}
    with pytest.raises(ResultError, match=r"\.b\.partial.*exists"):  # in the way, and not ours
        write(tmp_path / "b", "whole")
    assert (tmp_path / ".b.partial").exists()


def test_two_processes_that_write_one_result_come_one_after_the_other(tmp_path):
    code = f"""
import sys
from pathlib import Path
from sightline.terminal.folder import whole_folder, write_summary
for number in range(20):
    with whole_folder(Path({str(tmp_path / "a")!r})) as partial:
        write_summary(partial, {{"text": sys.argv[1]}})
        (partial / "page").write_text(sys.argv[1])
"""
    runs = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "xyz"]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert read(tmp_path / "a") == (tmp_path / "a" / "page").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").touch()
    with pytest.raises(ResultError, match="left alone"):
        write(tmp_path / "a", "x")
    assert (tmp_path / "a" / "mine.txt").exists()


def test_folder_names_differ_whatever_the_case_and_never_leave_the_folder():
    photos = [Path("Bird.png"), Path("x/bird.JPG"), Path("bird.2.gif"), Path("...png"), Path(" .png")]
    assert folder_names(photos) == ["Bird", "bird-2", "bird.2", "photo", "photo-2"]
