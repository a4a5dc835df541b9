"""Regions of a photo: cells of a network's grid of features, or boxes of a torchvision detector."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import roi_align
from torchvision.transforms.functional import pil_to_tensor

from sightline.errors import ModelError
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from sightline.models.trunk import Trunk
from sightline.tasks.captioning.data.regions import RegionSet, region_set
from sightline.tasks.captioning.network.geometry import grid_boxes

SCORE = 0.2
"""Least score of a detection that is taken."""
MOST = 100
"""Most detections, as in adaptive bottom-up features."""


@torch.no_grad()
def grid_regions(loaded: LoadedModel, image: Image.Image, name: str = "photo") -> RegionSet:
    """The last grid of features of any network of pictures; its cells are the boxes.

    The whole picture is scaled to the network's input without a cut, so that cells are shares of the picture.

    Args:
        loaded: the network with its preprocessing.
        image: the photo.
        name: its id or file.

    Raises:
        ModelError: the network has no grid of features.
    """
    grid = features_of(loaded, image)
    rows, columns = grid.shape[-2:]
    return RegionSet(rearrange(grid[0], "c h w -> (h w) c"), grid_boxes(rows, columns), name)


@torch.no_grad()
def detected_regions(
    detector: nn.Module, loaded: LoadedModel, image: Image.Image, name: str = "photo", *, score: float = SCORE
) -> RegionSet:
    """Boxes of a torchvision detector, with features of any network pooled in them.

    Args:
        detector: any of torchvision's detectors, in eval mode.
        loaded: the network whose last grid of features is pooled in each box.
        image: the photo.
        name: its id or file.
        score: least score of a box.

    Raises:
        ModelError: the detector returns no boxes and scores, or the network has no grid.
        DataError: nothing was detected.
    """
    output: Any = detector([pil_to_tensor(image.convert("RGB")).float() / 255])
    if not isinstance(output, list) or not {"boxes", "scores"} <= output[0].keys():
        raise ModelError(f"{type(detector).__name__} does not return boxes and scores, as torchvision's detectors do")
    boxes = output[0]["boxes"][output[0]["scores"] >= score][:MOST]
    grid = features_of(loaded, image)
    scale = torch.tensor([grid.shape[-1] / image.width, grid.shape[-2] / image.height]).repeat(2)
    pooled = roi_align(grid, [boxes * scale], output_size=1, aligned=True)
    return region_set(pooled.flatten(1), boxes, image.size, name)


def features_of(loaded: LoadedModel, image: Image.Image) -> Float[Tensor, "1 c h w"]:
    """The last grid of features over the whole photo.

    Raises:
        ModelError: the network has none.
    """
    whole: Preprocess = loaded.preprocess.with_(fit="stretch", resize=None)
    device = next(loaded.model.parameters()).device
    grid: Tensor = Trunk(loaded.model)(whole(image.convert("RGB")).inputs[None].to(device))
    return grid.cpu()
