"""ROC curves as SVG text: what a label's threshold trades, and where it was set. It knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sightline.reports.curves import COLOURS, INK, svg

Share = tuple[float, float, float]


def roc_drawing(
    name: str, curve: Sequence[tuple[float, float]], sensitivity: Share | None, specificity: Share | None
) -> str:
    """A label's curve with its operating point, as SVG text that is the same every time.

    Args:
        name: the label.
        curve: share of false alarms and of finds at every threshold, from (0, 0) to (1, 1).
        sensitivity: at the operating point, with the ends of its interval.
        specificity: likewise.
    """

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--", alpha=0.6)
        axes.plot(*zip(*curve, strict=True), color=COLOURS[0])
        if sensitivity is not None and specificity is not None:
            x, y = 1 - specificity[0], sensitivity[0]
            axes.plot([1 - specificity[2], 1 - specificity[1]], [y, y], color=COLOURS[1], linewidth=1)
            axes.plot([x, x], sensitivity[1:], color=COLOURS[1], linewidth=1)
            axes.plot([x], [y], "o", color=COLOURS[1], markersize=4.5)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="false alarms", ylabel="found")

    return svg(name, draw, name=f"ROC curve of {name}", size=(2.9, 2.7))
