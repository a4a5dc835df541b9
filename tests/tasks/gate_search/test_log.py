"""A search that was stopped goes on where it was, bit for bit; another log is refused and left alone."""

import json

import pytest

from sightline.errors import GateError
from sightline.gates import Scheme
from sightline.tasks.gate_search.search import search
from sightline.tasks.gate_search.searchers import SEARCHERS
from tests.tasks.gate_search.tables import LENGTHS, Table


class Stopped(Table):
    """Is interrupted at its n-th call."""

    def __init__(self, n, **wishes):
        super().__init__(**wishes)
        self.n = n

    def __call__(self, scheme):
        if len(self.asked) == self.n:
            raise KeyboardInterrupt
        return super().__call__(scheme)


@pytest.mark.parametrize("stop", [0, 1, 7, 20])
@pytest.mark.parametrize("name", list(SEARCHERS))
def test_a_stopped_search_goes_on_bit_for_bit(name, stop, tmp_path):
    whole = search(Table(), LENGTHS, searcher=name, budget=30, log=tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        search(Stopped(stop), LENGTHS, searcher=name, budget=30, log=tmp_path / "parts.jsonl")
    assert len((tmp_path / "parts.jsonl").read_text().splitlines()) == 1 + stop
    table = Table()
    again = search(table, LENGTHS, searcher=name, budget=30, log=tmp_path / "parts.jsonl")
    assert (tmp_path / "parts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert again.trials == whole.trials
    assert (again.repeats, again.ended, again.replayed) == (whole.repeats, whole.ended, stop)
    assert len(table.asked) == 30 - stop


def test_a_finished_search_is_told_again_without_an_evaluation(tmp_path):
    search(Table(), LENGTHS, budget=20, log=tmp_path / "log")
    table = Table()
    assert search(table, LENGTHS, budget=20, log=tmp_path / "log").replayed == 20
    assert not table.asked


def test_a_larger_budget_goes_on(tmp_path):
    search(Table(), LENGTHS, budget=20, log=tmp_path / "log")
    longer = search(Table(), LENGTHS, budget=35, log=tmp_path / "log")
    assert longer.trials == search(Table(), LENGTHS, budget=35).trials


def test_a_line_that_was_cut_off_is_evaluated_again(tmp_path):
    log = tmp_path / "log"
    search(Table(), LENGTHS, budget=20, log=log)
    whole = log.read_bytes()
    log.write_bytes(whole[:-7])
    table = Table()
    search(table, LENGTHS, budget=20, log=log)
    assert log.read_bytes() == whole
    assert len(table.asked) == 1


@pytest.mark.parametrize("kept", [0, 5])
def test_a_log_cut_off_in_its_first_line_begins_anew(kept, tmp_path):
    log = tmp_path / "log"
    search(Table(), LENGTHS, budget=5, log=log)
    whole = log.read_bytes()
    log.write_bytes(whole[:kept])
    search(Table(), LENGTHS, budget=5, log=log)
    assert log.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed was 0, is now 1"),
        ({"sparsity": 0.5}, "sparsity was 0.02, is now 0.5"),
        ({"searcher": "greedy"}, "searcher was reinforce, is now greedy"),
        ({"batch": 4}, "options: batch was None, is now 4"),
        ({"about": {"model": "b"}}, "about: model was a, is now b"),
        ({"lengths": (3, 3, 2)}, r"lengths was \[2, 3, 3\], is now \[3, 3, 2\]"),
    ],
)
def test_other_settings_are_refused_by_name_and_the_log_is_left_as_it_is(change, named, tmp_path):
    log, first = tmp_path / "log", {"about": {"model": "a"}}
    search(Table(), LENGTHS, budget=5, log=log, **first)
    before = log.read_bytes()
    change = dict(change)
    lengths = change.pop("lengths", LENGTHS)
    with pytest.raises(GateError, match=named):
        search(Table(lengths), lengths, budget=5, log=log, **{**first, **change})
    assert log.read_bytes() == before


@pytest.mark.parametrize("text", ["shopping list\n", "{}\n", "[1]\n", "no newline"])
def test_a_file_that_is_no_log_is_left_as_it_is(text, tmp_path):
    (tmp_path / "log").write_text(text)
    with pytest.raises(GateError, match="is not the log of a search"):
        search(Table(), LENGTHS, budget=5, log=tmp_path / "log")
    assert (tmp_path / "log").read_text() == text


@pytest.mark.parametrize("line", ["rubbish", '{"scheme": "11|1x1|000", "score": 1}', '{"score": 1}'])
def test_a_damaged_line_is_named(line, tmp_path):
    log = tmp_path / "log"
    search(Table(), LENGTHS, budget=5, log=log)
    lines = log.read_text().splitlines()
    lines[3] = line
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(GateError, match=r"line 4 of .* is damaged"):
        search(Table(), LENGTHS, budget=5, log=log)


def test_a_log_that_another_course_wrote_is_refused(tmp_path):
    log = tmp_path / "log"
    search(Table(), LENGTHS, budget=5, log=log)
    lines = log.read_text().splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(GateError, match="line 4 of the search's log holds"):
        search(Table(), LENGTHS, budget=5, log=log)


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(GateError, match="cannot write to"):
        search(Table(), LENGTHS, budget=5, log=tmp_path)


def test_the_log_is_lines_of_json(tmp_path):
    search(Table(), LENGTHS, budget=5, log=tmp_path / "log")
    head, *lines = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert head["lengths"] == [2, 3, 3]
    assert lines[0] == {"scheme": "11|111|111", "score": Table().scores[Scheme.dense(LENGTHS)]}
