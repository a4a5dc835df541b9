"""How evaluations are carried out: one after another, in processes of this machine, or on Ray workers.

Scores come back in the order in which they were asked for, so that a search runs the same way however it is spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sightline.errors import GateError
from sightline.gates.scheme import Scheme
from sightline.tasks.gate_search.accuracy import Score
from sightline.training.rays import ray_session

Evaluate = Callable[[Sequence[Scheme]], Iterator[float]]
"""Scores of schemes, in their order, each as soon as it is there."""


def in_process(score: Score) -> Evaluate:
    """One after another, in this process."""

    def evaluate(schemes: Sequence[Scheme]) -> Iterator[float]:
        return (score(scheme) for scheme in schemes)

    return evaluate


@contextmanager
def processes(make_score: Callable[[], Score], workers: int) -> Iterator[Evaluate]:
    """Spread over processes of this machine, each with a score of its own and one thread.

    Args:
        make_score: can be pickled.
        workers: how many, at least 1.

    Raises:
        GateError: the number of workers is less than 1.
    """
    _check(workers)
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (make_score,)) as pool:

        def evaluate(schemes: Sequence[Scheme]) -> Iterator[float]:
            return pool.map(_score, list(schemes))

        try:
            yield evaluate
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def ray_workers(make_score: Callable[[], Score], workers: int) -> Iterator[Evaluate]:
    """Spread over Ray workers: of this machine, or of the cluster that `RAY_ADDRESS` names.

    Every worker makes its own score once. Ray's usage reports are switched off before it starts.

    Args:
        make_score: can be pickled, and finds what it needs (weights, pictures) on each machine.
        workers: how many, at least 1.

    Raises:
        MissingExtraError: Ray is not installed.
        GateError: the number of workers is less than 1.
    """
    _check(workers)
    with ray_session(workers, "a search on several workers") as ray:
        from ray.util import ActorPool

        kind = ray.remote(_Worker).options(num_cpus=1)
        pool = ActorPool([kind.remote(make_score) for _ in range(workers)])

        def evaluate(schemes: Sequence[Scheme]) -> Iterator[float]:
            scores: Iterator[float] = pool.map(lambda worker, scheme: worker.score.remote(scheme), list(schemes))
            return scores

        yield evaluate


def _check(workers: int) -> None:
    if workers < 1:
        raise GateError(f"evaluations are spread over at least 1 worker, not {workers}")


_HELD: list[_Worker] = []
"""The worker of a process that `processes` started."""


def _begin(make_score: Callable[[], Score]) -> None:
    """Ctrl-C is for the process that started this one, which ends it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _HELD[:] = [_Worker(make_score)]


def _score(scheme: Scheme) -> float:
    return _HELD[0].score(scheme)


class _Worker:
    """Holds a score on a worker; one thread each, since there are several of them."""

    def __init__(self, make_score: Callable[[], Score]) -> None:
        import torch

        torch.set_num_threads(1)
        self._score = make_score()

    def score(self, scheme: Scheme) -> float:
        """The score of one scheme."""
        return self._score(scheme)
