"""Whether layouts are right at every size: 24 stock CNNs, against the closed form, on meta tensors.

    python benchmarks/layout_sizes.py --resume sizes.jsonl             # 200 random sizes for each network
    python benchmarks/layout_sizes.py --resume sizes.jsonl --all       # every size of 48 to 520 in steps of 4
    python benchmarks/layout_sizes.py --toy                            # two networks, five sizes

In a CNN every listed layer is `[b, c, h, w]`, so its layout's size is the last two numbers of the tensor's shape, and
the map's axes are not moved. `--seconds` ends the run before that time, to go on later.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from _measure import refuse
from sightline.models import adapt

NETWORKS = """
torchvision:alexnet torchvision:vgg11 torchvision:resnet18 torchvision:resnet50 torchvision:resnext50_32x4d
torchvision:densenet121 torchvision:squeezenet1_1 torchvision:googlenet torchvision:mobilenet_v2
torchvision:mobilenet_v3_small torchvision:mobilenet_v3_large torchvision:shufflenet_v2_x0_5 torchvision:mnasnet0_5
torchvision:efficientnet_b0 torchvision:convnext_tiny timm:tinynet_e timm:mobilenetv2_050 timm:lcnet_050
timm:ghostnet_100 timm:repvgg_a0 timm:ese_vovnet19b_dw timm:dla34 timm:regnety_002 timm:seresnet50
""".split()  # noqa: SIM905 - a list of names reads better than one of strings
TOY = ["torchvision:resnet18", "torchvision:mobilenet_v3_small"]
MISREAD = [(448, 196), (320, 100), (148, 88), (136, 60), (164, 144), (112, 52), (196, 448)]
"""Sizes at which layouts were once read off shapes, and wrongly."""
SIDES = range(48, 521, 4)


def main() -> None:
    """Check every size that is left, and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="two networks, five sizes")
    parser.add_argument("--all", action="store_true", help="every size instead of random ones")
    parser.add_argument("--sizes", type=int, default=200, help="random sizes for each network; 200")
    parser.add_argument("--models", nargs="*", help="these networks")
    parser.add_argument("--resume", type=Path, help="file of results; those in it are not made again")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no size after so many seconds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = MISREAD[:5] if given.toy else sizes_of(None if given.all else given.sizes)
    names = given.models or (TOY if given.toy else NETWORKS)
    rows = _rows(names, sizes, given.resume, time.perf_counter() + given.seconds)
    layers = sum(row["layers"] for row in rows)
    print(f"{len(rows)} of {len(names) * len(sizes)} sizes of networks, {layers} layers")
    refuse([f"{row['model']} at {row['size']}: {row['wrong']}" for row in rows if row["wrong"]])
    print("0 wrong layouts")


def sizes_of(n: int | None) -> list[tuple[int, int]]:
    """The sizes that were once misread, and random ones, or all in steps of four; none is square."""
    every = [(h, w) for h in SIDES for w in SIDES if h != w]
    return list(dict.fromkeys([*MISREAD, *(every if n is None else random.Random(0).sample(every, n))]))


def wrong_layers(model: nn.Module, size: tuple[int, int], device: str = "meta") -> tuple[int, list[str]]:
    """How many layers are listed at a size, and those whose layout is not the closed form."""
    structure = adapt(model).structure(torch.empty(1, 3, *size, device=device))
    specs = structure.layers()
    sites = [site for spec in specs for site in structure.sites(spec.path, spec.side)]
    wrong = [
        f"{site.path} {site.shape}: {site.layout and site.layout.size}"
        for site in sites
        if site.layout is None or site.layout.kind != "grid" or site.layout.size != site.shape[2:]
    ]
    return len(sites), wrong


def on_meta(name: str) -> nn.Module:
    """A network without numbers."""
    import timm
    from torchvision.models import get_model

    origin, own = name.split(":")
    with torch.device("meta"):
        model = timm.create_model(own) if origin == "timm" else get_model(own, weights=None)
    return model.eval()


def _rows(names: list[str], sizes: list[tuple[int, int]], resume: Path | None, end: float) -> list[dict[str, Any]]:
    kept = resume.read_text(encoding="utf-8").splitlines() if resume and resume.exists() else []
    rows = {(row["model"], tuple(row["size"])): row for row in map(json.loads, kept)}
    for row in _made([(n, s) for s in sizes for n in names if (n, s) not in rows], end):
        rows[row["model"], tuple(row["size"])] = row
        if resume:
            with resume.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    return [row for (name, size), row in rows.items() if name in names and size in set(sizes)]


def _made(jobs: list[tuple[str, tuple[int, int]]], end: float) -> Iterator[dict[str, Any]]:
    models: dict[str, nn.Module] = {}
    for name, size in jobs:
        if time.perf_counter() > end:
            return
        if name not in models:
            models[name] = on_meta(name)
        try:
            layers, wrong = wrong_layers(models[name], size)
        except Exception as problem:  # noqa: BLE001 - a size that a network cannot take is no wrong layout
            layers, wrong = 0, [] if "failed on inputs" in str(problem) else [str(problem)]
        yield {"model": name, "size": list(size), "layers": layers, "wrong": wrong}


if __name__ == "__main__":
    main()
