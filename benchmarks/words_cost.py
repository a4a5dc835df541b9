"""What words cost: explain() with all phrases, as multiples of one forward and one backward.

    python benchmarks/words_cost.py --repetitions 15 --write

`--toy` takes one repetition.
"""

from __future__ import annotations

from unittest.mock import patch

import torch
from torch import nn

from _measure import Ratio, conditions, dump, forward_backward, options, paired, seconds, table, write
from sightline import explain
from sightline.api.narration import NARRATORS
from sightline.models.zoo.birdnet import load_birdnet
from sightline.tasks.attributes.data import aviary_vocabulary
from sightline.tasks.attributes.network.net import AttributeSpec, attribute_net

CELLS = ("bundled", "bottleneck", "fusion", "parallel", "parallel, finer reading")


def model_of(cell: str) -> tuple[nn.Module, int]:
    """The bundled network, or a ResNet-18 with attributes, and the side of its pictures."""
    if cell == "bundled":
        return load_birdnet(), 128
    join, _, finer = cell.partition(", ")
    labels = tuple(f"class {at}" for at in range(30))
    spec = AttributeSpec("timm:resnet18", labels, aviary_vocabulary(), join=join, reading=4 if finer else 0)  # type: ignore[arg-type]
    return attribute_net(spec, "random").eval(), 224


def measured(cell: str, repetitions: int) -> tuple[Ratio, Ratio]:
    """Ratios with words and without."""
    model, side = model_of(cell)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    yardstick = lambda: seconds(lambda: forward_backward(model, x), "cpu")  # noqa: E731
    work = lambda: explain(model, x, method="hirescam", layers="last")  # noqa: E731
    told = paired(work, yardstick, repetitions=repetitions, device="cpu")
    with patch.dict(NARRATORS._items, clear=True):
        return told, paired(work, yardstick, repetitions=repetitions, device="cpu")


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "", models=CELLS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    times = 1 if asked.toy else asked.repetitions
    found = {cell: measured(cell, times) for cell in asked.models}
    rows = [(cell, *pair) for cell, pair in found.items()]
    text = table(("network", "explain with words", "without"), rows)
    about = conditions("cpu")
    print(f"{about}\n\n{text}")
    if asked.write:
        write("words", f"{about}; {times} pairs each\n\n{text}")
    dump(asked.json, {"about": about, "ratios": {cell: list(pair) for cell, pair in found.items()}})


if __name__ == "__main__":
    main()
