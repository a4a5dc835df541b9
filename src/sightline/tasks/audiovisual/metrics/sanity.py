"""Weight and label randomisation: a map that stays when the network forgets does not explain the network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.metrics import label_randomisation, randomisation_curve
from sightline.tasks.audiovisual.metrics.maps import Inputs, Way
from sightline.tasks.audiovisual.network.net import EventNet

READINGS = ("where", "when")
"""The two maps of a way, in their order."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """Rank correlation of maps with those of a network that knows less, of each scene; 0 is what chance gives.

    Args:
        weights: after each further layer, from the output back, has random weights.
        labels: of a network that learned from permuted labels.
    """

    weights: dict[str, Float[Tensor, "b"]]
    labels: Float[Tensor, "b"]


def likeness(
    net: EventNet, other: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"], *, way: Way, seed: int = 0
) -> dict[str, Likeness]:
    """What becomes of WHERE and of WHEN.

    Args:
        net: the network; given back bit for bit.
        other: the same, trained on permuted labels.
        inputs: frames and spectra.
        outputs: the output that is explained, of each scene.
        way: what makes the maps.
        seed: of the random weights.
    """
    frames, spectra = inputs
    found = {}
    for number, name in enumerate(READINGS):

        def explain(model: nn.Module, pictures: Tensor, number: int = number) -> Tensor:
            with torch.enable_grad():
                return way(model, (pictures, spectra), outputs)[number]  # type: ignore[arg-type]

        _, curve = randomisation_curve(explain, net, frames, seed=seed)
        found[name] = Likeness(curve, label_randomisation(explain, net, other, frames).values)
    return found
