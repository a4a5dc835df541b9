"""What the maps cost beside one forward + backward to the input, and what they cost with other tools.

    python benchmarks/maps_cost.py                        # ten models, about half an hour on one quiet core
    python benchmarks/maps_cost.py --toy                  # a small network, seconds
    python benchmarks/maps_cost.py --models resnet50 --repetitions 9 --json out.json --write
    python benchmarks/maps_cost.py --models --write       # only what a call costs whatever the network

Every tool gets the model as a user has it: in eval mode, parameters requiring gradients, in-place layers as they are.
The yardstick has frozen parameters. Making and removing a tool's hooks is part of its time. Maps are raw where a tool
can give them raw; grad-cam always enlarges them. captum's loop takes minutes, so it is run once (marked *).

The fixed cost of a call is what Grad-CAM takes on a picture of 64x64 beyond one forward + backward, in milliseconds:
at that size little else is left.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import sightline
from _measure import (
    MODELS,
    Ratio,
    Work,
    build,
    conditions,
    dump,
    forward_backward,
    have,
    options,
    paired,
    refuse,
    seconds,
    table,
    write,
)
from sightline.models import LayerSpec, adapt
from sightline.reports import upsample

SIX = ["gradcam", "hirescam", "layercam", "xgradcam", "gradcam++", "gradxact"]
LONG = ("captum, Grad-CAM in a loop",)
"""Jobs that are run once."""
FIXED = {"resnet18": 1.0, "mobilenet_v3_large": 2.0}
"""Networks on which the fixed cost of a call is taken, and its bar in milliseconds."""
SMALL = 64
MORE = 6
"""How many times as many pairs as of the long jobs."""
OURS = ("six methods", "Grad-CAM", "gradient x activation", "Grad-CAM, convolutions")


@dataclass(frozen=True)
class Case:
    """A model, its input, the modules at which it is read and how tokens become a grid."""

    model: nn.Module
    inputs: Tensor
    blocks: dict[str, nn.Module]
    convs: dict[str, nn.Module]
    reshape: Callable[[Tensor], Tensor] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.inputs.shape[2], self.inputs.shape[3]

    def top(self) -> Tensor:
        """The class of each sample that is explained."""
        with torch.no_grad():
            return self.model(self.inputs).argmax(1)


def case(name: str, device: str, batch: int, side: int | None = None) -> Case:
    """Both sets of layers are those that Sightline found: every tool reads the same modules."""
    model, inputs = build(name)
    inputs = inputs if side is None else inputs[..., :side, :side]
    model, inputs = model.to(device), inputs.to(device).repeat(batch, 1, 1, 1)
    blocks = [m.spec for m in _layers(model, inputs, None)]
    tokens = name.startswith("vit")
    convs = [] if tokens else [m.spec for m in _layers(model, inputs, "convs")]
    return Case(model, inputs, _modules(model, blocks), _modules(model, convs), _grid if tokens else None)


def _layers(model: nn.Module, inputs: Tensor, wanted: str | None) -> tuple[Any, ...]:
    from sightline.capture import Plan, capture
    from sightline.targets import parse_target

    return capture(adapt(model), inputs, Plan(parse_target(None), layers=wanted)).layers


def _modules(model: nn.Module, specs: list[LayerSpec]) -> dict[str, nn.Module]:
    if any(spec.side != "output" for spec in specs):
        raise SystemExit("the other tools read outputs of modules only; this model has a layer at an input")
    return {spec.path: model.get_submodule(spec.path) for spec in specs}


def _grid(tokens: Tensor) -> Tensor:
    """Patch tokens as a square grid, a class token left out: what users of other tools write by hand."""
    if tokens.ndim == 4:
        return tokens
    b, n, c = tokens.shape
    side = int(n**0.5)
    return tokens[:, n - side * side :].transpose(1, 2).reshape(b, c, side, side)


def ours(it: Case) -> dict[str, Work]:
    """The four jobs by Sightline."""

    def convolutions() -> list[Tensor]:
        found = sightline.explain(it.model, it.inputs, method="gradcam", layers="convs")
        return [upsample(m.values, it.size) for item in found for m in item.flow.maps]

    jobs: dict[str, Work] = {
        "six methods": lambda: sightline.explain(it.model, it.inputs, method=SIX),
        "Grad-CAM": lambda: sightline.explain(it.model, it.inputs, method="gradcam"),
        "gradient x activation": lambda: sightline.explain(it.model, it.inputs, method="gradxact"),
    }
    return jobs | ({"Grad-CAM, convolutions": convolutions} if it.convs else {})


def by_torchcam(it: Case) -> dict[str, Work]:
    """torchcam: a list of layers in one pass; enlarging is the caller's."""
    from torchcam.methods import GradCAM

    def blocks(layers: dict[str, nn.Module]) -> list[Tensor]:
        with GradCAM(it.model, list(layers), (3, *it.size), reshape_transform=it.reshape) as cam:
            scores = it.model(it.inputs)
            return cam(scores.argmax(1).tolist(), scores, normalized=False)

    jobs: dict[str, Work] = {"torchcam, Grad-CAM": lambda: blocks(it.blocks)}
    if it.convs:
        jobs["torchcam, Grad-CAM, convolutions"] = lambda: [
            interpolate(m[:, None], it.size, mode="bilinear") for m in blocks(it.convs)
        ]
    return jobs


def by_gradcam(it: Case) -> dict[str, Work]:
    """pytorch-grad-cam: one call with all layers; the maps come enlarged and scaled, and their mean on top."""
    from pytorch_grad_cam import GradCAM

    def maps(layers: dict[str, nn.Module]) -> Any:
        with GradCAM(it.model, list(layers.values()), reshape_transform=it.reshape) as cam:
            return cam(it.inputs, None)

    def cleaned(layers: dict[str, nn.Module]) -> Work:
        return lambda: maps(layers)

    jobs: dict[str, Work] = {"grad-cam, Grad-CAM": cleaned(it.blocks)}
    return jobs | ({"grad-cam, Grad-CAM, convolutions": cleaned(it.convs)} if it.convs else {})


def by_captum(it: Case) -> dict[str, Work]:
    """captum: Grad-CAM layer by layer, gradient x activation by list; tokens cannot be averaged by LayerGradCam."""
    from captum.attr import LayerGradCam, LayerGradientXActivation

    top = it.top()

    def loop() -> list[Tensor]:
        return [
            LayerGradCam(it.model, layer).attribute(it.inputs, top, relu_attributions=True).detach()
            for layer in it.blocks.values()
        ]

    def both() -> list[Tensor]:
        found = LayerGradientXActivation(it.model, list(it.blocks.values())).attribute(it.inputs, top)
        return [(part if it.reshape is None else it.reshape(part)).sum(1).detach() for part in found]

    jobs: dict[str, Work] = {"captum, gradient x activation": both}
    return jobs | ({} if it.reshape else {"captum, Grad-CAM in a loop": loop})


PEERS: dict[str, Callable[[Case], dict[str, Work]]] = {
    "torchcam": by_torchcam, "grad-cam": by_gradcam, "captum": by_captum,
}  # fmt: skip


def frozen_yardstick(it: Case, device: str) -> Callable[[], float]:
    """Seconds of one forward + backward with frozen parameters."""

    def yardstick() -> float:
        it.model.requires_grad_(False)
        took = seconds(lambda: forward_backward(it.model, it.inputs), device)
        it.model.requires_grad_(True)
        return took

    return yardstick


def measure(name: str, *, repetitions: int, device: str, batch: int, peers: bool) -> dict[str, Ratio | str]:
    """Ratios of every job on one model; where a job cannot be done, the reason."""
    it = case(name, device, batch)
    it.model.requires_grad_(True)

    yardstick = frozen_yardstick(it, device)
    found: dict[str, Ratio | str] = {"blocks": str(len(it.blocks)), "convs": str(len(it.convs) or "")}
    jobs = ours(it)
    for package, make in PEERS.items():
        if not peers or have(package) is None:
            found[package] = "not installed" if peers else "not asked for"
        else:
            jobs |= make(it)
    yardstick()
    for job, work in jobs.items():
        found[job] = attempt(work, yardstick, 1 if job in LONG else repetitions, device)
        for parameter in it.model.parameters():
            parameter.grad = None
        it.model.eval()
        print(f"{name}: {job}: {found[job]}", flush=True)
    return found


@dataclass(frozen=True)
class Extra:
    """Milliseconds beyond the yardstick: median, smallest and largest of paired differences."""

    median: float
    least: float
    most: float
    yardstick: float


def fixed(name: str, *, repetitions: int, device: str, peers: bool) -> dict[str, Extra]:
    """What each tool's Grad-CAM at all blocks takes beyond one forward + backward, on a small picture."""
    it = case(name, device, 1, SMALL)
    jobs = {"Grad-CAM": ours(it)["Grad-CAM"]}
    if peers and have("torchcam"):
        jobs["torchcam, Grad-CAM"] = by_torchcam(it)["torchcam, Grad-CAM"]
    yardstick = frozen_yardstick(it, device)
    extras = {}
    for job, work in jobs.items():
        work()
        before, differences, bare = yardstick(), [], []
        for _ in range(MORE * repetitions):
            took, behind = seconds(work, device), yardstick()
            differences.append(1e3 * (took - (before + behind) / 2))
            bare.append(1e3 * behind)
            before = behind
        extras[job] = Extra(median(differences), min(differences), max(differences), median(bare))
        print(
            f"{name}: {job} at {SMALL}x{SMALL}: {extras[job].median:.2f} ms beyond {extras[job].yardstick:.2f}",
            flush=True,
        )
    return extras


def fixed_table(extras: dict[str, dict[str, Extra]]) -> str:
    """A row for each network and tool."""
    head = ["model, 64x64", "method", "forward + backward, ms", "the call beyond it, ms", "bar, ms"]
    rows = [
        [model, f"**{job}**" if job in OURS else job, f"{e.yardstick:.2f}",
         f"{e.median:.2f} ({e.least:.2f} to {e.most:.2f})", f"{FIXED.get(model, 1.0):g}" if job in OURS else "-"]
        for model, jobs in extras.items() for job, e in jobs.items()
    ]  # fmt: skip
    return table(head, rows)


def attempt(work: Work, yardstick: Callable[[], float], repetitions: int, device: str) -> Ratio | str:
    """The ratio, or the first line of the error with which a tool refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return paired(work, yardstick, repetitions=repetitions, device=device)
    except Exception as problem:  # noqa: BLE001 - a tool that fails on a model is a cell of the table
        return f"fails: {type(problem).__name__}"


def tables(found: dict[str, dict[str, Ratio | str]]) -> tuple[str, str]:
    """Our jobs, and theirs beside ours."""
    models = list(found)
    head = ["model", "blocks / convolutions", *("six methods, all blocks (bar 1.10)", "Grad-CAM, all blocks",
            "Grad-CAM, all convolutions, enlarged (bar 1.35)")]  # fmt: skip
    own = [
        [m, f"{found[m]['blocks']} / {found[m]['convs'] or '-'}", spread(found[m].get("six methods")),
         spread(found[m].get("Grad-CAM")), spread(found[m].get("Grad-CAM, convolutions"))]
        for m in models
    ]  # fmt: skip
    order = [
        "Grad-CAM", "torchcam, Grad-CAM", "grad-cam, Grad-CAM", "captum, Grad-CAM in a loop",
        "gradient x activation", "captum, gradient x activation",
        "Grad-CAM, convolutions", "torchcam, Grad-CAM, convolutions", "grad-cam, Grad-CAM, convolutions",
    ]  # fmt: skip
    said = {job: f"**{job}**" if job in OURS else job for job in order}
    rows = [[said[job], *(found[m].get(job, "-") for m in models)] for job in order]
    return table(head, own), table(["", *models], rows)


def spread(ratio: Ratio | str | None) -> str:
    """Median with the smallest and the largest."""
    return f"{ratio} ({ratio.least:.2f} to {ratio.most:.2f})" if isinstance(ratio, Ratio) else str(ratio or "-")


def failed(ratio: Ratio | str | None) -> bool:
    """Whether a job was tried and raised."""
    return isinstance(ratio, str) and ratio.startswith("fails")


def main() -> None:
    parser = options(__doc__, models=MODELS)
    parser.add_argument("--no-peers", action="store_true", help="our own jobs only")
    parser.add_argument("--batch", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    names, repetitions = (["toy"], 2) if asked.toy else (asked.models, asked.repetitions)
    found = {
        name: measure(name, repetitions=repetitions, device=asked.device, batch=asked.batch, peers=not asked.no_peers)
        for name in names
    }
    extras = {
        name: fixed(name, repetitions=repetitions, device=asked.device, peers=not asked.no_peers)
        for name in (["toy"] if asked.toy else FIXED)
    }
    own, beside = tables(found)
    about = conditions(asked.device, "captum", "grad-cam", "torchcam")
    about += f"; median of {repetitions} pairs"
    print(f"\n{about}\n\n{own}\n\n{beside}\n\n{fixed_table(extras)}")
    missing = [package for package in PEERS if have(package) is None]
    if missing:
        print(f"\nleft out, not installed (extra 'peers'): {', '.join(missing)}")
    dump(asked.json, {"about": about, "models": found, "fixed": extras})
    refuse([f"{model}: {job}: {jobs[job]}" for model, jobs in found.items() for job in OURS if failed(jobs.get(job))])
    if asked.write:
        write("fixed_cost", f"{about}, {MORE * repetitions} of these\n\n{fixed_table(extras)}")
    if asked.write and found:
        write("maps_cost", f"{about}\n\n{own}")
        write("peers", f"{about}; * is a single pair. Bold rows are Sightline's.\n\n{beside}")


if __name__ == "__main__":
    main()
