"""`search`: a searcher, a score and a budget; nothing here knows of networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sightline.common.files import with_parents
from sightline.common.runs import locked
from sightline.errors import GateError
from sightline.gates.scheme import Scheme
from sightline.tasks.gate_search.accuracy import Score
from sightline.tasks.gate_search.executors import Evaluate, in_process
from sightline.tasks.gate_search.log import Ledger, Log, Trial
from sightline.tasks.gate_search.result import SearchResult
from sightline.tasks.gate_search.searchers.base import SEARCHERS, Course

ENDS = 2
"""Schemes that every search evaluates first: dense and empty, what any other one is measured against."""


def search(
    score: Score | None,
    lengths: Sequence[int],
    *,
    searcher: str = "reinforce",
    budget: int = 100,
    sparsity: float = 0.02,
    seed: int = 0,
    log: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    evaluate: Evaluate | None = None,
    step: Callable[[Trial], None] | None = None,
    **options: Any,
) -> SearchResult:
    """Search for the scheme of the highest worth: score + sparsity (share of blocks without a gate).

    Every search evaluates the dense and the empty scheme first, within its budget. A scheme that comes again costs
    nothing and is counted as a repeat, so that searchers are compared at one number of evaluations.

    Args:
        score: what a scheme reaches, higher is better; `Accuracy` of a supernet, or a look into a table.
        lengths: blocks of each stage: `sites(model).lengths`.
        searcher: a name of `SEARCHERS`: reinforce, random, greedy, exhaustive.
        budget: most evaluations.
        sparsity: weight, in units of the score; 0.02 of an accuracy in 0..1 as published [huang2021ean].
        seed: seed of everything random.
        log: file to which each evaluation is written, and from which a stopped search goes on, bit for bit; a larger
            budget goes on as well. Other settings are refused.
        about: what the scores depend on besides (model, weights, data); kept in the log, and held against it.
        evaluate: how schemes are evaluated (`ray_workers`); None is one by one, here.
        step: called with every trial.
        options: options of the searcher.

    Raises:
        GateError: unknown searcher or option, a budget below 2, too many blocks for exhaustive search, a log with
            other settings, a score that is no finite number.

    Example:
        >>> table = lambda scheme: float(sum(scheme.flat()[:3]))
        >>> results = search(table, (2, 3), searcher="greedy", sparsity=0.5)
        >>> str(results.best.scheme), len(results.trials)
        ('11|100', 16)
    """
    shape = _lengths(lengths)
    course = _course(searcher, shape, seed, options)
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < ENDS:
        raise GateError(
            f"a search evaluates at least {ENDS} schemes, the dense and the empty one; its budget is {budget!r}"
        )
    if score is None and evaluate is None:
        raise GateError("a search needs a score, or a way to evaluate schemes")
    settings = {"searcher": searcher, "lengths": list(shape), "sparsity": sparsity, "seed": seed, "options": options}
    ledger = Ledger(evaluate or in_process(score), budget, sparsity, step)  # type: ignore[arg-type]
    if log is None:
        ended = _run(course, ledger, shape)
    else:
        with with_parents(Path(log), error=GateError), locked(Path(log), error=GateError, cure="give another --log"):
            ledger.keep(Log(Path(log), {**settings, "about": dict(about or {})}))
            ended = _run(course, ledger, shape)
    facts = {key: value for key, value in settings.items() if key != "lengths"}
    return SearchResult(tuple(ledger.trials.values()), shape, ledger.repeats, ledger.replayed, ended, facts)


def _run(course: Course, ledger: Ledger, lengths: tuple[int, ...]) -> str:
    """Ask and answer until one of the two has enough; says which."""
    ledger.worths([Scheme.dense(lengths), Scheme.empty(lengths)])
    ledger.requests = len(ledger.trials)
    try:
        schemes = next(course)
        while True:
            worths = ledger.worths(schemes)
            if worths is None:
                return "budget"
            schemes = course.send(worths)
    except StopIteration:
        return "done"
    finally:
        course.close()


def _course(name: str, lengths: tuple[int, ...], seed: int, options: Mapping[str, Any]) -> Course:
    searcher = SEARCHERS[name]
    make, config = searcher.make, searcher.config
    generator = torch.Generator().manual_seed(seed)
    signature = inspect.signature(config or make)
    try:
        signature.bind(*([] if config else [lengths, generator]), **options)
    except TypeError as problem:
        names = list(signature.parameters)[0 if config else 2 :]
        raise GateError(
            f"the searcher {name!r} cannot take these options: {problem}; it knows {', '.join(names) or 'none'}"
        ) from problem
    return make(lengths, generator, config(**options)) if config else make(lengths, generator, **options)


def _lengths(lengths: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(lengths)
    if not shape or not all(isinstance(length, int) and length > 0 for length in shape):
        raise GateError(
            f"the lengths of a search are the numbers of blocks of each stage, such as (3, 4, 6, 3), not {shape!r}; "
            "take sites(model).lengths"
        )
    return shape
