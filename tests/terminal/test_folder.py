"""Result folders are whole or not there."""

from pathlib import Path

import pytest

from sightline.errors import ResultError
from sightline.terminal.folder import SUMMARY, folder_names, whole_folder


def write(folder, text):
    with whole_folder(folder) as partial:
        (partial / SUMMARY).write_text(text)
        assert not folder.exists() or (folder / SUMMARY).read_text() != text


def break_off(folder, problem):
    with whole_folder(folder) as partial:
        (partial / SUMMARY).write_text("half")
        raise problem


def test_a_folder_appears_when_it_is_whole_and_is_replaced_in_one_step(tmp_path):
    write(tmp_path / "deep" / "a", "first")
    write(tmp_path / "deep" / "a", "second")
    assert (tmp_path / "deep" / "a" / SUMMARY).read_text() == "second"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a"]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, ResultError, OSError])
def test_whatever_interrupts_leaves_what_was_there(tmp_path, problem):
    write(tmp_path / "a", "first")
    expected = ResultError if problem is OSError else problem
    with pytest.raises(expected):
        break_off(tmp_path / "a", problem)
    assert (tmp_path / "a" / SUMMARY).read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_parents_that_were_made_for_nothing_are_removed(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "x" / "y" / "a"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_between_the_two_renames_puts_the_old_one_back(tmp_path, monkeypatch):
    write(tmp_path / "a", "first")
    rename = Path.rename

    def interrupted(self, target):
        if self.name.endswith(".partial"):
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "a", "second")
    assert (tmp_path / "a" / SUMMARY).read_text() == "first"
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
