"""Cost of NAFlow beside one forward + backward to the input, and how near its few iterations come to convergence.

    python benchmarks/naflow_cost.py                    # the ten networks, 224x224, batch 1
    python benchmarks/naflow_cost.py --toy
    python benchmarks/naflow_cost.py --models resnet50 --no-time --memory --batches 1 8 32 --json out.json

`correlation` is the smallest over all layers of the correlation between the default's map and that of 60 iterations;
`to forward` the smallest correlation of that converged map with the one of the mode forward: how much the inverse
does at all. `--weights DIR` takes `NAME_imagenet.safetensors` from there; otherwise weights are random.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import sightline
from _measure import STUDIES, Ratio, build, conditions, dump, forward_backward, options, paired, seconds, table, write

PAGE = STUDIES / "flow.md"
MODELS = (
    "alexnet", "mobilenet_v2", "resnet50", "vgg16", "resnet18", "squeezenet1_0", "densenet121", "googlenet",
    "efficientnet_b0", "convnext_tiny",
)  # fmt: skip
CONVERGED = 60
JOBS = ("forward + backward", "anchored")


def load(name: str, folder: Path | None) -> tuple[nn.Module, Tensor, str]:
    """The network, an input, and where its weights are from."""
    model, inputs = build(name)
    file = None if folder is None else folder / f"{name}_imagenet.safetensors"
    if file is None or not file.exists():
        return model.requires_grad_(False), inputs, "random"
    from safetensors.torch import load_file

    model.load_state_dict(load_file(file))
    return model.requires_grad_(False), inputs, "real"


def flow(model: nn.Module, inputs: Tensor, **own: Any) -> list[Tensor]:
    """NAFlow's maps at all blocks."""
    found = sightline.explain(model, inputs, method="naflow", options=own)[0].flow
    return [map_.values for map_ in found.maps]


def correlation(ones: list[Tensor], others: list[Tensor]) -> float:
    """The smallest correlation over layers."""
    pairs = zip(ones, others, strict=True)
    return min(float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1]) for a, b in pairs)


def measure(name: str, repetitions: int, device: str, folder: Path | None, damping: float) -> dict[str, Any]:
    """All figures of one network."""
    model, inputs, weights = load(name, folder)
    model, inputs = model.to(device), inputs.to(device)

    def yardstick() -> float:
        return seconds(lambda: forward_backward(model, inputs), device)

    yardstick()
    first = seconds(lambda: flow(model, inputs), device) / yardstick()
    found: dict[str, Any] = {"weights": weights, "first call": first}
    for mode in ("forward", "anchored"):
        work = partial(flow, model, inputs, mode=mode, damping=damping)
        found[mode] = paired(work, yardstick, repetitions=repetitions, device=device)
    ours = flow(model, inputs, damping=damping)
    right = flow(model, inputs, damping=damping, iterations=CONVERGED)
    found["correlation"] = correlation(ours, right)
    found["to forward"] = correlation(right, flow(model, inputs, mode="forward"))
    return found


def batches(name: str, repetitions: int, device: str, sizes: tuple[int, ...]) -> dict[str, float]:
    """Seconds for each image at several batch sizes, medians."""
    model, inputs, _ = load(name, None)
    model, inputs = model.to(device), inputs.to(device)
    found = {}
    for size in sizes:
        batch = torch.randn(size, *inputs.shape[1:], generator=torch.Generator().manual_seed(0)).to(device)
        flow(model, batch)
        times = [seconds(lambda batch=batch: flow(model, batch), device) / size for _ in range(repetitions)]
        found[str(size)] = statistics.median(times)
    return found


def grown(job: str, name: str) -> float:
    """Megabytes by which the peak of resident memory grows; for a process of its own."""
    torch.set_num_threads(1)
    toy, x, _ = load("toy", None)
    work = {"forward + backward": forward_backward, "anchored": flow}[job]
    work(toy, x)
    model, inputs, _ = load(name, None)
    with open("/proc/self/status") as status:
        base = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
    kept = work(model, inputs)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - base if kept is not None else 0.0


def memory(name: str, repetitions: int) -> float:
    """Growth of the peak in fresh processes, as a ratio to the yardstick's."""

    def fresh(job: str) -> float:
        command = [sys.executable, __file__, "--one", job, "--models", name]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])

    each = {job: statistics.median(fresh(job) for _ in range(repetitions)) for job in JOBS}
    return each["anchored"] / each["forward + backward"]


def spread(ratio: Ratio | None) -> str:
    """Median with the smallest and the largest."""
    return "-" if ratio is None else f"{ratio.median:.2f} ({ratio.least:.2f} to {ratio.most:.2f})"


def number(x: float | None, digits: int) -> str:
    """A number, or a dash."""
    return "-" if x is None else f"{x:.{digits}f}"


def columns(it: dict[str, Any], sizes: str) -> dict[str, str]:
    """One network's cells by column; memory and batches only where they were asked for."""
    cells = {
        "weights": it.get("weights", "-"),
        "forward (bar 1.2)": spread(it.get("forward")),
        "anchored (bar 5, or 8)": spread(it.get("anchored")),
        "first call": number(it.get("first call"), 2),
        "correlation (bar 0.98)": number(it.get("correlation"), 3),
        "to forward": number(it.get("to forward"), 3),
    }
    if "memory" in it:
        cells["memory (bar 2.5)"] = number(it["memory"], 2)
    if "per image" in it:
        cells[f"ms per image at batch {sizes}"] = " / ".join(f"{1000 * t:.0f}" for t in it["per image"].values())
    return cells


def main() -> None:
    parser = options(__doc__, models=MODELS)
    parser.add_argument("--weights", type=Path, help="folder of NAME_imagenet.safetensors")
    parser.add_argument("--memory", action="store_true", help="peak memory too, in fresh processes")
    parser.add_argument("--batches", type=int, nargs="*", default=[], help="time for each image at these batch sizes")
    parser.add_argument("--damping", type=float, default=0.1, help="of the mode anchored; 0.1")
    parser.add_argument("--no-time", action="store_true", help="leave times and correlations out")
    parser.add_argument("--one", help="internal: the memory of one job in this process")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.one:
        print(grown(asked.one, asked.models[0]))
        return
    warnings.simplefilter("ignore")
    names, repetitions = (["toy"], 2) if asked.toy else (asked.models, asked.repetitions)
    found, rows = {}, []
    for name in names:
        found[name] = {} if asked.no_time else measure(name, repetitions, asked.device, asked.weights, asked.damping)
        if asked.memory:
            found[name]["memory"] = memory(name, 1 if asked.toy else min(3, repetitions))
        if asked.batches:
            found[name]["per image"] = batches(name, 3, asked.device, tuple(asked.batches))
        rows.append({"network": name, **columns(found[name], " / ".join(map(str, asked.batches)))})
        print(*rows[-1].values(), flush=True)
    text = table(list(rows[0]), [list(cells.values()) for cells in rows])
    about = conditions(asked.device) + f"; medians of {repetitions} pairs"
    print(f"\n{about}\n\n{text}")
    dump(asked.json, {"about": about, "models": found})
    if asked.write:
        write("naflow_cost", f"{about}\n\n{text}", PAGE)


if __name__ == "__main__":
    main()
