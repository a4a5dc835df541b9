"""The comparison page: methods by metric and place, each with its interval, the controls among them.

It takes plain numbers, so that it knows neither methods nor metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sightline.reports.document import document
from sightline.reports.output import write_page


@dataclass(frozen=True)
class Bar:
    """One method in one comparison.

    Args:
        method: its name.
        mean: mean over the scored samples; NaN if there are none.
        low, high: confidence interval.
        n: scored samples.
        skipped: how many were not, by reason.
        control: whether it knows nothing of the model.
        level: whether none is better beyond the noise.
        beats_controls: whether it is better than every control beyond the noise.
    """

    method: str
    mean: float
    low: float
    high: float
    n: int
    skipped: Mapping[str, int]
    control: bool
    level: bool
    beats_controls: bool


@dataclass(frozen=True)
class Panel:
    """One comparison: all methods by one metric at one place.

    Args:
        metric, place: what was judged, in words.
        better: `higher` or `lower`.
        cannot: what a good score does not show.
        bars: best first.
        chance: what a random map scores, in words; empty if that is not known.
    """

    metric: str
    place: str
    better: str
    cannot: str
    bars: tuple[Bar, ...]
    chance: str = ""

    @property
    def samples(self) -> str:
        """How many samples were scored, in words."""
        counts = sorted({bar.n for bar in self.bars if bar.n})
        if not counts:
            return "no sample"
        return f"{counts[0]} samples" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} samples"


def comparison_page(
    panels: Sequence[Panel],
    *,
    title: str,
    verdict: str,
    facts: Mapping[str, str],
    wins: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> str:
    """One self-contained HTML page.

    Args:
        panels: the comparisons.
        title: heading.
        verdict: the answer in words.
        facts: model, data, samples and the like.
        wins: for each method, in how many comparisons it is with the best, and of how many.
    """
    places = list(dict.fromkeys(panel.place for panel in panels))
    return document(
        "comparison.html.j2",
        title=title,
        styles=["bars.css"],
        verdict=verdict,
        facts=facts,
        wins=[(method, f"{won} of {total}") for method, (won, total) in wins.items()],
        places=[(place, [_drawn(panel) for panel in panels if panel.place == place]) for place in places],
        command="sightline evaluate",
    )


def save_comparison(panels: Sequence[Panel], path: str | Path, **words: Any) -> Path:
    """Write the page, whole or not at all.

    Args:
        panels: the comparisons.
        path: where to.
        words: `title`, `verdict`, `facts` and `wins`, as `comparison_page` takes them.

    Raises:
        ResultError: the file cannot be written.
    """
    return write_page(path, comparison_page(panels, **words))


def _drawn(panel: Panel) -> tuple[Panel, list[tuple[Bar, float, float, float]], str, str]:
    """A panel with its bars' places on a common axis, in percent of its width, and the axis' ends in words."""
    values = [value for bar in panel.bars for value in (bar.low, bar.high, bar.mean) if math.isfinite(value)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.04 * ((high - low) or 1.0)
    low, high = low - margin, high + margin

    def at(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2) if math.isfinite(value) else 0.0

    drawn = [(bar, at(bar.low), at(bar.high), at(bar.mean)) for bar in panel.bars]
    return panel, drawn, f"{low:.3g}", f"{high:.3g}"
