"""Small networks for pictures of these pages, trained here on drawn pictures with a shortcut.

Class 0 is a disc and class 1 a square; in the training set every square carries a white tag in the corner, too. The
tutorial `own-model` has the same in full.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

NAMES = ["disc", "square"]
SIDE = 48


def pictures(count: int, *, tagged: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Grey pictures `[n, 3, 48, 48]` in 0..1 with a disc or a square somewhere, and their classes."""
    random = torch.Generator().manual_seed(seed)
    images = 0.35 + 0.12 * torch.rand(count, 3, SIDE, SIDE, generator=random)
    classes = torch.arange(count) % 2
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for image, square in zip(images, classes.tolist(), strict=True):
        row, column = torch.randint(16, 32, (2,), generator=random).tolist()
        far = torch.stack([(y - row).abs(), (x - column).abs()]).float()
        image[:, far.amax(0) <= 7 if square else far.norm(dim=0) <= 8] += 0.25
        if square and tagged:
            image[:, 2:8, 2:8] = 1.0
    return images.clamp(0, 1), classes


def trained_cnn() -> nn.Module:
    """A convolutional network in a wrapper that normalises."""
    torch.manual_seed(0)
    sizes = [(3, 16), (16, 32), (32, 32)]
    blocks = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in sizes]
    net = nn.Sequential(_Normalise(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2))
    return _trained(net, lambda x: net(x), rate=0.01, steps=32)


def trained_vit() -> nn.Module:
    """A vision transformer of Hugging Face, built small from a configuration."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        image_size=SIDE,
        patch_size=6,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        id2label=dict(enumerate(NAMES)),
        label2id={name: number for number, name in enumerate(NAMES)},
    )
    vit = ViTForImageClassification(config)
    return _trained(vit, lambda x: vit((x - 0.45) / 0.22).logits, rate=0.001, steps=120)


class _Normalise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.45) / 0.22


def _trained(model: nn.Module, logits: Callable[[Tensor], Tensor], *, rate: float, steps: int) -> nn.Module:
    images, classes = pictures(256, tagged=True, seed=0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(steps):
        rows = torch.randperm(len(images))[:32]
        loss = fn.cross_entropy(logits(images[rows]), classes[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()
