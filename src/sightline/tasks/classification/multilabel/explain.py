"""What a network of several labels says of a picture: which labels reach their thresholds, or that none does.

Registers itself with the api, which knows nothing of labels. Reads the picture once.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.api.narration import NARRATORS
from sightline.common.modes import leave_as_found
from sightline.results import Explanation, Narration
from sightline.tasks.classification.multilabel.network import LabelNet
from sightline.training.labels.words import about, finding


@NARRATORS.register("labels")
def narrate(model: nn.Module, explanation: Explanation, inputs: Float[Tensor, "1 c h w"]) -> Narration | None:
    """What the network finds, and how good the explained label's threshold is.

    Args:
        model: any network.
        explanation: explanation of one of its decisions.
        inputs: the picture.

    Returns:
        Sentences; None where the network has no operating points.
    """
    if not isinstance(model, LabelNet):
        return None
    with leave_as_found(model), torch.no_grad():
        probabilities = model(inputs)[0].float().sigmoid().cpu().tolist()
    sentences = [finding(model.points, probabilities)]
    index = explanation.decision.index
    if index is not None and index < len(model.points):
        sentences += [about(model.points[index], probabilities[index])]
    return Narration(tuple(sentences), ())
