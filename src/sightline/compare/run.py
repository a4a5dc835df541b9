"""A whole comparison: samples in, a table that can be resumed, an answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from sightline.common.files import with_parents
from sightline.common.runs import locked
from sightline.compare.measure import Row, Settings, forwards_per_sample, measure
from sightline.compare.ranking import Answer, rank
from sightline.compare.samples import Batch, Sample, draw, prepare
from sightline.compare.store import Table
from sightline.errors import InputError
from sightline.metrics import METRICS, InferenceCopy, inference_copy
from sightline.models.load import LoadedModel
from sightline.terminal.waiting import with_bar

CHUNK = 4
"""Samples per shard: what is lost at most when a run is stopped."""

Step = Callable[[int, int], None]
"""Told how many samples are done, of how many."""


class Extra(Protocol):
    """More rows for every batch of samples, from what only their data set knows."""

    @property
    def about(self) -> dict[str, Any]:
        """What the run's record says of it."""

    def rows(self, samples: Sequence[Sample], names: Sequence[str]) -> Iterable[Row]:
        """Rows of one batch."""


def within_budget(
    samples: Sequence[Sample], settings: Settings, budget: int | None, *, more: int = 0
) -> list[Sample]:
    """As many samples, drawn at random, as the budget of forwards allows; each costs `more` beside the metrics.

    Raises:
        InputError: it does not allow two.
    """
    if budget is None:
        return list(samples)
    each = forwards_per_sample(settings) + len(settings.methods) + more
    count = budget // each
    if count < 2:
        raise InputError(
            f"a budget of {budget} forwards is too small for two samples, which cost {2 * each}; "
            "raise it, or ask for fewer methods, metrics or places"
        )
    return draw(samples, count, settings.seed)


@with_bar("comparing", "step")
def compare(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    settings: Settings,
    *,
    folder: Path,
    step: Step | None = None,
    extra: Extra | None = None,
) -> Answer:
    """Judge methods on samples and rank them; a folder that holds part of this very run is taken up.

    Args:
        loaded: model and preprocessing.
        samples: at least two.
        settings: what is compared.
        folder: where shards and table go.
        step: called with the photos done and their number; by default a bar appears after two seconds.
        extra: rows beside those of the metrics in `settings`.

    Raises:
        InputError: fewer than two samples.
        ResultError: the folder holds another comparison, or another process works there.
    """
    if len(samples) < 2:
        raise InputError(f"a comparison needs at least two photos, but there are {len(samples)}")
    with with_parents(folder), locked(folder, cure="choose another folder"):
        return _compared(loaded, samples, settings, table=Table(folder), step=step, extra=extra)


def _compared(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    settings: Settings,
    *,
    table: Table,
    step: Step | None,
    extra: Extra | None,
) -> Answer:
    table.begin(_about(loaded, samples, settings) | ({} if extra is None else extra.about))
    shards = [samples[i : i + CHUNK] for i in range(0, len(samples), CHUNK)]
    device = next(loaded.model.parameters()).device
    judge = _judge(loaded, prepare(shards[0], loaded.preprocess).to(device), settings)
    for number, part in enumerate(shards):
        if not table.has(number):
            batch = prepare(part, loaded.preprocess).to(device)
            names = [f"{number * CHUNK + i:05d} {sample.path.name}" for i, sample in enumerate(part)]
            rows = list(measure(loaded.model, batch, names, settings, judge=judge.model))
            table.add(number, [*rows, *(() if extra is None else extra.rows(part, names))])
        if step is not None:
            step(min((number + 1) * CHUNK, len(samples)), len(samples))
    rows = table.rows(len(shards))
    table.finish(rows)
    return replace(rank(rows, seed=settings.seed), forwards=judge.reason)


def _judge(loaded: LoadedModel, batch: Batch, settings: Settings) -> InferenceCopy:
    """What the metrics' forwards are run through, decided on the first photos."""
    if not settings.fused:
        return InferenceCopy(loaded.model, False, float("nan"), "the model itself, as asked")
    if not any("probe" in METRICS[name].needs for name in settings.metrics):
        return InferenceCopy(loaded.model, False, float("nan"), "none: these metrics need no forwards")
    return inference_copy(loaded.model, batch.inputs)


def _about(loaded: LoadedModel, samples: Sequence[Sample], settings: Settings) -> dict[str, Any]:
    """What makes this run itself, for the run's record."""
    return {
        "model": loaded.provenance,
        "settings": asdict(settings),
        "samples": [sample.path.name for sample in samples],
        "chunk": CHUNK,
    }
