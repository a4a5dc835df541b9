"""Layouts follow the axes of the input through the computation: against brute force, and the Jacobian's locality."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models import adapt
from sightline.models.adapter.axes import Digit, Feature, Parts, concatenated, cut, mirrored, reshaped, source

SIDES = (6, 4)


def coordinates(axis: str, shape: tuple[int, ...] = (2, 3, *SIDES)) -> Tensor:
    """An input whose every value is its own place along an axis."""
    dim = {"y": 2, "x": 3}[axis]
    steps = torch.arange(shape[dim], dtype=torch.float32)
    return steps.reshape([-1 if d == dim else 1 for d in range(4)]).expand(shape).contiguous()


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "nothing": lambda x: x,
    "channels last": lambda x: x.permute(0, 2, 3, 1),
    "tokens": lambda x: x.flatten(2).mT,
    "tokens by columns": lambda x: x.mT.flatten(2).mT,
    "tokens, channels second": lambda x: x.flatten(2),
    "samples behind": lambda x: x.flatten(2).permute(2, 0, 1),
    "a class token": lambda x: torch.cat([torch.zeros(len(x), 1, 3), x.flatten(2).mT], 1),
    "tokens on both sides": lambda x: torch.cat(
        [torch.zeros(len(x), 2, 3), x.flatten(2).mT, torch.zeros(len(x), 3, 3)], 1
    ),
    "windows": lambda x: x.reshape(len(x), 3, 3, 2, 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 3),
    "windows and back": lambda x: (
        x.reshape(len(x), 3, 3, 2, 2, 2).transpose(3, 4).contiguous().transpose(3, 4).reshape(len(x), 3, 6, 4)
    ),
    "rolled": lambda x: x.roll((-1, -2), (2, 3)),
    "rolled and back": lambda x: x.roll((-1, -2), (2, 3)).roll((1, 2), (2, 3)),
    "mirrored": lambda x: x.flip(3),
    "turned": lambda x: x.rot90(1, (2, 3)),
    "padded": lambda x: F.pad(x, (0, 2, 1, 0)),
    "padded and cropped": lambda x: F.pad(x, (0, 2, 1, 0))[:, :, 1:, :4],
    "rows in channels": lambda x: x.reshape(len(x), 18, 4),
    "halves side by side": lambda x: torch.cat([x[..., :1], x[..., 1:]], 3),
    "a batch of columns": lambda x: x.permute(0, 3, 1, 2).reshape(-1, 3, 6),
    "heads": lambda x: x.flatten(2).mT.reshape(len(x), 24, 1, 3).transpose(1, 2),
    "pixels unshuffled": lambda x: F.pixel_unshuffle(x, 2),
    "stacked": lambda x: torch.stack([x, x], 1),
    "split and joined": lambda x: torch.cat(x.split(2, 2), 2),
}  # fmt: skip


class Moving(nn.Module):
    """Moves its input and returns what it made, the places in whatever order."""

    def __init__(self, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.moved, self.move = nn.Conv2d(3, 3, 1, groups=3, bias=False), nn.Identity(), move
        nn.init.ones_(self.first.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.moved(self.move(self.first(x)))
        return out


@pytest.mark.parametrize("name", MOVES)
def test_every_value_is_found_at_its_place(name: str) -> None:
    model = Moving(MOVES[name])
    site = adapt(model).structure(coordinates("y")).site("moved", "output", 1)
    assert site is not None
    assert site.layout is not None
    for axis, dim in (("y", 2), ("x", 3)):
        wanted = coordinates(axis)[:, :1]
        grid = site.layout.to_grid(model(coordinates(axis)).detach())
        if name == "pixels unshuffled":
            assert grid.shape[2:] == (3, 2)
            assert torch.equal(grid.mean(1), F.avg_pool2d(wanted, 2)[:, 0])
            continue
        assert grid.shape[2:] == SIDES
        assert torch.equal(grid, wanted.expand(grid.shape)), f"{name}: along {axis} ({dim})"


@pytest.mark.parametrize("name", [n for n in MOVES if n != "pixels unshuffled"])
def test_a_number_for_each_channel_reaches_all_its_places(name: str) -> None:
    model = Moving(MOVES[name])
    x = torch.randn(2, 3, *SIDES)
    site = adapt(model).structure(x).site("moved", "output", 1)
    assert site is not None
    assert site.layout is not None
    tensor = model(x).detach()
    keep = torch.rand(2, site.layout.channels(tuple(tensor.shape)))
    changed = site.layout.to_grid(tensor * site.layout.on_channels(keep, tensor))
    assert torch.allclose(changed, site.layout.to_grid(tensor) * keep[:, :, None, None])


LOST: dict[str, Callable[[Tensor], Tensor]] = {
    "a crop": lambda x: x[:, :, 2:],
    "the mean": lambda x: x.mean((2, 3)),
    "the largest places": lambda x: x.flatten(2).topk(4, 2).values,
    "sorted places": lambda x: x.flatten(2).sort(2).values,
    "chosen by data": lambda x: x.flatten(2).gather(2, x.flatten(2).argsort(2)[..., :5]),
    "mixed by a product": lambda x: x.flatten(2) @ torch.ones(24, 7),
    "places against places": lambda x: x.flatten(2).mT @ x.flatten(2),
    "queries": lambda x: F.scaled_dot_product_attention(torch.ones(len(x), 10, 3), x.flatten(2).mT, x.flatten(2).mT),
    "channels and places in one": lambda x: x.permute(0, 2, 3, 1).reshape(len(x), 8, 9),
    "the transpose added": lambda x: x[..., :4, :] + x[..., :4, :].mT,
    "mirrored and added": lambda x: x[..., :0].sum() + x.flip(2).flip(3) + x,
}


@pytest.mark.parametrize("name", LOST)
def test_where_the_thread_is_lost_there_is_no_layout_and_a_reason(name: str) -> None:
    structure = adapt(Moving(LOST[name])).structure(torch.rand(2, 3, *SIDES))
    site = structure.site("moved", "output", 1)
    assert site is not None
    assert site.layout is None
    assert structure.reason("moved")


def test_digits_of_an_axis_are_split_and_joined_as_in_an_index() -> None:
    axes = [source("b", 2), (Feature(6),), source("y", 12)]
    split = reshaped(axes, (2, 3, 2, 3, 4))
    assert split == [source("b", 2), (Feature(3),), (Feature(2),), (Digit("y", 4, 3, 12),), (Digit("y", 1, 4, 12),)]
    assert reshaped(split, (2, 6, 12)) == axes
    assert reshaped(axes, (2, 4, 18)) is None


def test_parts_of_an_axis_are_known_again_when_they_are_cut_apart() -> None:
    axis = concatenated([(1, (Feature(1),)), (12, source("y", 12))])
    assert isinstance(axis[0], Parts)
    assert axis[0].size == 13
    assert cut(axis, 1, 13) == source("y", 12)
    assert cut(axis, 0, 1) == (Feature(1),)
    assert mirrored(axis) == (Feature(13),)


class Local(nn.Module):
    """A tiny network without attention over all, of one kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.stem, self.layer, self.kind = nn.Conv2d(3, 4, 3, 2, 1), nn.Identity(), kind
        self.mix = nn.Conv2d(4, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        b, c, rows, columns = h.shape
        if self.kind == "tokens":
            h = self.layer(h.flatten(2).mT).mT.reshape(b, c, rows, columns)
        elif self.kind == "channels last":
            h = self.layer(h.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        elif self.kind == "shifted windows":
            w = h.roll((-1, -1), (2, 3)).reshape(b, c, rows // 2, 2, columns // 2, 2).permute(0, 2, 4, 3, 5, 1)
            w = self.layer(w.reshape(-1, 4, c)).reshape(b, rows // 2, columns // 2, 2, 2, c)
            h = w.permute(0, 5, 1, 3, 2, 4).reshape(b, c, rows, columns).roll((1, 1), (2, 3))
        elif self.kind == "mirrored":
            h = self.layer(self.mix(h.flip(3))).flip(3)
        elif self.kind == "class token":
            tokens = self.layer(torch.cat([h.mean((2, 3))[:, None], h.flatten(2).mT], 1))
            h = tokens[:, 1:].mT.reshape(b, c, rows, columns)
        else:
            h = self.layer(self.mix(h))
        return self.mix(h).mean((2, 3))


@pytest.mark.parametrize("kind", ["grid", "tokens", "channels last", "shifted windows", "mirrored", "class token"])
@pytest.mark.parametrize("size", [(16, 24), (24, 16), (32, 8)])
def test_a_place_moves_when_the_input_moves(kind: str, size: tuple[int, int]) -> None:
    """The centre of mass of |d feature(i, j) / d input| lies in the place's cell of the input."""
    torch.manual_seed(0)
    model, x = Local(kind).eval(), torch.randn(1, 3, *size, requires_grad=True)
    site = adapt(model).structure(x.detach()).site("layer", "output", 1)
    assert site is not None
    assert site.layout is not None
    kept: list[Tensor] = []
    handle = model.layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    model(x)
    handle.remove()
    grid = site.layout.to_grid(kept[0])
    rows, columns = site.layout.size
    assert (rows, columns) == (size[0] // 2, size[1] // 2)
    for i, j in product(range(1, rows - 1, 3), range(1, columns - 1, 2)):
        (slope,) = torch.autograd.grad(grid[0, :, i, j].abs().sum(), x, retain_graph=True)
        mass = slope[0].abs().sum(0)
        centre = [float((mass.sum(1 - d) * (torch.arange(size[d]) + 0.5)).sum() / mass.sum()) for d in (0, 1)]
        assert abs(centre[0] - 2 * (i + 0.5)) < 2
        assert abs(centre[1] - 2 * (j + 0.5)) < 2


class PictureByPicture(nn.Module):
    """Takes the samples apart and puts them together again, as detectors do that pad their pictures."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.layer, self.way = nn.Conv2d(3, 4, 3, 1, 1), way

    def forward(self, x: Tensor) -> Tensor:
        pictures = [picture / 2 for picture in x]
        if self.way == "stacked":
            batch = torch.stack(pictures)
        elif self.way == "joined":
            batch = torch.cat([picture[None] for picture in pictures])
        else:
            batch = x.new_zeros(len(x), 3, x.shape[2] + 2, x.shape[3] + 3)
            for i, picture in enumerate(pictures):
                batch[i, :, : picture.shape[1], : picture.shape[2]].copy_(picture)
        out: Tensor = self.layer(batch)
        return out


@pytest.mark.parametrize(("way", "size"), [("stacked", (6, 4)), ("joined", (6, 4)), ("padded", (6, 4))])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_samples_that_are_taken_apart_are_known_when_they_are_together_again(
    way: str, size: tuple[int, int], samples: int
) -> None:
    structure = adapt(PictureByPicture(way)).structure(torch.rand(samples, 3, *SIDES))
    site = structure.site("layer", "output", 1)
    assert structure.batch == 2
    assert site is not None
    assert site.layout is not None
    assert site.layout.size == size


def test_samples_in_another_order_are_not_taken_for_the_batch() -> None:
    class Turned(PictureByPicture):
        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.stack([picture / 2 for picture in x][::-1]))  # type: ignore[no-any-return]

    site = adapt(Turned("")).structure(torch.rand(2, 3, *SIDES)).site("layer", "output", 1)
    assert site is not None
    assert site.layout is None


def test_tokens_that_are_written_into_a_row_are_places_behind_a_prefix() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.layer = nn.Conv2d(3, 4, 2, 2), nn.LayerNorm(4)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.stem(x).flatten(2).mT
            row = torch.zeros(len(x), tokens.shape[1] + 2, 4)
            row[:, 2:] = tokens
            out: Tensor = self.layer(row)
            return out

    site = adapt(Written()).structure(torch.rand(2, 3, 8, 6)).site("layer", "output", 1)
    assert site is not None
    assert site.layout is not None
    assert (site.layout.prefix, site.layout.size) == (2, (4, 3))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [True, False])
def test_a_recurrent_layer_keeps_its_sequence_and_reads_the_last_axis_as_channels(
    kind: type[nn.RNNBase], batch_first: bool
) -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = kind(5, 8, batch_first=batch_first), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x if batch_first else x.transpose(0, 1)
            out = self.layer(x)[0]
            last: Tensor = self.head(out[:, -1] if batch_first else out[-1])
            return last

    structure = adapt(Sequence().eval()).structure(torch.rand(2, 7, 5))
    site = structure.site("layer", "output", 1)
    assert (structure.axes, structure.places, structure.channel_axis) == (("t",), (7,), 2)
    assert site is not None
    assert site.layout is not None
    assert (site.layout.size, site.layout.channels(site.shape)) == ((7,), 8)
