"""Which pixels do methods find where the truth is known? The table of `docs/studies/pixels.md`.

    python benchmarks/xai_tris.py train --work tris.work             # three minutes on one core
    python benchmarks/xai_tris.py tables --work tris.work --write

Eight kinds of pictures of 8x8 (see `_tris.py`), five seeds of pictures and network for each. Of each network 100 test
pictures that it knows are explained; the explained class is the right one. Precision is the share of the n pixels of
largest size that lie in the truth of n pixels. A cell that is there is not trained again.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import sightline
from _study import Rows, arguments, part_of, publish
from _tris import CELLS, Pictures, laplace, network, pictures, precision, right, train
from sightline.common.files import write_text

LAYER = "1"
"""The first layer: the ReLU behind the first convolution."""
FIRST = "lrp, first layer"
INPUT = {
    "lrp, input, gamma": {"first": "gamma"},
    "lrp, input, bounded": {"low": -1, "high": 1},
    "lrp, input, bounded by the picture's own ends": {},
}
"""The LRP flow at the input, by the rule of its first layer."""
DRAWS = 2000


def explained(net: nn.Module, data: Pictures, method: str, layer: str, **options: Any) -> Tensor:
    """Maps `[n, 8, 8]` of the right class."""
    items = sightline.explain(net, data.inputs, target=data.classes, method=method, layers=layer, options=options)
    return torch.stack([item.flow[layer].values for item in items])


METHODS: dict[str, Callable[[nn.Module, Pictures], Tensor]] = {
    **{name: lambda net, data, own=own: explained(net, data, "lrp", "input", **own) for name, own in INPUT.items()},
    FIRST: lambda net, data: explained(net, data, "lrp", LAYER),
    "naflow, input": lambda net, data: explained(net, data, "naflow", "input"),
    "naflow, first layer": lambda net, data: explained(net, data, "naflow", LAYER),
    "gradient x input": lambda net, data: explained(net, data, "gradxact", "input"),
    **{name: lambda net, data, name=name: explained(net, data, name, "input")
       for name in ("saliency", "smoothgrad", "integrated_gradients")},
    "*the picture itself*": lambda net, data: data.inputs[:, 0],
    "*laplace*": lambda net, data: laplace(data.inputs),
    **{f"*{name}*": lambda net, data, name=name: explained(net, data, name, "input")
       for name in ("edges", "gaussian", "uniform", "random")},
}  # fmt: skip


def main() -> None:
    """Train and explain, or print."""
    asked = arguments(__doc__, "tris.work", "pixels.md", CELLS).parse_args()
    torch.set_num_threads(1)
    if asked.toy:
        with tempfile.TemporaryDirectory() as folder:
            _run(CELLS, 1, Path(folder), (0, 1), TOY)
            publish(tables(Path(folder)), "xai_tris", json_to=asked.json)
    elif asked.what == "train":
        _run(asked.study or CELLS, asked.seeds, asked.work, part_of(asked), Size())
    else:
        publish(tables(asked.work), "xai_tris", json_to=asked.json, write=asked.write)


@dataclass(frozen=True)
class Size:
    """How many pictures are drawn, how long is trained, and how many pictures are explained."""

    pictures: int = 10_000
    epochs: int = 12
    samples: int = 100


TOY = Size(300, 1, 8)


def _run(cells: Sequence[str], seeds: int, work: Path, part: tuple[int, int], size: Size) -> None:
    at, of = part
    work.mkdir(parents=True, exist_ok=True)
    for cell, seed in [(cell, seed) for seed in range(seeds) for cell in cells][at::of]:
        place = work / f"{cell.replace(' ', '-')}-{seed}.json"
        if not place.exists():
            begun = time.process_time()
            figures = measured(cell, seed, size)
            write_text(place, json.dumps(figures))
            took = time.process_time() - begun
            print(f"{cell}, seed {seed}: accuracy {figures['accuracy']:.3f}, {took:.0f} s of CPU", flush=True)


def measured(cell: str, seed: int, size: Size) -> dict[str, Any]:
    """Accuracy of one network, and the precision of every method on each picture."""
    data, net = pictures(cell, seed, size.pictures), network(seed)
    first, second = int(0.8 * size.pictures), int(0.9 * size.pictures)
    train(net, data[:first], data[first:second], size.epochs)
    net.eval()
    test = data[second:]
    known = right(net, test)
    chosen = test[known.nonzero()[: size.samples, 0]]
    return {
        "accuracy": float(known.float().mean()),
        "precision": {
            name: precision(maps(net, chosen).detach(), chosen.truth).tolist() for name, maps in METHODS.items()
        },
    }


def tables(work: Path) -> dict[str, Rows]:
    """Precision of every method, and by how much the LRP map at the input is better than that at the first layer."""
    cells = {cell: [json.loads(path.read_text()) for path in sorted(work.glob(f"{cell.replace(' ', '-')}-*.json"))]
             for cell in CELLS}  # fmt: skip
    own = {cell: {name: [np.array(run["precision"][name]) for run in runs] for name in METHODS}
           for cell, runs in cells.items() if runs}  # fmt: skip
    accuracy = {"method": "accuracy of the networks"} | {
        cell: f"{np.mean([run['accuracy'] for run in cells[cell]]):.3f}" for cell in own
    }
    rows = [{"method": name} | {cell: _cell(values[name]) for cell, values in own.items()} for name in METHODS]
    gains = [
        {"LRP at the input less LRP at the first layer": name.removeprefix("lrp, input, ")}
        | {cell: _cell([a - b for a, b in zip(v[name], v[FIRST], strict=True)], "+") for cell, v in own.items()}
        for name in INPUT
    ]
    return {"precision": [*rows, accuracy], "gain": gains}


def _cell(seeds: list[Any], sign: str = "") -> str:
    """Mean and 95 % interval, by drawing seeds, and pictures of each, with replacement."""
    draw = np.random.default_rng(0)
    own = np.stack([run[: min(map(len, seeds))] for run in seeds])
    runs = draw.integers(len(own), size=(DRAWS, len(own), 1))
    means = own[runs, draw.integers(own.shape[1], size=(DRAWS, *own.shape))].mean((1, 2))
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{np.mean([run.mean() for run in seeds]):{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


if __name__ == "__main__":
    main()
