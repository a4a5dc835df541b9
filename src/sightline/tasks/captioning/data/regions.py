"""`RegionSet`: the regions of one picture, checked, and how several become one padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import DataError
from sightline.tasks.captioning.network.decoding import Regions
from sightline.tasks.captioning.network.geometry import unit_boxes


@dataclass(frozen=True, eq=False)
class RegionSet:
    """Regions of one picture.

    Args:
        features: numbers of each region.
        boxes: left, top, right, bottom as shares of the picture.
        name: the picture's id or file.
        notes: what was done to the boxes, in sentences.
    """

    features: Float[Tensor, "n d"]
    boxes: Float[Tensor, "n 4"]
    name: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.boxes)

    def batch(self) -> Regions:
        """A batch of this picture alone."""
        return Regions(self.features[None], self.boxes[None])


def region_set(
    features: Float[Tensor, "n d"], boxes: Float[Tensor, "n 4"], size: tuple[float, float], name: str
) -> RegionSet:
    """Regions as read, with boxes in pixels made shares of the picture.

    Boxes that reach out of the picture are cut at its edge and those without an area are left out; `notes` says so.
    No pixel is added to widths and heights, as some programs do: sizes would then depend on the scale.

    Args:
        features: of each box.
        boxes: left, top, right, bottom in pixels.
        size: width and height of the picture in pixels.
        name: the picture's id or file.

    Raises:
        DataError: there is no box, numbers are not finite, or features and boxes do not belong together.
    """
    if features.ndim != 2 or boxes.shape != (len(features), 4):
        raise DataError(
            f"picture {name} has features of shape {tuple(features.shape)} and boxes of shape {tuple(boxes.shape)}; "
            "each region needs a row of features and a box of four numbers"
        )
    if not min(size) > 0:
        raise DataError(f"picture {name} has the size {size[0]:g} x {size[1]:g}; both must be above 0")
    if not bool(features.isfinite().all() and boxes.isfinite().all()):
        raise DataError(f"picture {name} has features or boxes that are NaN or infinite; read them again")
    shares = unit_boxes(boxes.float(), torch.tensor(size, dtype=torch.float32))
    inside = shares.clamp(0, 1)
    cut = int(((shares - inside).abs() > 1e-3).any(1).sum())
    kept = (inside[:, 2:] > inside[:, :2]).all(1)
    if not bool(kept.any()):
        raise DataError(
            f"picture {name} has no box with an area inside it (of {_boxes(len(boxes))} in all), so it cannot be "
            "captioned"
        )
    lost = int((~kept).sum())
    notes = [f"picture {name}: {_boxes(cut)} cut at its edge"] if cut else []
    notes += [f"picture {name}: {_boxes(lost)} with no area inside it left out"] if lost else []
    return RegionSet(features[kept].float(), inside[kept], name, tuple(notes))


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"


def padded(sets: Sequence[RegionSet]) -> Regions:
    """Pictures of different numbers of regions as one batch with a mask.

    Raises:
        DataError: two have features of different widths.
    """
    widths = {own.features.shape[1] for own in sets}
    if len(widths) > 1:
        first = next(own for own in sets if own.features.shape[1] != sets[0].features.shape[1])
        raise DataError(
            f"picture {first.name} has {first.features.shape[1]} features for each region, others have "
            f"{sets[0].features.shape[1]}; take all from one extractor"
        )
    most = max(map(len, sets))
    features = torch.zeros(len(sets), most, widths.pop())
    boxes, mask = torch.zeros(len(sets), most, 4), torch.zeros(len(sets), most, dtype=torch.bool)
    for i, own in enumerate(sets):
        features[i, : len(own)], boxes[i, : len(own)], mask[i, : len(own)] = own.features, own.boxes, True
    whole = bool(mask.all())
    return Regions(features, boxes, None if whole else mask)
