"""Pictures of 8x8 of which the right explanation is known, as XAI-TRIS defines them, and small networks for them.

Two shapes of four pixels, a T and an L, tell two classes apart, in one of four ways, over white noise or over noise
that is correlated over space. The definitions are those of Clark, Wilming and Haufe (2024), in our own words and
code; the truth is where the shapes can be (`linear`, `multiplicative`, `xor`) or where the picture's own shape is
(`rigid`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 8
SHAPES = torch.tensor([[[1.0, 0], [1, 1], [1, 0]], [[1.0, 0], [1, 0], [1, 1]]])
CORNERS = ((1, 1), (4, 5))
SIGMA = 3.0
SIGNAL = {"linear": (0.18, 0.0125), "multiplicative": (0.7, 0.1), "rigid": (0.65, 0.2), "xor": (0.35, 0.15)}
"""Share of the signal over white and over correlated noise."""
NOISES = ("white", "correlated")
CELLS = tuple(f"{scenario} {noise}" for scenario in SIGNAL for noise in NOISES)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures with their classes and where the truth is.

    Args:
        inputs: `[n, 1, 8, 8]` between -1 and 1.
        classes: `[n]`.
        truth: `[n, 8, 8]` of booleans.
    """

    inputs: Tensor
    classes: Tensor
    truth: Tensor

    def __getitem__(self, which: slice | Tensor) -> Pictures:
        return Pictures(self.inputs[which], self.classes[which], self.truth[which])


def pictures(cell: str, seed: int, count: int) -> Pictures:
    """The pictures of one cell."""
    scenario, noise = cell.split()
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(2, (count,), generator=generator)
    signal = _signal(scenario, classes, generator).double()
    background = np.random.default_rng(seed).normal(0, 0.5, (count, SIDE, SIDE))
    if noise == "correlated":
        background = gaussian_filter(background, (0, SIGMA, SIGMA))
    noise_part = torch.from_numpy(background / np.linalg.norm(background))
    share = SIGNAL[scenario][NOISES.index(noise)]
    if scenario == "multiplicative":
        inputs = (1 - share * signal) * noise_part
    else:
        inputs = share * signal / signal.norm() + (1 - share) * noise_part
    places = sum(_placed(shape, *corner) for shape, corner in zip(SHAPES, CORNERS, strict=True))
    truth = signal != 0 if scenario == "rigid" else (places != 0).expand(count, -1, -1)
    return Pictures((inputs / inputs.abs().max()).float()[:, None], classes, truth)


def _signal(scenario: str, classes: Tensor, generator: torch.Generator) -> Tensor:
    """Which shape is in each picture, and where."""
    if scenario == "rigid":
        return torch.stack([_somewhere(SHAPES[k], generator) for k in classes.tolist()])
    first, second = (_placed(shape, *corner) for shape, corner in zip(SHAPES, CORNERS, strict=True))
    if scenario != "xor":
        return torch.where(classes[:, None, None] == 0, first, second)
    signs = torch.randint(2, classes.shape, generator=generator) * 2 - 1
    others = torch.where(classes == 0, 1, -1)
    return signs[:, None, None] * (first + others[:, None, None] * second)


def _placed(shape: Tensor, row: int, column: int) -> Tensor:
    picture = torch.zeros(SIDE, SIDE)
    picture[row : row + shape.shape[0], column : column + shape.shape[1]] = shape
    return picture


def _somewhere(shape: Tensor, generator: torch.Generator) -> Tensor:
    """A shape turned by right angles, at any place."""
    turned = torch.rot90(shape, int(torch.randint(4, (1,), generator=generator)))
    row, column = (int(torch.randint(SIDE + 1 - side, (1,), generator=generator)) for side in turned.shape)
    return _placed(turned, row, column)


def network(seed: int) -> nn.Module:
    """Three convolutions without norms, and a linear layer on all places."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * (SIDE // 2) ** 2, 2),
    )  # fmt: skip


def train(net: nn.Module, data: Pictures, held_out: Pictures, epochs: int) -> None:
    """Adam on the cross-entropy of the logits; the epoch of least loss on pictures that were held out is kept.

    Not that of most hits: where all are hit after an epoch or two, that would be a network that has hardly learnt.
    """
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    least, weights = math.inf, net.state_dict()
    for _ in range(epochs):
        for batch in torch.randperm(len(data.classes)).split(128):
            optimiser.zero_grad()
            F.cross_entropy(net(data.inputs[batch]), data.classes[batch]).backward()
            optimiser.step()
        with torch.no_grad():
            loss = float(F.cross_entropy(net(held_out.inputs), held_out.classes))
        if loss < least:
            least, weights = loss, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(weights)


@torch.no_grad()
def right(net: nn.Module, data: Pictures) -> Tensor:
    """Which pictures the network knows."""
    return net(data.inputs).argmax(1) == data.classes


def precision(maps: Tensor, truth: Tensor, seed: int = 0) -> Tensor:
    """Share of the n pixels of largest size that lie in the truth of n pixels; a pixel of 0 is never one of them.

    Pixels of one size take a random order.
    """
    sizes, truth = maps.abs().flatten(1), truth.flatten(1)
    shuffle = torch.rand(sizes.shape, generator=torch.Generator().manual_seed(seed)).argsort(1)
    sizes, truth = sizes.gather(1, shuffle), truth.gather(1, shuffle)
    order = sizes.argsort(dim=1, descending=True, stable=True)
    hits = (truth.gather(1, order) & (sizes.gather(1, order) > 0)).float().cumsum(1)
    n = truth.sum(1)
    return hits.gather(1, n[:, None] - 1)[:, 0] / n


def laplace(inputs: Tensor) -> Tensor:
    """The Laplacian of each picture, its edge repeated."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return F.conv2d(F.pad(inputs, (1, 1, 1, 1), mode="replicate"), kernel)[:, 0]
