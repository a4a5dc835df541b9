"""A bar appears in calls that take long, where somebody can see it."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import sightline
from sightline.common.chunks import in_chunks
from sightline.common.steps import listening, report
from sightline.terminal import waiting as module
from sightline.terminal.waiting import State, TerminalBar, bar_here, waiting, with_bar


class Seen:
    """A bar that keeps what it was asked to show."""

    def __init__(self) -> None:
        self.drawn, self.closed = [], 0

    def draw(self, state):
        self.drawn.append((state.done, state.total, state.step, state.steps))

    def close(self):
        self.closed += 1


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(module, "DELAY", 0.02)
    monkeypatch.setattr(module, "REFRESH", 0.01)
    bar = Seen()
    monkeypatch.setattr(module, "bar_here", lambda: lambda: bar)
    return bar


def slow(*, progress=None):
    for done in range(1, 4):
        time.sleep(0.03)
        if callable(progress):
            progress(done, 3)
    return "result"


def test_a_long_call_shows_how_far_it_is_and_takes_the_bar_away(seen):
    assert with_bar("working")(slow)() == "result"
    assert (1, 3, 0, 0) in seen.drawn
    assert seen.closed == 1


def test_a_quick_call_shows_nothing(seen):
    assert with_bar("working")(lambda progress=None: 1)() == 1
    assert (seen.drawn, seen.closed) == ([], 0)


def test_the_bar_goes_away_after_an_error(seen):
    def broken(*, progress=None):
        slow()
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        with_bar("working")(broken)()
    assert seen.closed == 1


def test_false_shows_nothing_and_a_function_of_the_users_is_called(seen):
    with_bar("working")(slow)(progress=False)
    steps = []
    with_bar("working")(slow)(progress=lambda done, total: steps.append((done, total)))
    assert (seen.drawn, steps) == ([], [(1, 3), (2, 3), (3, 3)])


def test_a_call_inside_another_shows_no_second_bar(seen):
    outer = with_bar("outer")(lambda progress=None: with_bar("inner")(slow)())
    assert outer() == "result"
    assert seen.closed == 1


def test_steps_of_the_work_inside_a_sample_are_seen(seen):
    with waiting("working", lambda: seen):
        for _ in in_chunks(lambda part: time.sleep(0.03), 4, 1):
            pass
    assert {(0, 0, 1, 4), (0, 0, 2, 4)} & set(seen.drawn)


def test_nothing_is_reported_where_nobody_listens():
    report(1, 2)
    steps = []
    with listening(lambda *numbers: steps.append(numbers)):
        report(1, 2)
    report(2, 2)
    assert steps == [(1, 2)]


def test_the_share_counts_the_steps_of_the_sample_at_work():
    assert State("x", done=1, total=4, step=5, steps=10).share == pytest.approx(0.375)
    assert State("x", done=4, total=4, step=5, steps=10).share == 1.0
    assert State("x", step=5, steps=10).share == 0.5
    assert State("x").share == 0.0
    assert State("x", done=1, total=4, step=5, steps=10).words.startswith("1 of 4 · step 5 of 10 · 0:0")


def test_a_log_gets_no_bar_and_a_terminal_can_do_without(monkeypatch):
    monkeypatch.delenv("SIGHTLINE_PROGRESS", raising=False)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: False))
    assert bar_here() is None
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: True))
    assert bar_here() is TerminalBar
    monkeypatch.setenv("SIGHTLINE_PROGRESS", "off")
    assert bar_here() is None


def test_explaining_many_samples_moves_the_bar(seen):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    net.register_forward_hook(lambda *_: time.sleep(0.05))
    sightline.explain(net, torch.ones(3, 3, 8, 8), method="gradcam", batch_size=1)
    assert [done for done, total, *_ in seen.drawn if total == 3]
    seen.drawn.clear()
    sightline.explain(net, torch.ones(3, 3, 8, 8), method="gradcam", batch_size=1, progress=False)
    assert not seen.drawn
