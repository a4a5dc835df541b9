"""A block's graph is the one that torch.fx reads, and nothing that other modules share is touched meanwhile."""

import math

import pytest
import torch
from torch import fx, nn

from sightline.gates.surgery.shallow import Shallow
from tests.gates.nets import build
from tests.gates.wrapped import Wrapping


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(3))
        self.mask = torch.ones(3, 1, 1)


class Scaled(Base):
    def forward(self, x):
        x = x * self.mask
        x += self.conv(x) * self.scale.view(3, 1, 1) + self.conv.bias[0]
        return x


class Rooted(Base):
    def forward(self, x):
        return self.conv(x) / math.sqrt(x.shape[1])


class Failing(Base):
    def forward(self, x):
        return self.conv(x) if self.scale[0] > 0 else x


NAMES = ("torchvision mobilenet_v3", "timm convnext", "timm regnet", "cifar preresnet", "torchvision densenet")


def blocks():
    """One block of each class of a few networks, and some of our own."""
    for name in NAMES:
        parts = [part for part in build(name).modules() if not type(part).__module__.startswith("torch.nn")]
        yield from {type(part): part for part in parts}.values()
    yield from (Scaled(), Rooted())


def outcome(read, block):
    try:
        return str(read(block))
    except Exception as problem:  # noqa: BLE001 - a block that cannot be read is refused for the same reason
        return str(problem)


@pytest.mark.parametrize("block", blocks(), ids=lambda block: type(block).__name__)
def test_the_graph_is_the_one_that_torch_fx_reads(block):
    theirs = outcome(lambda one: fx.Tracer.trace(Shallow(), one), block)
    assert outcome(Shallow().read, block) == theirs


def test_functions_that_are_wrapped_stay_whole():
    assert "doubled" in str(Shallow().read(Wrapping()))


def test_a_module_beside_the_block_is_not_recorded():
    beside, classes = nn.Conv2d(3, 3, 1), []

    class Looking(Base):
        def forward(self, x):
            classes.append((nn.Module.__call__, nn.Module.__getattr__))
            assert isinstance(beside(torch.ones(1, 3, 1, 1)), torch.Tensor)
            assert isinstance(beside.weight, nn.Parameter)
            return self.conv(x)

    before = nn.Module.__call__, nn.Module.__getattr__
    Shallow().read(Looking())
    assert classes == [before]


def test_the_block_is_as_before_also_after_an_error():
    block = Failing()
    tables = [vars(part).copy() for part in block.modules()]
    with pytest.raises(fx.proxy.TraceError):
        Shallow().read(block)
    for part, table in zip(block.modules(), tables, strict=True):
        assert vars(part).keys() == table.keys()
        assert all(vars(part)[name] is value for name, value in table.items())
    assert block.conv(torch.ones(1, 3, 2, 2)).shape == (1, 3, 2, 2)
