"""WHERE and WHEN of every class as results: maps over space-time and over time, saved like any others."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.errors import TargetError, near
from sightline.results import AttentionMap, Decision, Domain, Explanation, Explanations, Flow
from sightline.tasks.audiovisual.explain.clip import EventClip
from sightline.tasks.audiovisual.network.net import Attended, EventNet

MOST = 12
"""Classes that are explained where none is named."""
DRAWN = "This network learned from drawn scenes of moving shapes and tones; it knows nothing of real clips."


@torch.no_grad()
def explained(net: EventNet, clip: EventClip, targets: tuple[str, ...] = ()) -> Explanations:
    """Explain a clip: the classes that are named, or all of them, the most probable first.

    Raises:
        TargetError: there is no such class.
    """
    attended = net.attend(*clip.inputs)
    logits = attended.logits[0]
    chances = logits.sigmoid() if net.spec.multi else logits.softmax(0)
    order = logits.argsort(descending=True).tolist()
    chosen = [_place(name, net.spec.names) for name in targets] or order[:MOST]
    return Explanations(tuple(_item(net, clip, attended, chances, output) for output in chosen))


def _item(net: EventNet, clip: EventClip, attended: Attended, chances: Tensor, output: int) -> Explanation:
    maps = (
        AttentionMap(attended.where(output)[0], "where", Domain("space-time")),
        AttentionMap(attended.when(output)[0], "when", Domain("signal")),
    )
    logit, chance = float(attended.logits[0, output]), float(chances[output])
    return Explanation(
        Flow(maps, "attention", clip.ruler.notes),
        Decision(net.spec.names[output], logit, output, chance),
        clip.frames[0].transpose(0, 1).contiguous(),
        clip.path.name,
        provenance={
            "method": "attention",
            "title": "space-time attention",
            "spec": net.spec.to_json(),
            "ruler": list(clip.ruler.lines()),
        },
        sentences=(DRAWN,) if net.spec.drawn else (),
        rate=1 / net.spec.seconds,
    )


def _place(name: str, names: tuple[str, ...]) -> int:
    if name.isdigit() and int(name) < len(names):
        return int(name)
    if name not in names:
        raise TargetError(f"this network knows no event {name!r}; {near(name, names)}")
    return names.index(name)
