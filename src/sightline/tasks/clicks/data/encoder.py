"""`Encoder`: from a log's columns to rows of embedding tables; learnt on training rows, kept with the weights.

Of a category, row 0 is for what training never showed (or too rarely) and row 1 for an empty cell. Of a number, row 0
is for an empty cell and row 1 is scaled by the value. A set of categories has further columns of ids behind those of
the fields, one for each token beyond the first; what a row does not fill is `NOTHING`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.tasks.clicks.data.numbers import BUCKETS, SCALED, floats
from sightline.tasks.clicks.data.pieces import Piece
from sightline.tasks.clicks.data.schema import Field, Schema
from sightline.tasks.clicks.data.sets import tokens

NOTHING = -1
"""In a further column of a set: no token."""
UNSEEN, EMPTY, KNOWN = 0, 1, 2
"""Rows of a category's table: not in training, an empty cell, and the first of those that are known."""


@dataclass(frozen=True)
class Encoder:
    """How a log becomes numbers.

    Args:
        schema: what its columns are.
        transform: the named transform of numbers.
        buckets: rows that categories are hashed into; 0 for a vocabulary.
        vocabularies: by field, the row of each category.
        scales: by field that is a number, mean and standard deviation after the transform.
        slots: by field that is a set, the most tokens of a cell.
    """

    schema: Schema
    transform: str = "log"
    buckets: int = 0
    vocabularies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields, with numbers that a transform puts into buckets as categories."""
        if self.transform not in BUCKETS:
            return self.schema.fields
        return tuple(replace(own, kind="category") for own in self.schema.fields)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Positions of the fields that stay numbers."""
        return tuple(place for place, own in enumerate(self.fields) if own.kind == "number")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of each field's table."""
        return tuple(
            2 if own.kind == "number" else KNOWN + (self.buckets or len(self.vocabularies.get(own.name, {})))
            for own in self.fields
        )

    @property
    def owners(self) -> tuple[int, ...]:
        """Field of each further column of ids."""
        counts = (self.slots.get(own.name, 1) - 1 for own in self.fields)
        return tuple(place for place, count in enumerate(counts) for _ in range(count))

    def ids(self, piece: Piece) -> NDArray[np.int32]:
        """Rows of the embedding tables, `[rows, n]`, then the further columns of sets."""
        columns: list[NDArray[Any]] = []
        further: list[NDArray[Any]] = []
        for own in self.fields:
            if own.kind == "number":
                columns.append((~np.isnan(floats(piece, own.name))).astype(np.int32))
            elif own.kind == "set":
                first, *others = self._set(piece, own).T
                columns.append(first)
                further += others
            else:
                names, codes = coded(piece, own.name, self)
                columns.append(self._rows(own.name, names)[codes])
        return np.stack(columns + further, 1).astype(np.int32)

    def _set(self, piece: Piece, own: Field) -> NDArray[np.int64]:
        """Rows of a set's tokens, `[rows, slots]`."""
        split, slots = tokens(piece.columns[own.name], own.separator), self.slots.get(own.name, 1)
        table = np.full((len(piece), slots), NOTHING, np.int64)
        table[:, 0] = EMPTY
        kept = split.slots < slots
        table[split.rows[kept], split.slots[kept]] = self._rows(own.name, split.names)[split.codes[kept]]
        return table

    def values(self, piece: Piece) -> NDArray[np.float32]:
        """The numbers, `[rows, m]`; 1 where one is missing."""
        columns = [self._scaled(self.fields[place].name, piece) for place in self.numbers]
        return np.stack(columns, 1).astype(np.float32) if columns else np.zeros((len(piece), 0), np.float32)

    def name(self, place: int, row: int) -> str:
        """What a row of a field's table stands for."""
        own = self.fields[place]
        if own.kind == "number":
            return "a number" if row else "empty"
        if row < KNOWN:
            return ("not in training", "empty")[row]
        if self.buckets:
            return f"hash {row - KNOWN}"
        return next(name for name, known in self.vocabularies[own.name].items() if known == row)

    def _rows(self, field_name: str, names: list[str]) -> NDArray[np.int64]:
        if self.buckets:
            rows = [EMPTY if not name else KNOWN + hashed(f"{field_name}={name}") % self.buckets for name in names]
        else:
            vocabulary = self.vocabularies[field_name]
            rows = [EMPTY if not name else vocabulary.get(name, UNSEEN) for name in names]
        return np.array(rows, np.int64) if rows else np.zeros(1, np.int64)

    def _scaled(self, name: str, piece: Piece) -> NDArray[np.float64]:
        values = floats(piece, name)
        if self.transform != "none":
            mean, std = self.scales[name]
            values = (SCALED[self.transform](values) - mean) / std
        return np.where(np.isnan(values), 1.0, values)


def coded(piece: Piece, name: str, encoder: Encoder) -> tuple[list[str], NDArray[np.int64]]:
    """The different categories of a column, and for every row the place of its own."""
    column = piece.columns[name]
    if encoder.transform in BUCKETS and name in encoder.schema.numbers:
        values = BUCKETS[encoder.transform](floats(piece, name))
        different, codes = np.unique(values, return_inverse=True)  # NaN comes last
        return ["" if np.isnan(value) else f"{value:g}" for value in different], codes
    dictionary = column.dictionary_encode()
    names = [_text(value) for value in dictionary.dictionary.to_pylist()]
    codes = dictionary.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    return [*names, ""], codes.astype(np.int64)


def hashed(text: str) -> int:
    """A number for a text that is the same everywhere."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _text(value: Any) -> str:
    """A category as text: 3.0 and 3 are one."""
    return f"{value:g}" if isinstance(value, float) else str(value)


class Learner:
    """Counts the categories and the moments of training rows.

    Args:
        encoder: schema, transform and buckets; it has no vocabulary yet.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.counts: dict[str, Counter[str]] = {own.name: Counter() for own in encoder.fields}
        self.moments = {encoder.fields[place].name: np.zeros(3) for place in encoder.numbers}
        self.slots = {own.name: 1 for own in encoder.fields if own.kind == "set"}

    def see(self, piece: Piece, training: NDArray[np.bool_]) -> None:
        """Take the training rows of a piece into account.

        Args:
            piece: rows.
            training: which of them are for training.
        """
        for own in self.encoder.fields:
            if own.kind == "number":
                self._see_number(piece, own.name, training)
            elif own.kind == "set":
                self._see_set(piece, own, training)
            elif not self.encoder.buckets:
                names, codes = coded(piece, own.name, self.encoder)
                totals = np.bincount(codes[training], minlength=len(names))
                self.counts[own.name].update(
                    {name: int(total) for name, total in zip(names, totals, strict=False) if total and name}
                )

    def _see_set(self, piece: Piece, own: Field, training: NDArray[np.bool_]) -> None:
        split = tokens(piece.columns[own.name], own.separator)
        self.slots[own.name] = max(self.slots[own.name], int(split.slots.max(initial=0)) + 1)
        if self.encoder.buckets:
            return
        totals = np.bincount(split.codes[training[split.rows]], minlength=len(split.names))
        pairs = zip(split.names, totals.tolist(), strict=False)
        self.counts[own.name].update({name: total for name, total in pairs if total})

    def _see_number(self, piece: Piece, name: str, training: NDArray[np.bool_]) -> None:
        if self.encoder.transform == "none":
            return
        values = SCALED[self.encoder.transform](floats(piece, name)[training])
        values = values[np.isfinite(values)]
        self.moments[name] += (len(values), values.sum(), np.square(values).sum())

    def learnt(self, min_count: int) -> Encoder:
        """The encoder with its vocabularies and scales.

        Args:
            min_count: how often training must show a category; rarer ones share the row of unseen ones.
        """
        vocabularies = {
            name: {word: KNOWN + place for place, word in enumerate(sorted(_often(counts, min_count)))}
            for name, counts in self.counts.items()
        }
        return replace(self.encoder, vocabularies=vocabularies, scales=self._scales(), slots=dict(self.slots))

    def _scales(self) -> dict[str, tuple[float, float]]:
        scales = {}
        for name, (count, total, squares) in self.moments.items():
            mean = total / max(count, 1)
            spread = float(np.sqrt(max(squares / max(count, 1) - mean**2, 0.0)))
            scales[name] = (float(mean), spread if spread > 1e-12 else 1.0)
        return scales


def _often(counts: Counter[str], least: int) -> list[str]:
    return [word for word, count in counts.items() if count >= least]
