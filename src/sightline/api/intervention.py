"""What a decision would be, were something that the network read in a picture another way.

Networks whose decision goes through named things register here. It must not know any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import TargetError
from sightline.registry import Registry

Intervention = Callable[[nn.Module, Float[Tensor, "1 c h w"], Sequence[str]], str | None]
INTERVENTIONS: Registry[Intervention] = Registry("intervention", group="sightline.interventions")
"""Model, its input and changes such as `bill colour=red` in, a sentence out; None where the model is not theirs."""


def intervened(model: nn.Module, inputs: Float[Tensor, "1 c h w"], changes: Sequence[str]) -> str:
    """What the decision becomes, in a sentence.

    Args:
        model: the network; it is left as it was.
        inputs: one picture.
        changes: `name=value`, all of them at once.

    Raises:
        TargetError: the network reads nothing that could be set, or a change is not understood.
    """
    for intervene in INTERVENTIONS.values():
        sentence = intervene(model, inputs, changes)
        if sentence is not None:
            return sentence
    raise TargetError(
        f"--set {changes[0]}: {type(model).__name__} reads no attributes; networks of `sightline train eat --join "
        "bottleneck` decide by them"
    )
