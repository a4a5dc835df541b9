"""What the LRP flow costs beside one forward + backward to the input, and what LRP costs with other tools.

    python benchmarks/flow_cost.py                       # seventeen networks, 224x224, batch 1
    python benchmarks/flow_cost.py --toy                 # a small network, seconds
    python benchmarks/flow_cost.py --models resnet50 --no-peers --json out.json
    python benchmarks/flow_cost.py --memory --batch 8 --models resnet50 vgg16 mobilenet_v2    # instead of time
    python benchmarks/flow_cost.py --batches 1 8 32 --models resnet18 mobilenet_v2            # instead of time

Sightline gives maps at all layers; zennit (EpsilonPlusFlat, Gradient) and captum's LRP give one map, at the input.
Every tool gets the model as a user has it, its hooks made and removed inside its time. zennit gets its own canonizer
where it has one, captum is told the class beforehand. A tool that is not installed is left out.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import sightline
from _measure import (
    STUDIES,
    Ratio,
    Work,
    build,
    conditions,
    dump,
    forward_backward,
    have,
    options,
    paired,
    seconds,
    table,
    write,
)

PAGE = STUDIES / "flow.md"
MODELS = (
    "alexnet", "vgg16", "squeezenet1_0", "resnet18", "resnet50", "densenet121", "googlenet", "mobilenet_v2",
    "efficientnet_b0", "convnext_tiny", "resnext50_32x4d", "inception_v3", "mobilenet_v3_large",
    "shufflenet_v2_x1_0", "regnet_y_400mf", "vit_small_patch16_224", "swin_t",
)  # fmt: skip
STRICT = ("vgg16", "squeezenet1_0", "resnet50")
"""Networks whose bar is 3.0 and not 3.5."""
PEERS = ("zennit", "captum")


def flow(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Relevance maps at all layers, for the class with the highest score."""
    return [m.values for item in sightline.explain(model, inputs, method="lrp") for m in item.flow.maps]


def by_zennit(model: nn.Module, inputs: Tensor, top: Tensor) -> Tensor:
    """One map, at the input."""
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonPlusFlat
    from zennit.torchvision import ResNetCanonizer, VGGCanonizer

    known = {"VGG": VGGCanonizer, "ResNet": ResNetCanonizer}.get(type(model).__name__)
    composite = EpsilonPlusFlat(canonizers=[] if known is None else [known()])

    def chosen(scores: Tensor) -> Tensor:
        return nn.functional.one_hot(top, scores.shape[1]).to(scores)

    with Gradient(model=model, composite=composite) as attributor:
        return attributor(inputs, chosen)[1]


def by_captum(model: nn.Module, inputs: Tensor, top: Tensor) -> Tensor:
    """One map, at the input, by captum's default rules."""
    from captum.attr import LRP

    return LRP(model).attribute(inputs, target=top)


TOOLS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {"zennit": by_zennit, "captum": by_captum}


def measure(name: str, *, repetitions: int, device: str, peers: bool) -> dict[str, Ratio | str]:
    """Ratios of our flow and of the others on one network; where a job cannot be done, the reason."""
    model, inputs = (part.to(device) for part in build(name))
    model.requires_grad_(True)

    def yardstick() -> float:
        model.requires_grad_(False)
        took = seconds(lambda: forward_backward(model, inputs), device)
        model.requires_grad_(True)
        return took

    yardstick()
    found: dict[str, Ratio | str] = {
        "lrp": paired(lambda: flow(model, inputs), yardstick, repetitions=repetitions, device=device)
    }
    print(f"{name}: LRP flow: {spread(found['lrp'])}", flush=True)
    few = min(3, repetitions)
    with torch.no_grad():
        top = model(inputs).argmax(1)
    for tool in PEERS if peers else ():
        if have(tool) is None:
            found[tool] = "not installed"
            continue
        found[tool] = attempt(lambda tool=tool: TOOLS[tool](model, inputs, top), yardstick, few, device)
        model.zero_grad()
        print(f"{name}: {tool}: {spread(found[tool])}", flush=True)
    return found


def attempt(work: Work, yardstick: Callable[[], float], repetitions: int, device: str) -> Ratio | str:
    """The ratio, or the error with which a tool refused."""
    try:
        return paired(work, yardstick, repetitions=repetitions, device=device)
    except Exception as problem:  # noqa: BLE001 - a tool that fails on a model is a cell of the table
        print(f"    {' '.join(str(problem).split())[:300]}")
        return f"fails: {type(problem).__name__}"


def spread(ratio: Ratio | str) -> str:
    """Median with the smallest and the largest."""
    return f"{ratio} ({ratio.least:.2f} to {ratio.most:.2f})" if isinstance(ratio, Ratio) else ratio


def bar(name: str) -> float:
    """What the flow may cost on this network."""
    return 3.0 if name in STRICT else 3.5


def times(asked: argparse.Namespace, names: list[str], repetitions: int) -> tuple[str, dict[str, Any]]:
    """Table and figures of the flow's cost in time."""
    found = {
        name: measure(name, repetitions=repetitions, device=asked.device, peers=not asked.no_peers) for name in names
    }
    rows = []
    for name, it in found.items():
        ours = it["lrp"]
        kept = "yes" if isinstance(ours, Ratio) and ours.median <= bar(name) else "no"
        rows.append([name, spread(ours), f"{bar(name):.1f}", kept, *(spread(it.get(tool, "-")) for tool in PEERS)])
    head = ["network", "LRP flow, all layers", "bar", "reached", "zennit, one map", "captum LRP, one map"]
    return table(head, rows), found


def grown(job: str, name: str, batch: int) -> float:
    """Megabytes by which the peak of resident memory grows; for a process of its own."""
    work = {"forward + backward": forward_backward, "lrp": flow}[job]
    work(*build("toy"))
    model, picture = build(name)
    model.requires_grad_(False)
    inputs = picture.repeat(batch, 1, 1, 1)
    with open("/proc/self/status") as status:
        base = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
    kept = work(model, inputs)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - base if kept is not None else 0.0


def memory(asked: argparse.Namespace, names: list[str], repetitions: int) -> tuple[str, dict[str, Any]]:
    """Table and figures of the flow's peak of memory, each job in fresh processes."""
    found: dict[str, Any] = {}
    rows = []
    for name in names:
        found[name] = each = {"forward + backward": [], "lrp": []}
        for _ in range(repetitions):
            for job, figures in each.items():
                command = [sys.executable, __file__, "--one", job, "--models", name, "--batch", str(asked.batch)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                figures.append(float(done.stdout.split()[-1]))
        base, ours = (statistics.median(figures) for figures in each.values())
        rows.append([name, f"{base:.0f}", f"{ours:.0f}", f"{ours / base:.2f}"])
        print(*rows[-1], flush=True)
    head = ["network", "forward + backward, MB", "LRP flow, MB", "ratio (bar 2.5)"]
    return table(head, rows), found


def batches(asked: argparse.Namespace, names: list[str], repetitions: int) -> tuple[str, dict[str, Any]]:
    """Table and figures of the time for each image; the sizes take turns, so that all meet the same load."""
    found: dict[str, Any] = {}
    rows = []
    for name in names:
        model, picture = (part.to(asked.device) for part in build(name))
        inputs = {n: torch.randn(n, *picture.shape[1:], device=asked.device) for n in asked.batches}
        flow(model, picture)
        each: dict[int, list[float]] = {n: [] for n in asked.batches}
        for _ in range(repetitions):
            for n in asked.batches:
                each[n].append(seconds(lambda model=model, x=inputs[n]: flow(model, x), asked.device) / n)
        found[name] = each
        rows.append([name, *(f"{1000 * statistics.median(took):.0f}" for took in each.values())])
        print(*rows[-1], flush=True)
    head = ["network", *(f"ms an image, batch {n}" for n in asked.batches)]
    return table(head, rows), found


def main() -> None:
    parser = options(__doc__, models=MODELS)
    parser.add_argument("--no-peers", action="store_true", help="our own flow only")
    parser.add_argument("--memory", action="store_true", help="peak of memory, in fresh processes, instead of time")
    parser.add_argument("--batch", type=int, default=8, help="batch of --memory")
    parser.add_argument("--batches", type=int, nargs="+", help="time for each image at these sizes, instead")
    parser.add_argument("--one", help="internal: the memory of one job in this process")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.one:
        print(grown(asked.one, asked.models[0], asked.batch))
        return
    warnings.simplefilter("ignore")
    names, repetitions = (["toy"], 1 if asked.memory else 2) if asked.toy else (asked.models, asked.repetitions)
    work, marker = (memory, "flow_memory") if asked.memory else (times, "flow_cost")
    work, marker = (batches, "flow_batches") if asked.batches else (work, marker)
    text, found = work(asked, names, repetitions)
    about = conditions(asked.device, *PEERS)
    print(f"\n{about}\n\n{text}")
    dump(asked.json, {"about": about, "models": found})
    if asked.write:
        write(marker, f"{about}; medians of {repetitions}, * of 3\n\n{text}", PAGE)


if __name__ == "__main__":
    main()
