"""What a metric costs beside the bare forwards that it needs, and beside Quantus' pixel flipping at equal steps.

Run it with one argument of your choice::

    python benchmarks/metrics_cost.py                  # resnet18 and mobilenet_v2 at 224 px, minutes
    python benchmarks/metrics_cost.py --toy            # a small network, seconds, for CI
    python benchmarks/metrics_cost.py --model resnet18 --size 128 --repeats 9

Every pair is measured in turn - bare, metric, bare, metric, ... - in CPU time of this process on one thread, and the
median of the paired ratios is printed with the machine and the date. Quantus comes with the extra 'peers'; without it
its rows are left out. Weights are random: the time does not depend on them.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from sightline.metrics import (
    METRICS,
    Probe,
    aopc,
    average_drop,
    deletion,
    infidelity,
    insertion,
    road,
    sensitivity_n,
)

Work = Callable[[], object]


def cpu_seconds(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def paired(ours: Work, theirs: Work, *, repeats: int) -> tuple[float, float, float, float]:
    """Median seconds of both, and the median and the largest of the paired ratios ours / theirs."""
    ours(), theirs()
    pairs = [(cpu_seconds(theirs), cpu_seconds(ours)) for _ in range(repeats)]
    ratios = [mine / other for other, mine in pairs]
    medians = (statistics.median(mine for _, mine in pairs), statistics.median(other for other, _ in pairs))
    return *medians, statistics.median(ratios), max(ratios)


def bare(model: nn.Module, inputs: Tensor, *, forwards: int, rows: int) -> Work:
    """`forwards` forwards per sample in batches of `rows`, soft-max included, and nothing else."""
    count = forwards * len(inputs)
    batch = inputs.repeat(-(-rows // len(inputs)), 1, 1, 1)[:rows].contiguous()

    def work() -> None:
        with torch.inference_mode():
            for start in range(0, count, rows):
                model(batch[: min(rows, count - start)]).softmax(1)

    return work


def metrics_of(probe: Probe, inputs: Tensor, maps: Tensor, *, steps: int) -> dict[str, tuple[Work, int]]:
    """Work and forwards of each metric at about `steps` steps."""
    shares = (0.1, 0.3, 0.5, 0.7)
    options = {
        "deletion": (deletion, {"steps": steps}),
        "insertion": (insertion, {"steps": steps}),
        "aopc": (aopc, {"steps": steps}),
        "infidelity": (infidelity, {"draws": steps}),
        "sensitivity-n": (sensitivity_n, {"draws": max(2, steps // 4), "shares": shares}),
        "average-drop": (average_drop, {}),
        "road (in-painted)": (road, {}),
        "road (mean)": (road, {"baseline": "mean"}),
    }
    return {
        name: (
            lambda metric=metric, chosen=chosen: metric(probe, inputs, maps, **chosen),
            METRICS[name.split(" (")[0]].forwards(**chosen),
        )
        for name, (metric, chosen) in options.items()
    }


def quantus_flipping(
    model: nn.Module, inputs: Tensor, maps: Tensor, *, targets: Tensor, steps: int
) -> tuple[Work, int] | None:
    """Quantus' pixel flipping and its steps - about as many as asked - or None where it is not installed.

    It ranks the channels of a pixel one by one, and wants the features of a step to divide the pixels.
    """
    if find_spec("quantus") is None:
        return None
    import quantus

    pixels, features = inputs[0, 0].numel(), inputs[0].numel()
    divisors = [size for size in range(1, pixels + 1) if pixels % size == 0]
    size = min(divisors, key=lambda divisor: abs(features / divisor - steps))
    metric = quantus.PixelFlipping(features_in_step=size, disable_warnings=True)
    x, y = inputs.numpy(), targets.numpy()
    a = nn.functional.interpolate(maps[:, None], size=tuple(inputs.shape[2:]), mode="bilinear").numpy()
    more = {"softmax": True, "device": "cpu", "batch_size": len(x)}
    return lambda: metric(model=model, x_batch=x, y_batch=y, a_batch=a, **more), features // size


def toy() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def load(name: str) -> nn.Module:
    if name == "toy":
        return toy().eval()
    import torchvision

    return torchvision.models.get_model(name, weights=None).eval()


def measure(name: str, *, size: int, samples: int, steps: int, repeats: int, rows: int) -> list[str]:
    """Rows of the table for one model."""
    torch.manual_seed(0)
    model, inputs, maps = load(name), torch.rand(samples, 3, size, size), torch.rand(samples, 7, 7)
    targets = torch.arange(samples) % 10
    probe = Probe(model, targets, batch_size=rows)
    lines = []
    for metric, (work, forwards) in metrics_of(probe, inputs, maps, steps=steps).items():
        found = paired(work, bare(model, inputs, forwards=forwards, rows=rows), repeats=repeats)
        lines.append(line(f"{name} {size} px", f"{metric}", f"{forwards} bare forwards", *found))
    flipping = quantus_flipping(model, inputs, maps, targets=targets, steps=steps)
    if flipping is not None:
        same = flipping[1]
        work = lambda: deletion(probe, inputs, maps, steps=same, baseline="zero")  # noqa: E731
        found = paired(work, flipping[0], repeats=repeats)
        lines.append(line(f"{name} {size} px", "deletion", f"quantus PixelFlipping, {same} steps", *found))
    return lines


def line(model: str, ours: str, theirs: str, mine: float, other: float, ratio: float, worst: float) -> str:
    return f"| {model} | {ours} | {theirs} | {mine:.3f} | {other:.3f} | {ratio:.2f} | {worst:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="a small network; seconds")
    parser.add_argument("--model", action="append", help="torchvision models; default resnet18 and mobilenet_v2")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rows", type=int, default=8, help="rows per forward")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = ["toy"] if options.toy else options.model or ["resnet18", "mobilenet_v2"]
    size, repeats = (64, 3) if options.toy else (options.size, options.repeats)
    processor = platform.processor() or platform.machine()
    print(f"{platform.system()} {processor}, torch {torch.__version__}, 1 thread, {date.today()};")
    print(f"{options.samples} samples, {options.steps} steps, {options.rows} rows per forward, median of {repeats}\n")
    print("| model | ours | beside | ours, CPU s | beside, CPU s | ratio | largest |\n|---|---|---|---|---|---|---|")
    for name in names:
        chosen = {"size": size, "samples": options.samples, "steps": options.steps}
        for row in measure(name, repeats=repeats, rows=options.rows, **chosen):
            print(row, flush=True)


if __name__ == "__main__":
    main()
