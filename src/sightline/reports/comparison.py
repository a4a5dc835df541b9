"""The comparison page: methods by metric and place, each with its interval, the controls among them.

It takes plain numbers, so that it knows neither methods nor metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

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
    """

    metric: str
    place: str
    better: str
    cannot: str
    bars: tuple[Bar, ...]


def comparison_page(panels: Sequence[Panel], *, title: str, verdict: str, facts: Mapping[str, str]) -> str:
    """One self-contained HTML page, without a script.

    Args:
        panels: the comparisons.
        title: heading.
        verdict: the answer in words.
        facts: model, data, samples and the like.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = (files("sightline.reports") / "comparison.css").read_text(encoding="utf-8")
    template = (files("sightline.reports") / "comparison.html.j2").read_text(encoding="utf-8")
    places = list(dict.fromkeys(panel.place for panel in panels))
    return environment.from_string(template).render(
        title=title,
        verdict=verdict,
        facts=facts,
        style=Markup(style),  # noqa: S704 - our own file
        places=[(place, [_drawn(panel) for panel in panels if panel.place == place]) for place in places],
    )


def save_comparison(
    panels: Sequence[Panel], path: str | Path, *, title: str, verdict: str, facts: Mapping[str, str]
) -> Path:
    """Write the page, whole or not at all.

    Raises:
        ResultError: the file cannot be written.
    """
    return write_page(path, comparison_page(panels, title=title, verdict=verdict, facts=facts))


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
