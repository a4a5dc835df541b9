"""Ray Data gives any number of processes the same batches: each row once an epoch, in an order of seed and epoch."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sightline.errors import MissingExtraError
from sightline.tasks.clicks.data import rays
from sightline.tasks.clicks.data.batches import Part
from sightline.tasks.clicks.data.rays import RayOrder, ray_batches
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.tasks.clicks.train.experiment import train_clicks
from tests.tasks.clicks.logs import small_log

ROWS = 45


@pytest.fixture
def part(tmp_path: Path) -> Part:
    columns: dict[str, Any] = {"id0": np.arange(ROWS, dtype=np.int32), "label": np.arange(ROWS, dtype=np.int8) % 2}
    columns["group"] = np.zeros(ROWS, np.int64)
    pq.write_table(pa.table(columns), tmp_path / "train.parquet", row_group_size=10)
    return Part(tmp_path / "train.parquet")


@pytest.mark.parametrize(("world", "steps"), [(1, 6), (2, 6), (6, 5)])
def test_processes_share_each_batch(world: int, steps: int, part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pq.read_table(part.path)
    monkeypatch.setattr(RayOrder, "_tables", lambda self: (table.slice(at, 8) for at in range(0, ROWS, 8)))
    shares = []
    for rank in range(world):
        monkeypatch.setattr(rays, "place_among", lambda rank=rank: (rank, world))
        order = RayOrder(part, 8, 0)
        shares.append([ids[:, 0].tolist() for ids, _, _ in ray_batches(order)])
        assert len(order) == len(shares[-1]) == steps
    for step, own in enumerate(zip(*shares, strict=True)):
        assert min(map(len, own)) >= 1
        assert sorted(itertools.chain(*own)) == list(range(ROWS))[step * 8 : step * 8 + 8]


def test_ray_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    recipe = ClickRecipe().toy().but(reader="ray")
    with pytest.raises(MissingExtraError, match=r"sightline\[audit\]"):
        train_clicks(small_log(tmp_path / "log.csv"), tmp_path / "net.safetensors", recipe)


def test_ray_shows_every_row_once_an_epoch_and_repeats_an_epoch(part: Part) -> None:
    pytest.importorskip("ray")
    from sightline.training.rays import ray_session

    with ray_session(1, "a test"):
        order = RayOrder(part, 8, 0, buffer=20)
        epochs = []
        for epoch in (0, 1, 0):
            order.set_epoch(epoch)
            epochs.append(torch.cat([ids[:, 0] for ids, _, _ in order]).tolist())
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(ROWS))
    assert epochs[0] == epochs[2] != epochs[1]
