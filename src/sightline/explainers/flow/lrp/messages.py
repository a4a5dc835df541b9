"""What the steps of the LRP flow hand to one another: relevance over value, or relevance itself.

A pixel may be black and matter, so its message is relevance. Between a layer and its activation relevance is the
shorter way: it is the same before and behind the activation, whose ratio of output to input need not be taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from sightline.explainers.flow.lrp.bounded import exact
from sightline.explainers.flow.tape import Node, Tape


@dataclass(frozen=True, eq=False)
class Relevance:
    """The message of a node that is its relevance; whoever gets it may write into it."""

    R: Tensor


Message = Tensor | Relevance


def join(a: Message, b: Message) -> Message:
    """Messages to the same node add up; those of a node are all of one kind."""
    if isinstance(a, Relevance) or isinstance(b, Relevance):
        return Relevance(cast(Relevance, a).R + cast(Relevance, b).R)
    return a + b


def relevance(tape: Tape, node: Node, message: Message) -> Tensor:
    """What a message means: the relevance of a node, in float32 or better."""
    if isinstance(message, Relevance):
        return message.R
    return exact(tape.value(node)) * exact(message)


def over(message: Message, z: Tensor) -> Tensor:
    """The message as relevance over value; nothing where the value is zero."""
    return torch.where(z == 0, 0.0, message.R / z) if isinstance(message, Relevance) else message


def times(message: Message, z: Tensor) -> Tensor:
    """The message as relevance, in a tensor that may be written into."""
    return message.R if isinstance(message, Relevance) else message * z
