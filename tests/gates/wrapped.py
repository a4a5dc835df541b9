"""A block with a function that torch.fx is to keep whole."""

import torch
from torch import fx, nn


@fx.wrap
def doubled(x):
    return x + x if x.sum() > 0 else x * 2


class Wrapping(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return doubled(torch.relu(self.conv(x)))
