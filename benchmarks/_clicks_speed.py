"""What click networks cost: training steps beside DeepCTR-Torch on a CPU or GPU, encoding of a log, peak memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from _clicks_jobs import Cell, Job
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.data.prepare import Dealing, prepare
from sightline.tasks.clicks.network.choice import click_loss
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.network.utility import Deep, Total
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.tasks.clicks.train.experiment import schema_of, train_clicks
from sightline.tasks.clicks.world import ClickWorld

PEERS = {"deepfm": "DeepFM", "dcn": "DCN", "autoint": "AutoInt", "afm": "AFM"}
ALONE = ("fm", "fwfm", "sam2a", "sam2e", "sam3a", "sam3e")
MODELS = (*PEERS, *ALONE)
LARGE = 65_536
"""The larger batch on a GPU."""


def speed_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """Rows per CPU second of a training step on 39 fields of 1,000 categories, d = 10, beside DeepCTR-Torch."""
    batch, repetitions = (64, 1) if toy else (4096, 5)
    return [Job(model, speed_cell, (model, batch, repetitions, "cpu")) for model in MODELS]


def device_jobs(folder: Path, seeds: Iterable[int], toy: bool, device: str) -> list[Job]:
    """The same on a device, rows per second of the clock, two sizes of batch."""
    sizes, repetitions = ((64,), 1) if toy else ((4096, LARGE), 9)
    return [
        Job(f"{model}-{batch}", speed_cell, (model, batch, repetitions, device))
        for batch in sizes
        for model in MODELS
    ]


def speed_cell(model: str, batch: int, repetitions: int, device: str) -> Cell:
    """Ours and the peer's in turn, so that both meet the same machine; medians."""
    ids = torch.randint(0, 1000, (batch, 39), generator=torch.Generator().manual_seed(0)).to(device)
    labels = (torch.rand(batch, generator=torch.Generator().manual_seed(1)) < 0.25).float().to(device)
    spec = ClickSpec(
        model=model, sizes=(1000,) * 39, width=10, hidden=(256, 128), layers=3 if model == "autoint" else 2
    )
    net = ClickNet(spec)
    if model == "dcn":  # theirs cannot leave its perceptron out, so ours has the same beside its cross layers
        net.interaction = Total(net.interaction, Deep(390, (256, 128), 0.0))
    net = net.to(device)
    none = torch.zeros(batch, 0, device=device)
    ours = stepper(net, lambda: click_loss(net(ids, none), labels))
    theirs = peer(model, ids, labels)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    clock = partial(spent, cuda=ids.is_cuda)
    for _ in range(repetitions + 1):
        times["ours"].append(clock(ours))
        if theirs is not None:
            times["theirs"].append(clock(theirs))
    rates = {name: batch / float(np.median(own[1:])) for name, own in times.items() if own}
    ratios = [b / a for a, b in zip(times["ours"][1:], times["theirs"][1:], strict=False)]
    return {
        "model": model,
        "batch": batch,
        "device": torch.cuda.get_device_name() if ids.is_cuda else "CPU",
        **rates,
        "ratio": [min(ratios), float(np.median(ratios)), max(ratios)] if ratios else None,
    }


STEPS = 10
"""Steps of a measurement on a GPU."""


def spent(work: Callable[[], object], *, cuda: bool) -> float:
    """CPU seconds of a step; on a GPU seconds of the clock, of several steps until the device has finished."""
    if not cuda:
        begun = time.process_time()
        work()
        return time.process_time() - begun
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(STEPS):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / STEPS


def stepper(net: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], object]:
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad])

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()

    return step


def peer(model: str, ids: torch.Tensor, labels: torch.Tensor) -> Callable[[], object] | None:
    """A step of DeepCTR-Torch's nearest model; None where it is not installed or has none."""
    if model not in PEERS:
        return None
    try:
        from deepctr_torch import models
        from deepctr_torch.inputs import SparseFeat
    except ImportError:
        return None
    columns = [SparseFeat(f"f{place}", 1000, 10) for place in range(39)]
    sizes = {"dnn_hidden_units": (256, 128)} if model in ("deepfm", "dcn") else {}
    only = {"dcn": {"cross_num": 2}, "autoint": {"dnn_hidden_units": ()}}
    more = {**sizes, **only.get(model, {})}
    net = getattr(models, PEERS[model])(columns, columns, device=str(ids.device), **more)
    inputs = ids.float()

    def loss() -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy(net(inputs)[:, 0], labels)

    return stepper(net, loss)


def encoding_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """Rows per CPU second of both passes over a text of Criteo's form: 13 numbers and 26 hashes in a row."""
    return [Job("criteo", encoding_cell, (500 if toy else 300_000,))]


def encoding_cell(rows: int) -> Cell:
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as work:
        log = Path(work) / "train.txt"
        with log.open("w") as file:
            for _ in range(0, rows, 10_000):
                count = min(10_000, rows)
                numbers = draw.integers(-2, 5000, (count, 13)).astype(str)
                numbers[draw.random(numbers.shape) < 0.2] = ""
                hashes = np.char.mod("%08x", (draw.pareto(0.8, (count, 26)) * 100).astype(np.int64) % 2**32)
                labels = (draw.random((count, 1)) < 0.25).astype(int).astype(str)
                np.savetxt(file, np.hstack([labels, numbers, hashes]), fmt="%s", delimiter="\t")
        size, begun = log.stat().st_size, time.process_time()
        recipe = ClickRecipe().data
        encoder = Encoder(schema_of(log, recipe), recipe.transform)
        own = prepare(log, encoder, Dealing(), Path(work) / "log", test=None, min_count=2, report=lambda count: None)
        spent_s = time.process_time() - begun
        parquet = sum(own.path(part).stat().st_size for part in own.rows)
    total = sum(own.rows.values())
    return {"rows": total, "cpu": spent_s, "text": size / total, "parquet": parquet / total}


def memory_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """Peak memory of an epoch of SAM2A on generated rows of 8 fields, each size in a process of its own."""
    return [Job(str(rows), memory_cell, (rows,)) for rows in ((10_000, 20_000) if toy else (1_000_000, 10_000_000))]


def memory_cell(rows: int) -> Cell:
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, __file__, str(rows), work]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: Cell = json.loads(done.stdout.splitlines()[-1])
    return result


def memory_of(rows: int, work: Path) -> None:
    """What a process of its own does: write the log in pieces, train one epoch, say its peak."""
    log = work / "log.csv"
    world = ClickWorld(0, pairs=8)
    with log.open("w") as file:
        file.write("click,a,b,c,d,e,f,g,h\n")
        for first in range(0, rows, 100_000):
            own = world.draw(min(100_000, rows - first), first)
            np.savetxt(file, np.column_stack([own.clicked, own.cells]), fmt="%d", delimiter=",")
    begun = time.process_time()
    recipe = ClickRecipe().but(model="sam2a", epochs=1, batch_size=4096)
    train_clicks(log, work / "net.safetensors", recipe)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "peak": peak, "cpu": time.process_time() - begun}))


if __name__ == "__main__":
    memory_of(int(sys.argv[1]), Path(sys.argv[2]))
