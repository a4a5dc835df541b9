"""What normalised queries and a geometry bias cost: an encoder layer of each kind beside the plain one, SAN's.

    python benchmarks/captions_cost.py --repetitions 15 --write
    python benchmarks/captions_cost.py --repetitions 15 --device cuda --write

Forward and backward of one layer with its feed-forward network, 50 regions, batches of 50, the published width. Time
is CPU time in pairs, on a GPU wall time of `STEPS` steps up to a synchronisation; memory is the most bytes of tensors
at once, less the plain layer's, in tensors of N x N x d_g. On a GPU the table also names the kernels of
`scaled_dot_product_attention` that take the layer as it is, for float32 and for bfloat16 under autocast. `--toy`
takes a narrow layer and three repetitions.
"""

from __future__ import annotations

import statistics
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from _measure import Ratio, conditions, dump, options, paired, seconds, table, write
from sightline.tasks.captioning.network.geometry import relative_geometry
from sightline.tasks.captioning.network.layers import EncoderLayer
from sightline.tasks.captioning.network.spec import PRESETS

REGIONS, BATCH, WIDTH, HEADS, INNER = 50, 50, 512, 8, 2048
STEPS = 20
"""Steps of one reading on a GPU, where one step is too short for a clock."""
KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}
"""Fused kernels; what none of them takes is computed step by step."""


class Step:
    """Forward and backward of one layer.

    Args:
        kind: one of the paper's networks.
        toy: a narrow layer, few regions.
        device: where it runs.
        half: bfloat16 under autocast, rather than float32.
    """

    def __init__(self, kind: str, *, toy: bool, device: str = "cpu", half: bool = False) -> None:
        torch.manual_seed(0)
        self.n, self.b, self.width = (8, 4, 64) if toy else (REGIONS, BATCH, WIDTH)
        self.device, self.half = device, half
        self.layer = EncoderLayer(self.width, HEADS, self.width * INNER // WIDTH, PRESETS[kind]).to(device)
        self.x = torch.randn(self.b, self.n, self.width).to(device)
        corner = torch.rand(self.b, self.n, 2) * 0.7
        boxes = torch.cat([corner, corner + 0.05 + torch.rand(self.b, self.n, 2) * 0.2], -1).to(device)
        self.geometry: Tensor | None = relative_geometry(boxes) if PRESETS[kind].geometry else None

    def __call__(self) -> None:
        """Once on the CPU, `STEPS` times on a GPU."""
        for _ in range(1 if self.device == "cpu" else STEPS):
            self.once()

    def once(self) -> None:
        """One step."""
        x = self.x.detach().requires_grad_()
        with self._precision():
            loss = self.layer(x, self.geometry, None).sum()
        loss.backward()

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device, torch.bfloat16) if self.half else nullcontext()

    @property
    def unit(self) -> int:
        """Bytes of a tensor of N x N x d_g, for each picture of the batch."""
        return self.b * self.n * self.n * (self.width // HEADS) * (2 if self.half else 4)


def peak(step: Step) -> int:
    """The most bytes of tensors at once, above those before it."""
    step.once()
    if step.device != "cpu":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step.once()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step.once()
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    now = most = 0
    for event in events:
        now += event.nbytes()
        most = max(most, now)
    return most


def kernels(step: Step) -> str:
    """Fused kernels that take the layer as it is."""
    able = []
    for name, kernel in KERNELS.items():
        try:
            with sdpa_kernel(kernel):
                step.once()
        except RuntimeError:  # "No available kernel"
            continue
        able.append(name)
    return ", ".join(able) or "none"


@dataclass(frozen=True)
class Cost:
    """What a layer costs.

    Args:
        ratio: its time over the plain layer's.
        memory: bytes more than the plain layer's, in tensors of N x N x d_g.
        once: milliseconds of a step; `apart` without fused kernels.
        fused: kernels that take it.
    """

    ratio: Ratio
    memory: float
    once: float
    apart: float
    fused: str

    def row(self) -> list[str]:
        """As it stands in the table."""
        ratio = f"{self.ratio} ({self.ratio.least:.2f} to {self.ratio.most:.2f})"
        return [ratio, f"{self.memory:.2f}", f"{self.once:.2f}", f"{self.apart:.2f}", self.fused]


def measured(kind: str, *, toy: bool, repetitions: int, device: str, half: bool) -> Cost:
    """One layer beside the plain one."""
    plain, own = (Step(name, toy=toy, device=device, half=half) for name in ("san", kind))
    ratio = paired(own, lambda: seconds(plain, device), repetitions=repetitions, device=device)
    memory, steps = (peak(own) - peak(plain)) / own.unit, 1 if device == "cpu" else STEPS
    once = statistics.median(seconds(own, device) for _ in range(3)) * 1000 / steps
    with sdpa_kernel(SDPBackend.MATH):
        own()
        apart = statistics.median(seconds(own, device) for _ in range(3)) * 1000 / steps
    return Cost(ratio, memory, once, apart, kernels(own) if device != "cpu" else "")


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "", models=[kind for kind in PRESETS if kind != "san"], repetitions=15)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    times = 3 if asked.toy else asked.repetitions
    gpu = asked.device != "cpu"
    figures = {
        f"{kind.upper()}, bfloat16" if half else kind.upper(): measured(
            kind, toy=asked.toy, repetitions=times, device=asked.device, half=half
        )
        for half in ((False, True) if gpu else (False,))
        for kind in asked.models
    }
    head = ["layer", "time / SAN's", "memory more than SAN's, in N x N x d_g"]
    rows = [[name, *cost.row()] for name, cost in figures.items()]
    more = ["ms", "ms without fused kernels", "fused kernels that take it"] if gpu else []
    text = table([*head, *more], [row[: len(head) + len(more)] for row in rows])
    about = conditions(asked.device)
    print(f"{about}\n\n{text}")
    if asked.write:
        write("captions-gpu" if gpu else "captions", f"{about}; {times} pairs each\n\n{text}")
    dump(asked.json, {"about": about, "layers": figures})


if __name__ == "__main__":
    main()
