"""Where and when beside the truth: pointing, strict and tolerant, mass, and the chance of each.

The metrics are those of images (`sightline.metrics`); here they are asked on cells of the network and on segments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.metrics import area, dilate, energy_in_mask, pointing_game
from sightline.tasks.audiovisual.world import Scenes

NEAR = 1.5
"""Cells by which a tolerant hit may miss: the eight around a cell."""


@dataclass(frozen=True, eq=False)
class Pointing:
    """Figures of each scene; NaN where one cannot be scored.

    Args:
        where: whether the peak's cell holds a part of the object.
        near: the same, or a cell beside it.
        pixel: whether the peak lies on the object's pixels.
        mass: share of the map on the object's pixels.
        when: whether the peak's segment has the sound.
        span: share of the curve in segments that have it.
    """

    where: Float[Tensor, "b"]
    near: Float[Tensor, "b"]
    pixel: Float[Tensor, "b"]
    mass: Float[Tensor, "b"]
    when: Float[Tensor, "b"]
    span: Float[Tensor, "b"]


def cells_of(masks: Bool[Tensor, "b t h w"], grid: tuple[int, int]) -> Bool[Tensor, "b t y x"]:
    """Cells that hold a pixel of the mask."""
    cells: Tensor = fn.adaptive_max_pool2d(masks.flatten(0, 1)[:, None].float(), grid)
    return cells.reshape(*masks.shape[:2], *grid).bool()


def beside(cells: Bool[Tensor, "b t y x"]) -> Bool[Tensor, "b t y x"]:
    """Cells of a mask and those around them in the same frame."""
    return dilate(cells.flatten(0, 1), NEAR).reshape(cells.shape)


def pointing(where: Float[Tensor, "b t y x"], when: Float[Tensor, "b s"], scenes: Scenes) -> Pointing:
    """Figures of maps of drawn scenes.

    Args:
        where: maps over cells.
        when: curves over segments.
        scenes: what is known.
    """
    cells = cells_of(scenes.where, (where.shape[2], where.shape[3]))
    return Pointing(
        where=pointing_game(where, cells).values,
        near=pointing_game(where, beside(cells)).values,
        pixel=pointing_game(where, scenes.where).values,
        mass=energy_in_mask(blocks(where, scenes.where), scenes.where).values,
        when=pointing_game(when, scenes.when).values,
        span=energy_in_mask(when, scenes.when).values,
    )


def chance(scenes: Scenes, grid: tuple[int, int]) -> Pointing:
    """What a map reaches that knows nothing: the share of the cells, pixels and segments that are right."""
    cells = cells_of(scenes.where, grid)
    pixels, spans = area(scenes.where), area(scenes.when)
    return Pointing(area(cells), area(beside(cells)), pixels, pixels, spans, spans)


def blocks(maps: Float[Tensor, "b t y x"], masks: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b t h w"]:
    """A map on the pixels: each cell's value spread evenly over its own pixels, so that the sum stays."""
    rows, columns = (shares(maps.shape[axis], masks.shape[axis]).to(maps) for axis in (2, 3))
    return torch.einsum("btyx,hy,wx->bthw", maps, rows, columns)


def shares(cells: int, pixels: int) -> Float[Tensor, "pixels cells"]:
    """Share of each cell that lies on each pixel, along one axis; a cell may end within a pixel.

    Example:
        >>> shares(2, 3).tolist()
        [[0.6666666865348816, 0.0], [0.3333333432674408, 0.3333333432674408], [0.0, 0.6666666865348816]]
    """
    edges, places = torch.arange(cells + 1) * pixels / cells, torch.arange(pixels)[:, None]
    overlap = torch.minimum(edges[1:], places + 1) - torch.maximum(edges[:-1], places)
    return overlap.clamp(min=0) * cells / pixels
