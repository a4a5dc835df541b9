"""The run page: one self-contained HTML file with a training's curves, its figures and its recipe. No script."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

Row = Mapping[str, float]
"""Figures of an epoch, by name."""
PANELS = {
    "loss": ("train/loss", "val/loss"),
    "class accuracy": ("train/accuracy", "val/accuracy"),
    "parts of the loss, training": (
        "train/class",
        "train/attributes",
        "train/outside",
        "train/parts",
        "train/consistency",
    ),
    "parts of the loss, validation": ("val/class", "val/attributes"),
    "attribute score": ("train/attribute score", "val/attribute score"),
    "attributes that are no choice": ("val/precision", "val/auc"),
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
_STYLE = """
body { margin: 0 auto; max-width: 1180px; padding: 20px; color: #16181d; background: #f5f6f8;
  font: 14px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 20px; } h2 { font-size: 16px; margin-top: 28px; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 12px; }
.curves figure { margin: 0; background: #fff; border: 1px solid #dfe2e8; border-radius: 8px; padding: 8px; }
.curves svg { width: 100%; height: auto; }
table { border-collapse: collapse; background: #fff; }
td, th { border: 1px solid #dfe2e8; padding: 3px 10px; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
ul { padding-left: 18px; }
"""


def run_page(
    rows: Sequence[Row],
    *,
    title: str,
    facts: Mapping[str, str],
    recipe: Mapping[str, str],
    notes: Sequence[str],
    best: int,
    tables: Mapping[str, Sequence[Sequence[str]]] = MappingProxyType({}),
) -> str:
    """The page as text.

    Args:
        rows: figures of every epoch.
        title: heading.
        facts: final figures, by name.
        recipe: options and their values.
        notes: what was noticed in the data.
        best: the epoch that was kept, from 1.
        tables: further tables by their heading; the first row is the header.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    noticed = "".join(f"<li>{escape(note)}</li>" for note in notes) or "<li>nothing</li>"
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{_STYLE}</style></head><body>',
            f"<h1>{escape(title)}</h1>",
            _table([(name, fact) for name, fact in facts.items()]),
            f"<h2>Curves</h2><p>{len(rows)} epochs; the dashed line is epoch {best}, whose weights were kept.</p>",
            f'<div class="curves">{"".join(_figures(rows, best))}</div>',
            *(f"<h2>{escape(name)}</h2>{_table(table[1:], table[0])}" for name, table in tables.items()),
            f"<h2>Noticed in the data</h2><ul>{noticed}</ul>",
            "<h2>Recipe</h2>",
            _table(list(recipe.items())),
            "</body></html>",
        ]
    )


def _table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    head = "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>" if header else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


def _figures(rows: Sequence[Row], best: int) -> list[str]:
    """A drawing for every panel that has something to show."""
    return [
        f"<figure>{_drawn(title, curves, best)}</figure>"
        for title, names in PANELS.items()
        if (curves := {name: _points(rows, name) for name in names if any(name in row for row in rows)})
    ]


def _points(rows: Sequence[Row], name: str) -> tuple[list[int], list[float]]:
    """Epochs, from 1, and the figure's values there."""
    points = [(at, row[name]) for at, row in enumerate(rows, 1) if name in row]
    return [at for at, _ in points], [value for _, value in points]


def _drawn(title: str, curves: Mapping[str, tuple[list[int], list[float]]], best: int) -> str:
    """One panel as SVG text that is the same every time."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with mpl.rc_context({"svg.hashsalt": "sightline", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.2, 2.7), layout="constrained")
        axes = figure.add_subplot(title=title)
        for colour, (name, (epochs, values)) in zip(COLOURS, curves.items(), strict=False):
            where, _, what = name.partition("/")
            label = where if len({curve.partition("/")[0] for curve in curves}) > 1 else what
            axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=label)
        axes.axvline(best, color="#8a8f9c", linestyle="--", linewidth=1)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata={"Date": None})
    text = sink.getvalue()
    return text[text.index("<svg") :]
