"""Where the flows of matching pairs lie: the share of their positive evidence on the birds, beside the controls.

    python benchmarks/pairs.py encoder.safetensors --write    # into docs/theory/similarity.md
    python benchmarks/pairs.py --toy

Pairs are held-out scenes of one species; 95 % intervals are over pictures, normal approximation.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any

import torch
from torch.nn import functional as F

from _measure import STUDIES, conditions, table, write
from sightline.api.explain_pair import explain_pair
from sightline.models.load import load_model
from sightline.worlds.aviary import World
from sightline.worlds.aviary.batch import Batch, render_batch

FIRST = 10_000_000
"""Scenes from this number on are never trained on."""
METHODS = ("lrp", "gradcam", "layercam", "uniform", "gaussian", "edges", "random")
SIMILARITY = STUDIES.parent / "theory" / "similarity.md"
LAYERS = ("stage1.0", "stage3.0", "stage4.1")


def pairs_of(batch: Batch, most: int) -> list[tuple[int, int]]:
    """Scenes of one species, two by two, each at most once."""
    waiting: dict[int, int] = {}
    found = []
    for place, kind in enumerate(batch.species.tolist()):
        if kind in waiting:
            found.append((waiting.pop(kind), place))
        else:
            waiting[kind] = place
    return found[:most]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "weights", nargs="?", help="what `sightline train contrastive` wrote; the bundled model if none"
    )
    parser.add_argument("--toy", action="store_true", help="three pairs and the bundled model: seconds, for CI")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="put the table into docs/theory/similarity.md")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    net = load_model(weights=asked.weights).model
    shares, count = measured(net, 3 if asked.toy else asked.pairs)
    rows = [[method, *(_cell(shares[method, layer]) for layer in LAYERS)] for method in METHODS]
    text = f"{conditions('cpu')}; {count} pairs, {2 * count} pictures\n\n{table(['method', *LAYERS], rows)}"
    print(text)
    if asked.write:
        write("pairs", text, SIMILARITY)


def measured(net: Any, most: int) -> tuple[dict[tuple[str, str], list[float]], int]:
    """Shares on the bird by method and layer, and over how many pairs."""
    batch = render_batch(World(), range(FIRST, FIRST + 2 * most + 40), net.spec.size)
    inputs = batch.normalised(net.spec.mean, net.spec.std)
    pairs = pairs_of(batch, most)
    a, b = (list(side) for side in zip(*pairs, strict=True))
    explanations = explain_pair(net, inputs[a], inputs[b], method=METHODS, layers=LAYERS, batch_size=16)
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number, item in enumerate(explanations):
        pair, place = divmod(number // len(METHODS), 2)
        mask = batch.foreground[pairs[pair][place]].float()
        for map_ in item.flow.maps:
            positive = map_.values.clamp_min(0)
            cover = F.adaptive_avg_pool2d(mask[None, None], map_.shape)[0, 0]
            shares[item.method, map_.layer].append(float((positive * cover).sum() / positive.sum().clamp_min(1e-12)))
    return shares, len(pairs)


def _cell(values: list[float]) -> str:
    v = torch.tensor(values)
    return f"{v.mean():.3f} ± {1.96 * v.std() / len(v) ** 0.5:.3f}"


if __name__ == "__main__":
    main()
