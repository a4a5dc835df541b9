"""How far a command is where there is no terminal."""

import pytest

from sightline.terminal.lines import EpochLines, Lines, duration


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def lines_of(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_line_is_written_now_and_then_with_the_time_left(capsys):
    clock = Clock()
    with Lines(clock) as bar:
        task = bar.add_task("explaining", total=100)
        for second in range(1, 100):
            clock.now = second
            bar.update(task, advance=1)
    assert lines_of(capsys) == [
        "explaining: 30 of 100, about 1 min left",
        "explaining: 60 of 100, about 40 s left",
        "explaining: 90 of 100, about 10 s left",
    ]


def test_what_is_quick_or_has_no_end_writes_nothing(capsys):
    clock = Clock()
    with Lines(clock) as bar:
        quick, endless = bar.add_task("quick", total=5), bar.add_task("endless", total=None)
        for second in range(5):
            clock.now = second
            bar.update(quick, advance=1)
        clock.now = 100
        bar.update(endless, advance=1)
    assert lines_of(capsys) == []


def test_epochs_say_their_figures_and_the_time_left_without_what_came_before_the_first(capsys):
    clock = Clock()
    lines = EpochLines(4, {"loss": "train/loss", "accuracy": "val/accuracy"}, clock=clock)
    for epoch, now in ((1, 100), (2, 110), (3, 120), (4, 130)):
        clock.now = now
        lines(epoch, {"train/loss": 1 / epoch})
    assert lines_of(capsys) == [
        "epoch 1 of 4: loss 1.0000; about 5 min left",
        "epoch 2 of 4: loss 0.5000; about 20 s left",
        "epoch 3 of 4: loss 0.3333; about 10 s left",
        "epoch 4 of 4: loss 0.2500",
    ]


def test_a_run_that_goes_on_measures_its_own_epochs(capsys):
    clock = Clock()
    lines = EpochLines(10, {}, clock=clock)
    for epoch, now in ((8, 10), (9, 12)):
        clock.now = now
        lines(epoch, {})
    assert lines_of(capsys) == ["epoch 8 of 10: about 20 s left", "epoch 9 of 10: about 2 s left"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3599, "1 h 0 min"), (7320, "2 h 2 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words
