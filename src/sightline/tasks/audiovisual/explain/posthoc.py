"""The LRP flow on the picture's tokens of a network of events, to lay beside its own attention on the same clip."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sightline.results import Explanations
from sightline.tasks.audiovisual.explain.clip import EventClip
from sightline.tasks.audiovisual.network.net import EventNet

LAYERS = {"patch": "picture.layers.3", "wide": "picture.layers.5"}
"""The tokens, the same places as those of the attention, by the receptive field."""


def flow_maps(net: EventNet, clip: EventClip, items: Explanations) -> list[Float[Tensor, "t y x"]]:
    """What speaks for each explained event by the LRP flow, over the same places and times as its attention.

    Args:
        net: a network that takes frames.
        clip: with a picture of two frames or more.
        items: the explanations by the network's own attention.

    Returns:
        A map for each; none where the network takes features, or the clip has no moving picture.
    """
    if net.spec.picture_features or not bool(clip.pictured.all()) or clip.frames.shape[1] < 2:
        return []
    from sightline.api.explain import explain

    layer, maps = LAYERS[net.spec.field], []
    for item in items:
        flow = explain(
            net, clip.inputs[:2], target=item.decision.index, method="lrp", layers=layer, domain="space-time"
        )[0].flow
        maps.append(flow[-1].values.clamp(min=0))
    return maps
