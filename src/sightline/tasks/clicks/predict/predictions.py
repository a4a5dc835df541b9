"""Predictions for the rows of a log, written as a table, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.files import whole_file
from sightline.errors import DataError, near
from sightline.tasks.clicks.data.batches import rows_of
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.data.lines import arrow
from sightline.tasks.clicks.data.pieces import Piece, pieces
from sightline.tasks.clicks.data.prepare import encoded
from sightline.tasks.clicks.data.schema import Schema
from sightline.tasks.clicks.data.sniff import recognise
from sightline.tasks.clicks.metrics.outcome import logits_of
from sightline.tasks.clicks.metrics.scores import auc, log_losses
from sightline.tasks.clicks.network.network import ClickNet
from sightline.tasks.clicks.network.store import load_clicks
from sightline.tasks.clicks.predict.shares import write_shares
from sightline.tasks.clicks.predict.tables import write_tables
from sightline.training.reporter import Report


def schema_like(log: Path, trained: Schema) -> Schema:
    """The schema of another log as the network reads it: its own file layout, the training's fields.

    Args:
        log: the file.
        trained: what the columns were in training.

    Raises:
        DataError: a column that the network reads is not there.
    """
    own = recognise(log)
    columns = trained.columns if not own.header and len(own.columns) == len(trained.columns) else own.columns
    known = {*columns, *own.names}
    made = set(trained.names) - set(trained.columns)  # joined or made of other columns
    missing = [name for name in trained.names if name not in known and name not in made]
    if missing:
        raise DataError(
            f"the log {str(log)!r} has no column {missing[0]!r}, which the network reads; {near(missing[0], known)}"
        )
    label = trained.label if trained.label in known else ""
    for name, option in ((trained.case, "case"), (trained.available, "available")):
        if name and name not in known:
            raise DataError(
                f"the log {str(log)!r} has no column {name!r}, which was --{option} in training; {near(name, known)}"
            )
    return replace(
        own,
        layout=trained.layout if own.layout == "table" and trained.layout != "Avazu" else own.layout,
        columns=columns,
        fields=trained.fields,
        label=label,
        positive=trained.positive,
        group="",
        position="",
        propensity="",
        case=trained.case,
        available=trained.available,
        outside=trained.outside,
    )


def write_predictions(log: Path, weights: Path, out: Path, report: Report) -> dict[str, Any]:
    """Predict every row and write row number, probability and utility.

    Args:
        log: the file.
        weights: of the network.
        out: a CSV or Parquet file.
        report: called with the rows that are done.

    Returns:
        rows, predicted and observed rate, loss and auc; the last three are None where there are no labels.

    Raises:
        DataError: the log cannot be read.
        ResultError: the table cannot be written.
    """
    net, encoder = load_clicks(weights)
    schema = schema_like(log, encoder.schema)
    encoder = replace(encoder, schema=schema)
    if schema.case:
        return write_shares(log, net, encoder, out, report)
    logits: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.float32]] = []
    with whole_file(out) as temporary:
        write_tables(out, temporary, _tables(net, encoder, log, report, logits, labels))
    utilities = np.concatenate(logits).astype(np.float64)
    probabilities = 1 / (1 + np.exp(-utilities))
    figures: dict[str, Any] = {"rows": len(utilities), "predicted": float(probabilities.mean())}
    if not schema.label:
        return {**figures, "observed": None, "loss": None, "auc": None}
    clicked = np.concatenate(labels).astype(np.float64)
    loss = float(log_losses(probabilities, clicked).mean())
    return {**figures, "observed": float(clicked.mean()), "loss": loss, "auc": auc(utilities, clicked)}


def _tables(
    net: ClickNet,
    encoder: Encoder,
    log: Path,
    report: Report,
    logits: list[NDArray[np.float32]],
    labels: list[NDArray[np.float32]],
) -> Iterator[Any]:
    pa = arrow()
    for piece in pieces(log, encoder.schema):
        rows = rows_of(encoded(piece, encoder, labelled=bool(encoder.schema.label)))
        own = logits_of(net, rows)
        logits.append(own)
        labels.append(rows.labels.numpy())
        numbers = np.arange(piece.first, piece.first + len(piece)) + 1
        probability = 1 / (1 + np.exp(-own.astype(np.float64)))
        yield pa.table({"row": numbers, "probability": probability, "utility": own})
        report(len(piece))


def row_of(log: Path, schema: Schema, number: int) -> Piece:
    """One row of a log, as a piece of one row.

    Args:
        log: the file.
        schema: what its columns are.
        number: counted from 1.

    Raises:
        DataError: the log has fewer rows.
    """
    total = 0
    for piece in pieces(log, schema):
        place = number - 1 - piece.first
        if 0 <= place < len(piece):
            columns = {name: column.slice(place, 1) for name, column in piece.columns.items()}
            return Piece(piece.path, number - 1, piece.header, columns)
        total = piece.first + len(piece)
    raise DataError(f"--row {number} was asked for, but the log {str(log)!r} has {total} rows")
