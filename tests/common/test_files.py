"""Files are whole or not there, and nobody's file is written over."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sightline.common.files import (
    check_place,
    sweep,
    whole_file,
    with_parents,
    write_bytes,
    write_sealed,
    write_tensors,
    write_text,
)
from sightline.errors import DataError, ResultError

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def broken_off(path, problem):
    with whole_file(path) as temporary:
        temporary.write_text("half")
        raise problem


def interrupted(path, name=None):
    with with_parents(path):
        assert path.parent.is_dir()
        if name:
            (path.parents[1] / name).touch()
        raise KeyboardInterrupt


@pytest.mark.parametrize("problem", [KeyboardInterrupt, OSError(28, "No space left on device"), ValueError])
def test_a_writer_that_fails_leaves_the_former_file_and_no_other(tmp_path, problem):
    write_text(tmp_path / "a", "first")
    expected = ResultError if isinstance(problem, OSError) else problem
    with pytest.raises(expected):
        broken_off(tmp_path / "a", problem)
    assert (tmp_path / "a").read_text() == "first"
    assert names(tmp_path) == ["a"]


def test_a_full_disk_is_one_sentence_of_the_wanted_kind(tmp_path):
    with pytest.raises(DataError, match=r"cannot write to '.*a': No space left.*free some space"):  # noqa: SIM117
        with whole_file(tmp_path / "a", error=DataError):
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("place", ["missing/a", "file/a", "folder"])
def test_a_place_that_cannot_be_written_is_one_sentence(place, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(ResultError, match="cannot write to"):
        write_bytes(tmp_path / place, b"x")
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(ROOT, reason="root may write everything")
def test_a_file_that_is_write_protected_stays(tmp_path):
    (tmp_path / "a").write_text("mine")
    (tmp_path / "a").chmod(stat.S_IRUSR)
    with pytest.raises(ResultError):
        write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "mine"


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "disk" / "a")
    write_text(tmp_path / "a", "first")
    write_text(tmp_path / "a", "second")
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "disk" / "a").read_text() == "second"
    assert names(tmp_path / "disk") == ["a"]


def test_a_written_file_has_the_permissions_that_open_gives(tmp_path):
    (tmp_path / "plain").write_text("x")
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["n" * 250 + ".txt", "n." + "s" * 250, "ä" * 120])
def test_the_longest_names_can_be_written(name, tmp_path):
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a.tmp", ".a.PID", "a.PID", ".a.partial", "a.part"])
def test_a_users_file_of_a_temporary_name_is_never_touched(name, tmp_path):
    name = name.replace("PID", str(os.getpid()))
    (tmp_path / name).write_text("mine")
    write_text(tmp_path / "a", "x")
    assert (tmp_path / name).read_text() == "mine"


def test_parents_that_were_made_for_nothing_go_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "x" / "y" / "a")
    assert names(tmp_path) == []
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "x" / "y" / "a", "mine")
    assert names(tmp_path / "x") == ["mine"]


def test_equal_tensors_and_metadata_are_equal_bytes_in_every_process(tmp_path):
    code = """
import sys, torch
from pathlib import Path
from sightline.common.files import write_tensors
for number, words in enumerate((sys.argv[3:], sys.argv[:2:-1])):
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, dtype=torch.float16)}
    write_tensors(Path(sys.argv[1]) / f"{sys.argv[2]}{number}", tensors, {name: name * 3 for name in words})
"""
    order = ["architecture", "spec", "made", "about", "seed"]
    for seed in "12":  # of Python's hashes; the writer in Rust has its own in each process
        command = [sys.executable, "-c", code, str(tmp_path), seed, *order]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert len(list(tmp_path.iterdir())) == 4
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_tensors_and_metadata_come_back(tmp_path):
    from safetensors import safe_open

    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor([True]), "c": torch.zeros(())}
    write_tensors(tmp_path / "deep" / "a.safetensors", tensors, {"spec": '{"ä": 1}'})
    with safe_open(tmp_path / "deep" / "a.safetensors", "pt") as file:
        assert file.metadata() == {"spec": '{"ä": 1}'}
        assert all(torch.equal(file.get_tensor(name), value) for name, value in tensors.items())


def test_a_sealed_page_is_written_again_until_somebody_changes_it(tmp_path):
    card = tmp_path / "net.md"
    write_sealed(card, "# Card")
    write_sealed(card, "# Card\n\nnew\n")
    assert card.read_text().startswith("# Card\n\nnew\n<!--")
    for content in ("# Mine\n", card.read_text().replace("new", "mine"), card.read_text() + "mine\n", ""):
        card.write_text(content)
        with pytest.raises(ResultError, match="changed since"):
            write_sealed(card, "# Card")
        assert card.read_text() == content


def weights(path, metadata):
    write_tensors(path, {"a": torch.ones(1)}, metadata)


@pytest.mark.parametrize("kind", ["text", "other weights", "broken", "fifo", "folder", "link to nowhere"])
@pytest.mark.parametrize("name", ["net.safetensors", "net.last.safetensors", "net.md"])
def test_a_training_refuses_before_any_work_what_it_did_not_write(kind, name, tmp_path):
    path = tmp_path / name
    if kind == "text":
        path.write_text("mine")
    elif kind == "other weights":
        weights(path, {"format": "pt"})
    elif kind == "broken":
        path.write_bytes(b"\xff" * 100)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ResultError):
        check_place(tmp_path / "net.safetensors", (".md", ".last.safetensors"))
    assert names(tmp_path) == [name]


def test_a_training_may_write_over_its_own(tmp_path):
    weights(tmp_path / "net.safetensors", {"architecture": "birdnet", "spec": "{}"})
    write_sealed(tmp_path / "net.md", "# Card")
    check_place(tmp_path / "net.safetensors")


def test_only_temporary_files_of_dead_processes_are_swept(tmp_path):
    code = f"""
import os
from pathlib import Path
from sightline.common.files import whole_file
with whole_file(Path({str(tmp_path / "a.bin")!r})) as temporary:
    temporary.write_text("half")
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = names(tmp_path)
    mine = [".sightline-notes.part", ".sightline-00000000-1-00000000.part.bin", ".a.bin.123"]
    for name in mine:
        (tmp_path / name).touch()
    with whole_file(tmp_path / "b") as alive:
        sweep(tmp_path)
        assert alive.exists()
    assert names(tmp_path) == sorted(["b", *mine])
    assert left not in names(tmp_path)
    sweep(Path(tmp_path / "missing"))
