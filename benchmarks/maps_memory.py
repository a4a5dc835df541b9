"""Peak memory of the maps of all blocks beside that of one forward + backward to the input.

    python benchmarks/maps_memory.py                    # resnet50 at batch 8, each job in three fresh processes
    python benchmarks/maps_memory.py --toy
    python benchmarks/maps_memory.py --models vgg16 --batch 4 --json out.json --write

Each job runs in a fresh process: it runs on a toy network first (so that libraries are in memory), then the model is
loaded, then the job runs once, and what the peak of resident memory has grown by is its figure. Medians of the
repetitions are compared. On a GPU the figure is the peak of torch's allocator above the loaded model.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from _measure import build, conditions, dump, forward_backward, have, options, table, write

SIX = ["gradcam", "hirescam", "layercam", "xgradcam", "gradcam++", "gradxact"]
YARDSTICK = "forward + backward"
Job = Callable[[nn.Module, Tensor], object]


def by_sightline(model: nn.Module, inputs: Tensor) -> object:
    import sightline

    return sightline.explain(model, inputs, method=SIX)


def yardstick(model: nn.Module, inputs: Tensor) -> object:
    return forward_backward(model.requires_grad_(False), inputs)


def by_torchcam(model: nn.Module, inputs: Tensor) -> object:
    from torchcam.methods import GradCAM

    with GradCAM(model, paths(model, inputs)) as cam:
        scores = model(inputs)
        return cam(scores.argmax(1).tolist(), scores, normalized=False)


def by_gradcam(model: nn.Module, inputs: Tensor) -> object:
    from pytorch_grad_cam import GradCAM

    with GradCAM(model, [model.get_submodule(path) for path in paths(model, inputs)]) as cam:
        return cam(inputs, None)


def by_captum(model: nn.Module, inputs: Tensor) -> object:
    from captum.attr import LayerGradientXActivation

    layers = [model.get_submodule(path) for path in paths(model, inputs)]
    found = LayerGradientXActivation(model, layers).attribute(inputs, model(inputs).argmax(1))
    return [part.sum(1).detach() for part in found]


JOBS: dict[str, tuple[Job, str | None]] = {
    YARDSTICK: (yardstick, None),
    "Sightline, six methods, all blocks": (by_sightline, None),
    "torchcam, Grad-CAM, all blocks": (by_torchcam, "torchcam"),
    "grad-cam, Grad-CAM, all blocks": (by_gradcam, "grad-cam"),
    "captum, gradient x activation, all blocks": (by_captum, "captum"),
}


def paths(model: nn.Module, inputs: Tensor) -> list[str]:
    """The blocks that Sightline finds, so that every tool reads the same."""
    from sightline.models import adapt

    return [spec.path for spec in adapt(model).layers(inputs)]


def one(job: str, name: str, batch: int, device: str) -> float:
    """Megabytes by which the peak grows; for a process of its own."""
    torch.set_num_threads(1)
    work = JOBS[job][0]
    work(*(part.to(device) for part in build("toy")))
    model, picture = (part.to(device) for part in build(name))
    inputs = picture.repeat(batch, 1, 1, 1)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        base = torch.cuda.memory_allocated()
        kept = work(model, inputs)
        return (torch.cuda.max_memory_allocated() - base) / 2**20 if kept is not None else 0.0
    base = resident()
    kept = work(model, inputs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return peak - base if kept is not None else 0.0


def resident() -> float:
    """Megabytes that the process holds now."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def fresh(job: str, name: str, batch: int, device: str) -> float:
    """`one` in a fresh process."""
    command = [sys.executable, __file__, "--one", job, "--models", name, "--batch", str(batch), "--device", device]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{job} on {name} failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def measure(name: str, batch: int, repetitions: int, device: str) -> dict[str, list[float]]:
    """Megabytes of every job, in turn, so that a drift of the machine meets all."""
    jobs = [job for job, (_, package) in JOBS.items() if package is None or have(package)]
    found: dict[str, list[float]] = {job: [] for job in jobs}
    for _ in range(repetitions):
        for job in jobs:
            found[job].append(fresh(job, name, batch, device))
            print(f"{name}: {job}: {found[job][-1]:.0f} MB", flush=True)
    return found


def main() -> None:
    parser = options(__doc__, models=("resnet50",), repetitions=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--one", help="internal: one job in this process")
    asked = parser.parse_args()
    if asked.one:
        print(one(asked.one, asked.models[0], asked.batch, asked.device))
        return
    names, repetitions = (["toy"], 1) if asked.toy else (asked.models, asked.repetitions)
    found = {name: measure(name, asked.batch, repetitions, asked.device) for name in names}
    rows = []
    for name, jobs in found.items():
        base = statistics.median(jobs[YARDSTICK])
        for job, figures in jobs.items():
            middle = statistics.median(figures)
            rows.append(
                [name, job, f"{middle:.0f}", f"{min(figures):.0f} to {max(figures):.0f}", f"{middle / base:.2f}"]
            )
    text = table(["model", "job", "growth of the peak, MB", "range", "ratio (bar 1.25)"], rows)
    about = conditions(asked.device, "captum", "grad-cam", "torchcam")
    print(f"\n{about}\n\n{text}")
    missing = [package for _, package in JOBS.values() if package and not have(package)]
    if missing:
        print(f"\nleft out, not installed (extra 'peers'): {', '.join(missing)}")
    dump(asked.json, {"about": about, "batch": asked.batch, "models": found})
    if asked.write:
        write("memory", f"{about}; batch {asked.batch}, medians of {repetitions} fresh processes\n\n{text}")


if __name__ == "__main__":
    main()
