"""One process at a place, and one run."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sightline.common.runs import begin, check_same, differences, locked
from sightline.errors import GateError, ResultError

HOLD = """
import sys, time
from pathlib import Path
from sightline.common.runs import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
FORK = """
import os, sys, time
from pathlib import Path
from sightline.common.runs import locked
with locked(Path(sys.argv[1])):
    if os.fork() == 0:
        print("held", flush=True)
        time.sleep(60)
    time.sleep(60)
"""


def holding(place, code=HOLD):
    command = [sys.executable, "-c", code, str(place)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert run.stdout.readline() == "held\n"
    return run


def ended(run, how=signal.SIGKILL):
    run.send_signal(how)
    run.wait()
    run.stdout.close()


def test_a_second_process_is_told_who_works_there(tmp_path):
    run = holding(tmp_path / "log")
    with pytest.raises(GateError, match=rf"log' is in use by process {run.pid} .*since .*give another --log"):  # noqa: SIM117
        with locked(tmp_path / "log", error=GateError, cure="give another --log"):
            pass
    ended(run)


def test_a_second_thread_is_refused_like_a_second_process(tmp_path):
    problems = []

    def enter():
        try:
            with locked(tmp_path / "a"):
                pass
        except ResultError as problem:
            problems.append(str(problem))

    with locked(tmp_path / "a"):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert f"process {os.getpid()}" in problems[0]


def test_other_places_are_free(tmp_path):
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        assert len([*tmp_path.iterdir()]) == 2


def test_a_killed_process_locks_nothing_and_the_next_one_knows_of_it(tmp_path):
    ended(holding(tmp_path / "a"))
    with locked(tmp_path / "a") as left:
        assert left
    with locked(tmp_path / "a") as left:
        assert not left
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_outlives_its_parent_locks_nothing(tmp_path):
    run = holding(tmp_path / "a", FORK)
    try:
        ended(run)
        with locked(tmp_path / "a") as left:
            assert left
    finally:
        os.killpg(run.pid, signal.SIGKILL)


def test_one_name_of_two_ways_is_one_place(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with locked(tmp_path / "real" / "a"), pytest.raises(ResultError, match="in use"):  # noqa: SIM117
        with locked(tmp_path / "link" / "a"):
            pass


def test_waiting_gets_the_place_when_it_is_free(tmp_path):
    run = holding(tmp_path / "a")
    threading.Timer(0.3, lambda: run.send_signal(signal.SIGKILL)).start()
    with locked(tmp_path / "a", wait=30) as left:
        assert left
    ended(run)


@pytest.mark.parametrize("content", ["mine", '{"process": 1}', "[" * 100_000])
def test_a_users_file_of_the_locks_name_is_not_touched(content, tmp_path):
    (tmp_path / ".a.lock").write_text(content)
    with locked(tmp_path / "a") as left:
        assert not left
        assert (tmp_path / ".a.lock").read_text() == content
    assert (tmp_path / ".a.lock").read_text() == content


def test_names_of_any_length_can_be_locked(tmp_path):
    with locked(tmp_path / ("ä" * 127)), locked(tmp_path / ("ö" * 127)):
        pass


def test_a_place_without_a_parent_is_one_sentence(tmp_path):
    with pytest.raises(ResultError, match="cannot write to"), locked(tmp_path / "missing" / "a"):
        pass


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        ({"seed": 0}, {"seed": 1}, ["seed was 0, is now 1"]),
        ({"options": {}}, {"options": {"batch": 4}}, ["options: batch was None, is now 4"]),
        ({"files": "0" * 16}, {"files": "1" * 16}, ["other files"]),
        ({"samples": ["x" * 50] * 3}, {"samples": []}, ["other samples"]),
        ({"gone": 1}, {}, ["gone was 1, is now None"]),
        ({"seed": 0, "same": [1]}, {"same": [1], "seed": 0}, []),
    ],
)
def test_differences_are_named_with_both_values(before, now, text):
    assert differences(before, now) == text


def record(tmp_path, facts, begun):
    begin(tmp_path / "run.json", facts, begun=begun, holds="a run", cure="name another", error=GateError)


def test_the_same_run_goes_on_and_another_is_refused_with_its_differences(tmp_path):
    facts = {"seed": 0, "widths": (1, 2), "at": Path("x")}
    record(tmp_path, facts, begun=False)
    assert json.loads((tmp_path / "run.json").read_text()) == {"seed": 0, "widths": [1, 2], "at": "x"}
    record(tmp_path, facts, begun=True)
    with pytest.raises(GateError, match=r"a run with other settings.*seed was 0, is now 1.*name another"):
        record(tmp_path, {**facts, "seed": 1}, begun=True)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_work_without_a_record_of_its_own_is_not_gone_on_with(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(GateError, match="seed was None, is now 0"):
        record(tmp_path, {"seed": 0}, begun=True)


def test_a_record_without_work_is_written_over_and_a_users_file_is_not(tmp_path):
    record(tmp_path, {"seed": 0}, begun=False)
    record(tmp_path, {"seed": 1}, begun=False)
    for content in ('{"mine": 1}', "text", "{}"):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(GateError, match="in the way"):
            record(tmp_path, {"seed": 1}, begun=False)
        assert (tmp_path / "run.json").read_text() == content


def test_many_differences_are_counted(tmp_path):
    facts = {f"n{number}": number for number in range(9)}
    with pytest.raises(GateError, match=r"n3 was None, is now 3; and 5 more"):
        check_same(tmp_path, {}, facts, holds="a run", cure="stop", error=GateError)
