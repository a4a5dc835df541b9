"""Curves over epochs as SVG text that takes its colours from the page, so that it follows dark and light."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, float]
"""Figures of an epoch, by name."""
PANELS = {
    "loss": (
        ("train/loss", "val/loss"),
        "What training lowers. Validation that rises while training falls is overfitting.",
    ),
    "accuracy": (
        ("train/accuracy", "val/accuracy"),
        "Share of images whose class is named correctly. Training images are seen with augmentation.",
    ),
    "mean AUROC": (
        ("val/mean AUROC",),
        "Mean over the labels of the chance that a picture with the label scores above one without (0.5 is chance).",
    ),
    "parts of the loss, training": (
        ("train/class", "train/attributes", "train/outside", "train/parts", "train/consistency", "train/places"),
        "The weighted sum of these is the loss.",
    ),
    "parts of the loss, validation": (
        ("val/class", "val/attributes"),
        "Class and attributes on images that are not trained on.",
    ),
    "attribute score": (
        ("train/attribute score", "val/attribute score"),
        "Share of attribute groups whose value is read correctly, or average precision of the others.",
    ),
    "yes-or-no attributes, validation": (
        ("val/precision", "val/auc"),
        "Average precision, and area under the ROC curve (0.5 is chance).",
    ),
    "ranking of clicks, validation": (
        ("val/AUC",),
        "Probability that a click is ranked above a non-click (0.5 is chance).",
    ),
}
"""Figures that share a drawing, and what they mean."""
INK, RULE = "#010203", "#010204"
COLOURS = tuple(f"#0102a{number}" for number in range(1, 7))
"""Placeholders: matplotlib knows no variables of a page, so each is replaced by one in the text that it writes."""
MARKERS = "os^DvP"
CROWDED = 40
"""Epochs from which on a curve has no markers."""


@dataclass(frozen=True)
class Curve:
    """One figure over the epochs.

    Args:
        label: what it is called in the drawing.
        epochs: counted from 1.
        values: one for each.
    """

    label: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class CurvePanel:
    """A drawing of several curves.

    Args:
        title: heading.
        help: what is seen.
        curves: at least one.
    """

    title: str
    help: str
    curves: tuple[Curve, ...]

    def at(self, epoch: int) -> str:
        """The curves' values at an epoch, in words; empty where none has one."""
        pairs = ((c.label, dict(zip(c.epochs, c.values, strict=True)).get(epoch)) for c in self.curves)
        values = ", ".join(f"{label} {value:.4g}" for label, value in pairs if value is not None)
        return f"Epoch {epoch}: {values}." if values else ""


def panels_of(rows: Sequence[Row]) -> list[CurvePanel]:
    """A drawing for every group of figures of which at least one was measured."""
    return [
        CurvePanel(title, words, curves)
        for title, (names, words) in PANELS.items()
        if (curves := _curves(rows, [name for name in names if any(name in row for row in rows)]))
    ]


def _curves(rows: Sequence[Row], names: Sequence[str]) -> tuple[Curve, ...]:
    several = len({name.partition("/")[0] for name in names}) > 1
    curves = []
    for name in names:
        points = [(epoch, row[name]) for epoch, row in enumerate(rows, 1) if name in row]
        where, _, what = name.partition("/")
        label = {"train": "training", "val": "validation"}.get(where, where) if several else what
        curves.append(Curve(label, tuple(epoch for epoch, _ in points), tuple(value for _, value in points)))
    return tuple(curves)


def drawn(panel: CurvePanel, best: int) -> str:
    """A drawing as SVG text that is the same every time.

    Args:
        panel: what is drawn.
        best: the epoch whose weights were kept: a dashed line; 0 draws none.
    """

    def draw(axes: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        for colour, marker, curve in zip(COLOURS, MARKERS, panel.curves, strict=False):
            shape = marker if len(curve.epochs) < CROWDED else None
            axes.plot(curve.epochs, curve.values, color=colour, marker=shape, markersize=3.5, label=curve.label)
        if best:
            axes.axvline(best, color=INK, linestyle="--", linewidth=0.8, alpha=0.6)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)

    return svg(panel.title, draw, name=f"{panel.title} over epochs")


def svg(title: str, draw: Callable[[Any], None], *, name: str, size: tuple[float, float] = (4.2, 2.5)) -> str:
    """A drawing as SVG text that takes its colours from the page.

    Args:
        title: what it is, for ids that are the same every time.
        draw: draws into matplotlib's axes, in `INK`, `RULE` and `COLOURS`.
        name: what it shows, for readers who do not see it.
        size: width and height in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    looks = {"svg.hashsalt": f"sightline {title}", "svg.fonttype": "none", "font.size": 9}
    inks = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), INK)
    with mpl.rc_context({**looks, **inks}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.grid(color=RULE)
        axes.spines[["top", "right"]].set_visible(False)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None})
    return _themed(sink.getvalue(), name)


def _themed(text: str, name: str) -> str:
    """The drawing alone, with the page's own colours and a name for readers who do not see it."""
    from markupsafe import escape

    text = text[text.index("<svg") :]
    for number, colour in enumerate(COLOURS, 1):
        text = text.replace(colour, f"var(--c{number})")
    text = text.replace(INK, "var(--ink)").replace(RULE, "var(--rule)")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(name)}"', 1)
