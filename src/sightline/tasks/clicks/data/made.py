"""Columns that are made of others: hour of the day, weekday and weekend of Avazu's `hour`, YYMMDDHH."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sightline.common.text import clipped
from sightline.errors import DataError
from sightline.tasks.clicks.data.lines import arrow
from sightline.tasks.clicks.data.schema import Schema


def made_columns(schema: Schema, columns: Mapping[str, Any]) -> dict[str, Any]:
    """What a format makes of its columns; nothing for most."""
    if schema.layout != "Avazu":
        return {}
    coded = columns["hour"].dictionary_encode()
    times = [avazu_hour(text) for text in coded.dictionary.to_pylist()]
    parts = {
        "hour_of_day": [str(time.hour) for time in times],
        "weekday": [str(time.weekday()) for time in times],
        "weekend": [str(int(time.weekday() > 4)) for time in times],
    }
    return {name: arrow().array(cells).take(coded.indices) for name, cells in parts.items()}


def avazu_hour(text: str) -> datetime:
    """A time of YYMMDDHH.

    Raises:
        DataError: it is not one.

    Example:
        >>> avazu_hour("14102123")
        datetime.datetime(2014, 10, 21, 23, 0)
    """
    try:
        return datetime.strptime(text, "%y%m%d%H")
    except ValueError as problem:
        raise DataError(
            f"the hour {clipped(text)} is not YYMMDDHH, such as 14102123; correct the column"
        ) from problem
