"""The page of a search: which blocks deserve a gate, and what each gate adds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from sightline.gates.scheme import Scheme
from sightline.reports.document import document
from sightline.tasks.gate_search.log import Trial
from sightline.tasks.gate_search.metrics import Effect
from sightline.tasks.gate_search.result import SearchResult


def page_of(log: Path) -> Path:
    """Where the page of a search lies: beside its log."""
    path = log.with_name(f"{log.stem}.html")
    return path if path != log else log.with_name(f"{log.name}.page.html")


def search_page(result: SearchResult, facts: Mapping[str, str]) -> str:
    """The page as text.

    Args:
        result: the search.
        facts: network, gate, data and the like.
    """
    best, effects = result.best, result.effects()
    return document(
        "report.html.j2",
        title=f"Which blocks deserve a gate: {facts.get('model', 'search')}",
        package="sightline.tasks.gate_search",
        styles=["bars.css"],
        verdict=verdict(result, effects),
        figures=[
            ("best accuracy", f"{best.score:.4f}", "share of validation images named correctly with the best scheme"),
            ("gates used", f"{best.scheme.density:.0%}", f"of the blocks: scheme {best.scheme}"),
            ("schemes tried", str(len(result.trials)), f"of {_count(result.lengths)} possible ones"),
        ],
        front=[_row(trial) for trial in result.front],
        effects=_placed(effects),
        facts=facts,
        command="sightline gates search",
    )


def verdict(result: SearchResult, effects: tuple[Effect, ...]) -> str:
    """What was found, beside all gates and none where these were tried."""
    best = result.best
    scores = {trial.scheme.density: trial.score for trial in result.trials if trial.scheme.density in (0.0, 1.0)}
    names = {0.0: "without gates", 1.0: "with all gates"}
    others = [f"{words} {scores[density]:.4f}" for density, words in names.items() if density in scores]
    beside = f" ({', '.join(others)})" if others else ""
    text = f"The best scheme, {best.scheme}, reaches an accuracy of {best.score:.4f}{beside}."
    clear = sum(effect.verdict in ("helps", "harms") for effect in effects)
    return f"{text} The gates of {clear} of {len(effects)} blocks have a clear effect of their own."


def _count(lengths: tuple[int, ...]) -> str:
    blocks = sum(lengths)
    return f"{2**blocks:,}" if blocks <= 30 else f"2^{blocks}"


def scheme_words(scheme: Scheme) -> str:
    """A scheme as integers, as `--scheme` takes it."""
    return ",".join(map(str, scheme.ints))


def _row(trial: Trial) -> tuple[str, ...]:
    scheme = trial.scheme
    return str(scheme), scheme_words(scheme), f"{scheme.density:.0%}", f"{trial.score:.4f}", f"{trial.worth:.4f}"


def _placed(effects: tuple[Effect, ...]) -> list[tuple[Effect, float, float, float, float]]:
    """Every effect with the places of its interval, its mean and zero on a common axis, in percent."""
    values = [v for one in effects for v in (one.low, one.high, one.mean) if math.isfinite(v)] + [0.0]
    low, high = min(values), max(values)
    margin = 0.04 * ((high - low) or 1.0)

    def at(value: float) -> float:
        return round(100 * (value - low + margin) / (high - low + 2 * margin), 2) if math.isfinite(value) else 0.0

    return [(one, at(one.low), at(one.high), at(one.mean), at(0.0)) for one in effects]
