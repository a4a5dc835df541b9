"""What a metric costs beside the bare forwards that it needs, and beside Quantus' pixel flipping at equal steps.

    python benchmarks/metrics_cost.py --write          # tables into docs/studies/performance.md
    python benchmarks/metrics_cost.py --toy            # a small network, seconds, for CI

Every pair is measured in turn - bare, metric, bare, ... - as `_measure.py` says. Metrics and bare forwards run the
model as it is; pixel flipping is compared with deletion through the model, and through `inference_copy`, which is
made once, as a comparison does; what its making takes stands beside it. Quantus comes with the extra 'peers'; without
it its rows are left out. Weights are random: the time does not depend on them. Tables are written model by model, so
that a run that is stopped leaves what it has done; `--only` takes one of the two tables.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from _measure import Ratio, build, conditions, dump, options, paired, seconds, table, write
from sightline.metrics import (
    METRICS,
    Probe,
    RandomSubsets,
    aopc,
    average_drop,
    deletion,
    inference_copy,
    infidelity,
    insertion,
    road,
    sensitivity_n,
)

Work = Callable[[], object]
MODELS = ("resnet18", "mobilenet_v2", "vgg11_features", "birdnet")


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
        "infidelity": (infidelity, {"subsets": RandomSubsets(draws=steps)}),
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


def load(name: str, samples: int) -> tuple[nn.Module, Tensor]:
    """A model and as many pictures of its size."""
    if name == "birdnet":
        from sightline.models.load import load_model

        loaded = load_model(None)
        return loaded.model.eval(), torch.rand(samples, 3, *loaded.preprocess.size)
    if name == "vgg11_features":
        import torchvision

        body = torchvision.models.vgg11(weights=None, num_classes=10).features
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
        return nn.Sequential(body, *head).eval(), torch.rand(samples, 3, 96, 96)
    model, one = build(name)
    return model, torch.rand(samples, *one.shape[1:])


def costs(name: str, given: Any) -> tuple[list[str], list[str], dict[str, Ratio]]:
    """Heading, row and ratios of one model: metrics beside bare forwards."""
    model, inputs = load(name, given.samples)
    maps, targets = torch.rand(len(inputs), 7, 7), torch.arange(len(inputs)) % 10
    probe, found = Probe(model, targets, batch_size=given.rows), {}
    for metric, (work, forwards) in metrics_of(probe, inputs, maps, steps=given.steps).items():
        yardstick = bare(model, inputs, forwards=forwards, rows=given.rows)
        yardstick()
        clock = {"repetitions": given.repetitions, "device": "cpu"}
        found[metric] = paired(work, lambda y=yardstick: seconds(y, "cpu"), **clock)
    return ["model", *found], [name, *(spread(ratio) for ratio in found.values())], found


def flipping(name: str, given: Any) -> tuple[list[str], list[str], dict[str, Ratio]]:
    """Heading, row and ratios of one model: Quantus' pixel flipping beside deletion; no row without Quantus."""
    model, inputs = load(name, given.samples)
    maps, targets = torch.rand(len(inputs), 7, 7), torch.arange(len(inputs)) % 10
    theirs = quantus_flipping(model, inputs, maps, targets=targets, steps=given.steps)
    if theirs is None:
        return [], [], {}
    copy = inference_copy(model, inputs)
    found = {}
    for who, judge in (("own", model), ("copy", copy.model)):
        probe = Probe(judge, targets, batch_size=given.rows)

        def ours(probe: Probe = probe) -> float:
            return seconds(lambda: deletion(probe, inputs, maps, steps=theirs[1], baseline="zero"), "cpu")

        ours()
        found[who] = paired(theirs[0], ours, repetitions=given.repetitions, device="cpu")
    one = bare(model, inputs[:1], forwards=1, rows=1)
    making = paired(
        lambda: inference_copy(model, inputs),
        lambda: seconds(one, "cpu"),
        repetitions=given.repetitions,
        device="cpu",
    )
    head = ["model", "steps", "Quantus / deletion", "Quantus / deletion through a copy (bar 2)"]
    head += ["making the copy, in forwards of one picture", "what is run"]
    row = [name, str(theirs[1]), spread(found["own"]), spread(found["copy"]), f"{making.median:.0f}", copy.reason]
    return head, row, found | {"making": making}


TABLES = {"metrics_cost": costs, "quantus": flipping}


def spread(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.least:.2f} to {ratio.most:.2f})"


def main() -> None:
    parser = options(__doc__, models=MODELS)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rows", type=int, default=8, help="rows per forward")
    parser.add_argument("--only", choices=["metrics_cost", "quantus"], help="one of the two tables")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.toy:
        given.models, given.repetitions = ["toy"], 3
    every: dict[str, dict[str, Any]] = {}
    for where, work in TABLES.items():
        rows: list[list[str]] = []
        for name in given.models if given.only in (None, where) else ():
            head, row, every.setdefault(name, {})[where] = work(name, given)
            if not row:
                print("quantus is not installed: its table is left out")
                break
            rows.append(row)
            about = conditions("cpu", "quantus") + f"; median of {given.repetitions} pairs and their range"
            print(f"\n{about}\n\n{table(head, rows)}", flush=True)
            if given.write:
                write(where, f"{about}\n\n{table(head, rows)}")
            dump(given.json, {"about": about, "ratios": every})


if __name__ == "__main__":
    main()
