"""The work behind `sightline explain clicks`: read the row, explain it, write the page into a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sightline.common.files import write_text
from sightline.errors import DataError
from sightline.tasks.clicks.data.batches import Rows, rows_of
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.data.pieces import pieces
from sightline.tasks.clicks.data.prepare import encoded
from sightline.tasks.clicks.explain.page import story_page
from sightline.tasks.clicks.explain.story import Place, Story, story_of
from sightline.tasks.clicks.metrics.outcome import logits_of
from sightline.tasks.clicks.network.network import ClickNet
from sightline.tasks.clicks.network.store import load_clicks
from sightline.tasks.clicks.predict.predictions import row_of, schema_like
from sightline.tasks.clicks.predict.shares import cases_of
from sightline.terminal.folder import whole_folder, write_summary

COMPARED = 4_096
"""Rows of the log that a row is compared with: the first ones."""


def explain_row(log: Path, weights: Path, row: int, out: Path) -> tuple[Story, dict[str, Any]]:
    """Explain one row of a log and write its page.

    Args:
        log: the file.
        weights: of the network.
        row: its number, from 1.
        out: folder of the result.

    Raises:
        DataError: the log cannot be read, or has fewer rows.
        ResultError: the page cannot be written.
    """
    net, encoder = load_clicks(weights)
    encoder = replace(encoder, schema=schema_like(log, encoder.schema))
    labelled = bool(encoder.schema.label)
    piece = row_of(log, encoder.schema, row)
    first = next(pieces(log, encoder.schema))
    compared = rows_of(encoded(first, encoder, labelled=labelled).slice(0, COMPARED))
    own = rows_of(encoded(piece, encoder, labelled=labelled))
    cells = tuple(_cell(piece.columns[field.name][0].as_py()) for field in encoder.fields)
    clicked = bool(own.labels[0]) if labelled else None
    place = place_of(net, encoder, log, row) if encoder.schema.case else None
    story = story_of(net, encoder, _pair(own), _pair(compared), row=row, cells=cells, clicked=clicked, place=place)
    record = record_of(story)
    with whole_folder(out) as folder:
        write_text(folder / "page.html", story_page(story, f"Row {row} of {log.name}"))
        write_summary(folder, {**record, "files": ["page.html"]})
    return story, record


@torch.no_grad()
def place_of(net: ClickNet, encoder: Encoder, log: Path, row: int) -> Place:
    """The choice of a row: the utilities of the other alternatives.

    Args:
        net: in eval mode.
        encoder: how the log becomes numbers; its schema has a case.
        log: the file.
        row: its number, from 1.

    Raises:
        DataError: the row could not be chosen.
    """
    for table in cases_of(log, encoder):
        numbers, cases = table["row"].to_numpy(), table["case"].to_numpy()
        if not len(at := (numbers == row - 1).nonzero()[0]):
            continue
        own = (cases == cases[at[0]]).nonzero()[0]
        rows = rows_of(table.take(own))
        utilities = torch.from_numpy(logits_of(net, rows).astype(float))[torch.from_numpy(own != at[0])]
        nothing = utilities.new_zeros(int(encoder.schema.outside))
        return Place(len(own), float(torch.cat([utilities, nothing]).logsumexp(0)), encoder.schema.outside)
    raise DataError(f"--row {row} of the log {str(log)!r} is an alternative that was not available; take another row")


def _cell(value: Any) -> str:
    """What a cell holds, in words; a list by its tokens."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if value not in (None, "", []) else "(empty)"


def _pair(rows: Rows) -> Any:
    return rows.ids.long(), rows.values


def record_of(story: Story) -> dict[str, Any]:
    """The explanation as JSON's kinds."""
    parts = story.parts
    count = len(story.names)
    places = [(i, j) for i in range(count) for j in range(i + 1, count)]
    return {
        "row": story.row,
        "probability": story.probability,
        "logit": parts.logit,
        "base": parts.base,
        "exact": parts.exact,
        "main": dict(zip(story.names, parts.main.tolist(), strict=True)),
        "integrated_gradients": None
        if story.gradients is None
        else dict(zip(story.names, story.gradients.tolist(), strict=True)),
        "pairs": [{"fields": [story.names[i], story.names[j]], "value": float(parts.pairs[i, j])} for i, j in places],
        "cells": dict(zip(story.names, story.cells, strict=True)),
        "sentences": [story.sentence, *story.change_sentences],
        "clicked": story.clicked,
        "alternatives": None if story.place is None else story.place.alternatives,
    }
