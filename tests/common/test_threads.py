"""Several threads and one model: who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from sightline.common.modes import evaluating, restored
from sightline.common.randomness import seeded
from sightline.common.threads import ProcessWide, alone, exclusive, marks, steady, tree

SOON = 0.2
"""Seconds after which a thread that has not come in is waiting."""


def waits(work: Callable[[], object], *, inside: Callable[[], object]) -> bool:
    """Whether another thread's work is not done before this thread leaves what it is in."""
    done = threading.Event()
    thread = threading.Thread(target=lambda: (work(), done.set()), daemon=True)
    with inside():
        thread.start()
        early = done.wait(SOON)
    thread.join(10)
    assert done.is_set()
    return not early


def enter(*models: object) -> Callable[[], None]:
    def work() -> None:
        with alone(*models):
            pass

    return work


def test_another_thread_waits_for_a_model_and_not_for_another_model() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert waits(enter(one), inside=lambda: alone(one))
    assert not waits(enter(other), inside=lambda: alone(one))
    assert not waits(enter(print), inside=lambda: alone(print))


def test_models_that_share_a_part_are_one() -> None:
    body = nn.Linear(2, 2)
    one, other = nn.Sequential(body, nn.ReLU()), nn.Sequential(nn.Flatten(), body)
    assert waits(enter(other), inside=lambda: alone(one))
    assert waits(enter(one), inside=lambda: alone(body))
    assert waits(enter(nn.Linear(2, 2), other), inside=lambda: alone(one))


def test_one_thread_may_come_in_again_and_an_error_lets_the_next_one_in() -> None:
    model = nn.Linear(2, 2)
    try:
        with alone(model), alone(nn.Sequential(model)), restored(model), evaluating(model):
            raise ValueError
    except ValueError:
        pass
    assert not waits(enter(model), inside=lambda: alone())


def test_two_models_at_once_cannot_wait_for_each_other() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)

    def often(*models: nn.Module) -> Callable[[], None]:
        def work() -> None:
            for _ in range(200):
                with restored(*models):
                    pass

        return work

    threads = [threading.Thread(target=often(*pair), daemon=True) for pair in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_a_generator_that_another_thread_closes_lets_go() -> None:
    model = nn.Linear(2, 2)

    def holding() -> Iterator[None]:
        with alone(model):
            yield

    generator = holding()
    next(generator)
    closing = threading.Thread(target=generator.close)
    closing.start()
    closing.join()
    assert not waits(enter(model), inside=lambda: alone())


def test_an_exclusive_function_takes_its_model_by_place_or_name() -> None:
    @exclusive
    def use(model: nn.Module, x: int = 0) -> int:
        return x

    model = nn.Linear(2, 2)
    assert waits(lambda: use(model, 1), inside=lambda: alone(model))
    assert waits(lambda: use(x=1, model=model), inside=lambda: alone(model))
    assert use.__name__ == "use"


def test_a_setting_of_the_process_is_on_until_the_last_thread_leaves() -> None:
    before = torch.backends.mha.get_fastpath_enabled()

    class Slow:
        def __enter__(self) -> None:
            torch.backends.mha.set_fastpath_enabled(False)

        def __exit__(self, *_: object) -> None:
            torch.backends.mha.set_fastpath_enabled(before)

    setting, inside, leave = ProcessWide(Slow), threading.Event(), threading.Event()

    def work() -> None:
        with setting.on():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    with setting.on():
        thread.start()
        inside.wait(10)
    assert not torch.backends.mha.get_fastpath_enabled()
    leave.set()
    thread.join()
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_the_random_state_is_that_before_the_first_thread_came() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    before, inside, leave = torch.get_rng_state(), threading.Event(), threading.Event()

    def work() -> None:
        with evaluating(other):
            torch.rand(2)
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    with evaluating(one):
        torch.rand(1)
        thread.start()
        inside.wait(10)
    leave.set()
    thread.join()
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_numbers_are_not_disturbed_by_another_threads_leaving() -> None:
    model, inside, leave = nn.Linear(2, 2), threading.Event(), threading.Event()

    def work() -> None:
        with evaluating(model):
            inside.set()
            leave.wait(10)

    with seeded(1):
        right = torch.rand(4)
    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    with seeded(1):
        first = torch.rand(2)
        leave.set()
        thread.join(SOON)
        second = torch.rand(2)
    thread.join(10)
    assert torch.equal(torch.cat([first, second]), right)


def test_a_steady_tree_is_walked_once_and_a_free_one_each_time() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    with steady():
        before = tree(model)
        model.append(nn.ReLU())
        assert tree(model) is before
        with steady():
            assert tree(model) is before
    assert len(tree(model)) == 3
    model.append(nn.ReLU())
    assert len(tree(model)) == 4


def test_what_one_thread_holds_steady_is_free_in_another() -> None:
    model, seen = nn.Sequential(nn.Linear(1, 1)), []
    with steady():
        tree(model)
        marks().add("held")
        model.append(nn.ReLU())
        other = threading.Thread(target=lambda: seen.extend([len(tree(model)), len(marks())]))
        other.start()
        other.join()
    assert seen == [3, 0]
    assert not marks()


def test_a_steady_tree_is_forgotten_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    with pytest.raises(ZeroDivisionError), steady():
        1 / len(tree(model)[1:-1])
    model.append(nn.ReLU())
    assert len(tree(model)) == 3
