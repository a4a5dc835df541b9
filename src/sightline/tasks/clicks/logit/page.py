"""The page of an estimated logit: part-worths, willingness to pay, elasticities and the test of IIA."""

from __future__ import annotations

from typing import Any

from sightline.reports.curves import COLOURS, INK, svg
from sightline.reports.document import document
from sightline.tasks.clicks.logit.study import ChoiceStudy, Z


def study_page(study: ChoiceStudy, title: str, command: str) -> str:
    """The page as text.

    Args:
        study: what was estimated.
        title: heading.
        command: what made it.
    """
    from markupsafe import Markup

    names = study.fit.design.table.alternatives
    tables = [
        (name, [(own, *(f"{value:+.3f}" for value in row)) for own, row in zip(names, table.tolist(), strict=True)])
        for name, table in ((name, study.elasticity(name)) for name in study.attributes)
    ]
    return document(
        "logit.html.j2",
        package="sightline.tasks.clicks.logit",
        title=title,
        styles=("logit.css",),
        inline_styles=True,
        study=study,
        drawing=Markup(ratios_svg(study)),  # noqa: S704 - our own drawing; its texts are escaped
        elasticities=tables,
        names=names,
        command=command,
    )


def ratios_svg(study: ChoiceStudy) -> str:
    """Every part-worth over its robust error, with the band inside of which it may be 0."""
    rows = study.fit.rows()

    def draw(axes: Any) -> None:
        ratios = [value / robust if robust else 0.0 for _, value, _, robust in rows]
        places = range(len(rows))
        axes.barh(places, ratios, color=[COLOURS[0] if ratio > 0 else COLOURS[1] for ratio in ratios], height=0.6)
        axes.set_yticks(places, [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.axvline(0, color=INK, linewidth=0.8)
        for edge in (-Z, Z):
            axes.axvline(edge, color=INK, linestyle="--", linewidth=0.8, alpha=0.6)
        axes.set_xlabel("part-worth over its robust standard error")

    return svg("part-worths", draw, name="part-worths over their errors", size=(6.0, 0.9 + 0.26 * len(rows)))
