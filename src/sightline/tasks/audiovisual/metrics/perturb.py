"""Deletion and insertion of what a map holds for important: cells of the picture, segments of the sound.

The probability of the event is watched while cells (or segments) are replaced, the strongest first, the other input
staying as it is. A random order is the control, and there are two replacement values for each input: a value can make
a strange scene of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.metrics import Probe, deletion_curve, insertion_curve
from sightline.metrics.baselines import Baseline
from sightline.results.domains import Domain
from sightline.tasks.audiovisual.metrics.clips import SILENT
from sightline.tasks.audiovisual.metrics.maps import Inputs, Maps
from sightline.tasks.audiovisual.network.net import EventNet

FILLS: dict[str, dict[str, Baseline]] = {
    "where": {"mean": "mean", "black": "zero"},
    "when": {"silence": SILENT, "mean": "mean"},
}
"""What takes the place of cells and of segments: the scene's mean colour, black; silence, the mean spectrum."""
ROWS = 100
"""Scenes per forward."""


@dataclass(frozen=True, eq=False)
class Perturbed:
    """Areas under the curves of each scene.

    Args:
        deletion: while the strongest go; low for a good map.
        insertion: while the strongest come back; high for a good map.
    """

    deletion: Float[Tensor, "b"]
    insertion: Float[Tensor, "b"]


def perturbed(
    net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"], maps: Maps, *, steps: int = 12, seed: int = 0
) -> dict[tuple[str, str], Perturbed]:
    """Areas for cells and for segments, with each replacement value.

    Args:
        net: the network.
        inputs: frames and spectra.
        outputs: the output that is watched, of each scene.
        maps: WHERE and WHEN.
        steps: deletions of a curve.
        seed: of the order of equal values.

    Returns:
        By `where` or `when` and the name of the replacement value.
    """
    frames, spectra = inputs
    picture, sound = frames.transpose(1, 2), spectra.permute(0, 2, 3, 1)
    seen = Probe(
        lambda rows, other: net(rows.transpose(1, 2), other),
        outputs,
        batch_size=ROWS,
        domain=Domain("space-time"),
        grid="cells",
        beside=(spectra,),
    )
    audible = Probe(
        lambda other, rows: net(other, rows.permute(0, 3, 1, 2)),
        outputs,
        batch_size=ROWS,
        domain=Domain("signal"),
        grid="cells",
        beside=(frames,),
        place=1,
    )
    areas = {}
    for kind, probe, judged, map_ in (("where", seen, picture, maps[0]), ("when", audible, sound, maps[1])):
        for name, fill in FILLS[kind].items():
            gone = deletion_curve(probe, judged, map_, steps=steps, baseline=fill, seed=seed)
            back = insertion_curve(probe, judged, map_, steps=steps, baseline=fill, seed=seed)
            areas[kind, name] = Perturbed(gone.area(), back.area())
    return areas


def random_maps(shapes: tuple[torch.Size, torch.Size], seed: int = 0) -> Maps:
    """Maps that know nothing, each scene with an order of its own: the control."""
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(shapes[0], generator=draw), torch.rand(shapes[1], generator=draw)
