"""Figures of gates: their values over depth, and how much each hangs on the ones before. They know no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from sightline.reports.palette import UNSIGNED

Rows = Mapping[int, Sequence[str]]
"""For each stage the names of its blocks."""
WRITTEN = 8
"""Blocks up to which the numbers are written into a map."""


def depth_figure(values: Mapping[int, Float[Tensor, "t c"]], names: Rows, gate: str) -> Figure:
    """The mean gate of every block, blocks by channels, stage by stage.

    Args:
        values: for each stage.
        names: names of the blocks of each stage.
        gate: its name.
    """
    top = max(1.0, *(float(rows.max()) for rows in values.values()))
    low = min(0.0, *(float(rows.min()) for rows in values.values()))
    figure = Figure(figsize=(9, 0.5 + sum(0.5 + 0.3 * len(rows) for rows in values.values())), layout="constrained")
    axes = figure.subplots(len(values), 1, squeeze=False, height_ratios=[1 + len(rows) for rows in values.values()])
    for (stage, rows), axis in zip(values.items(), axes[:, 0], strict=True):
        axis.imshow(rows.float().numpy(), aspect="auto", cmap=_colours(), vmin=low, vmax=top, interpolation="nearest")
        axis.set_yticks(range(len(rows)), names[stage], fontsize=7)
        axis.set_xticks([])
        axis.set_title(f"stage {stage}: {rows.shape[1]} channels or groups", fontsize=8, loc="left")
    figure.colorbar(axes[-1, 0].images[0], ax=list(axes[:, 0]), label=f"mean gate ({gate})")
    return figure


def dependency_figure(maps: Mapping[str, Mapping[int, Float[Tensor, "t t"]]], names: Rows) -> Figure:
    """How much the gate of each block (row) hangs on each block before it (column).

    Args:
        maps: for each way of asking, the map of each stage; every map is drawn on its own scale.
        names: names of the blocks of each stage.
    """
    stages = list(dict.fromkeys(stage for matrices in maps.values() for stage in matrices))
    heights = [0.9 + 0.32 * len(names[stage]) for stage in stages]
    figure = Figure(figsize=(1.2 + 2.6 * len(maps), sum(heights)), layout="constrained")
    axes = figure.subplots(len(stages), len(maps), squeeze=False, height_ratios=heights)
    for column, (title, matrices) in enumerate(maps.items()):
        for row, stage in enumerate(stages):
            axis = axes[row, column]
            axis.set_title(f"{title}\n" if not row else "", fontsize=8)
            if stage not in matrices:
                axis.set_axis_off()
                continue
            _one_map(axis, matrices[stage])
            ticks = range(len(names[stage]))
            axis.set_yticks(ticks, names[stage] if not column else [""] * len(ticks), fontsize=7)
            axis.set_xticks(ticks, [str(block + 1) for block in ticks], fontsize=7)
            axis.set_ylabel(f"stage {stage}" if not column else "", fontsize=8)
    return figure


def _one_map(axis: Any, matrix: Float[Tensor, "t t"]) -> None:
    shown = matrix.float().masked_fill(torch.ones_like(matrix).triu().bool(), torch.nan)
    top = max(float(matrix.tril(-1).max()), 1e-12)
    axis.set_facecolor("#e9ebf0")
    axis.imshow(shown.numpy(), cmap=_colours(), vmin=0, vmax=top)
    if len(matrix) > WRITTEN:
        return
    for row in range(len(matrix)):
        for column in range(row):
            value = float(matrix[row, column])
            ink = "black" if value > 0.6 * top else "white"
            axis.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=6, color=ink)


def _colours() -> ListedColormap:
    return ListedColormap(UNSIGNED.double().numpy() / 255)
