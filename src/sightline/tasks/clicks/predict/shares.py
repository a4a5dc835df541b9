"""Shares of the alternatives of choices, for the rows of a log that lie case by case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.common.files import whole_file
from sightline.tasks.clicks.data.batches import rows_of
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.data.lines import arrow
from sightline.tasks.clicks.data.numbers import usable
from sightline.tasks.clicks.data.pieces import pieces
from sightline.tasks.clicks.data.prepare import encoded
from sightline.tasks.clicks.metrics.choices import CaseTally
from sightline.tasks.clicks.metrics.outcome import logits_of
from sightline.tasks.clicks.network.network import ClickNet
from sightline.tasks.clicks.predict.tables import write_tables
from sightline.training.reporter import Report


def write_shares(log: Path, net: ClickNet, encoder: Encoder, out: Path, report: Report) -> dict[str, Any]:
    """Predict every alternative's share in its choice; rows that are not available are left out.

    Args:
        log: the file.
        net: in eval mode.
        encoder: how the log becomes numbers.
        out: a CSV or Parquet file.
        report: called with the rows that are done.

    Returns:
        rows, choices, and where the log has labels loss, hits and the loss of equal shares.
    """
    tally, count = CaseTally(), 0
    pa = arrow()

    def tables() -> Iterator[Any]:
        nonlocal count
        for table in cases_of(log, encoder):
            rows = rows_of(table)
            utilities = torch.from_numpy(logits_of(net, rows).astype(np.float64))
            shares = tally.add(utilities, rows.labels.double(), rows.case, outside=encoder.schema.outside)
            numbers = table["row"].to_numpy() + 1
            yield pa.table({"row": numbers, "probability": shares.numpy(), "utility": utilities.float().numpy()})
            count += len(numbers)
            report(len(numbers))

    with whole_file(out) as temporary:
        write_tables(out, temporary, tables())
    figures: dict[str, Any] = {"rows": count, "choices": tally.cases, "loss": None, "hits": None, "equal": None}
    if not encoder.schema.label:
        return figures
    parts = {"loss": tally.loss, "hits": tally.hits, "equal": tally.equal}
    return figures | {name: value / max(1, tally.cases) for name, value in parts.items()}


def cases_of(log: Path, encoder: Encoder) -> Iterator[Any]:
    """Encoded rows of whole cases: the last case of a piece waits for the next.

    Args:
        log: the file.
        encoder: how the log becomes numbers; its schema has a case.
    """
    pa, kept = arrow(), None
    for piece in pieces(log, encoder.schema):
        can = pa.array(usable(piece, encoder.schema))
        table = encoded(piece, encoder, labelled=bool(encoder.schema.label)).filter(can)
        table = table if kept is None else pa.concat_tables([kept, table]).combine_chunks()
        cases = table["case"].to_numpy()
        changes = np.flatnonzero(cases[1:] != cases[:-1]) + 1
        until = int(changes[-1]) if len(changes) else 0
        if until:
            yield table.slice(0, until)
        kept = table.slice(until)
    if kept is not None and kept.num_rows:
        yield kept
