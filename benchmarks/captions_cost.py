"""What normalised queries and a geometry bias cost: an encoder layer of each kind beside the plain one, SAN's.

    python benchmarks/captions_cost.py --repetitions 15 --write

Forward and backward of one layer with its feed-forward network, 50 regions, batches of 50, the published width. Time
is CPU time in pairs; memory is the most bytes of tensors at once, counted at every allocation, less the plain
layer's, in tensors of N x N x d_g. `--toy` takes a narrow layer and three repetitions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from _measure import Ratio, conditions, dump, options, paired, seconds, table, write
from sightline.tasks.captioning.network.geometry import relative_geometry
from sightline.tasks.captioning.network.layers import EncoderLayer
from sightline.tasks.captioning.network.spec import PRESETS

REGIONS, BATCH, WIDTH, HEADS, INNER = 50, 50, 512, 8, 2048


class Step:
    """Forward and backward of one layer."""

    def __init__(self, kind: str, *, toy: bool) -> None:
        torch.manual_seed(0)
        self.n, self.b, self.width = (8, 4, 64) if toy else (REGIONS, BATCH, WIDTH)
        self.layer = EncoderLayer(self.width, HEADS, self.width * INNER // WIDTH, PRESETS[kind])
        self.x = torch.randn(self.b, self.n, self.width)
        corner = torch.rand(self.b, self.n, 2) * 0.7
        boxes = torch.cat([corner, corner + 0.05 + torch.rand(self.b, self.n, 2) * 0.2], -1)
        self.geometry: Tensor | None = relative_geometry(boxes) if PRESETS[kind].geometry else None

    def __call__(self) -> None:
        """Once."""
        x = self.x.detach().requires_grad_()
        self.layer(x, self.geometry, None).sum().backward()

    @property
    def unit(self) -> int:
        """Bytes of a tensor of N x N x d_g, for each picture of the batch."""
        return self.b * self.n * self.n * (self.width // HEADS) * 4


def peak(step: Step) -> int:
    """The most bytes of tensors at once, above those before it."""
    step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step()
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    now = most = 0
    for event in events:
        now += event.nbytes()
        most = max(most, now)
    return most


def measured(kind: str, *, toy: bool, repetitions: int) -> tuple[Ratio, float]:
    """Time over the plain layer's, and the memory that is added, in tensors of N x N x d_g."""
    plain, own = Step("san", toy=toy), Step(kind, toy=toy)
    ratio = paired(own, lambda: seconds(plain, "cpu"), repetitions=repetitions, device="cpu")
    return ratio, (peak(own) - peak(plain)) / own.unit


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "", models=[kind for kind in PRESETS if kind != "san"], repetitions=15)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    times = 3 if asked.toy else asked.repetitions
    figures = {kind: measured(kind, toy=asked.toy, repetitions=times) for kind in asked.models}
    rows = [
        (kind.upper(), f"{ratio} ({ratio.least:.2f} to {ratio.most:.2f})", f"{memory:.2f}")
        for kind, (ratio, memory) in figures.items()
    ]
    text = table(("layer", "time / SAN's", "memory more than SAN's, in N x N x d_g"), rows)
    about = conditions("cpu")
    print(f"{about}\n\n{text}")
    if asked.write:
        write("captions", f"{about}; {times} pairs each\n\n{text}")
    dump(asked.json, {"about": about, "layers": {kind: list(pair) for kind, pair in figures.items()}})


if __name__ == "__main__":
    main()
