"""Batch norms of a network: which there are, which were folded, and how they are kept at rest.

A norm in training mode measures each batch; over weights whose statistics were folded into the convolutions (mean 0,
variance 1) that makes other features than those that were learnt. Knows modules, not where they are from.
"""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

AT_REST, IN_TRAINING = "rest", "train"


def norms(net: nn.Module) -> dict[str, nn.Module]:
    """The norms that keep statistics of what they have seen, by path: batch norms, and instance norms that track.

    Args:
        net: any network; it is not changed.
    """
    return {
        path: module
        for path, module in net.named_modules()
        if isinstance(module, _NormBase) and module.running_mean is not None and module.running_var is not None
    }


def folded(net: nn.Module, new: Container[str] = ()) -> tuple[str, ...]:
    """Paths of norms with identity statistics: every mean 0 and every variance 1, as no training leaves them.

    Args:
        net: any network.
        new: names of parameters that no weights were given for; their norms are at the start, not folded.
    """
    return tuple(path for path, norm in norms(net).items() if not _is_new(path, new) and _is_identity(norm))


def rest(net: nn.Module, new: Container[str] = ()) -> None:
    """Put the norms that came with weights into eval mode; those of new layers go on learning their statistics.

    Args:
        net: changed in place: modes only.
        new: names of parameters that no weights were given for.
    """
    for path, norm in norms(net).items():
        if not _is_new(path, new):
            norm.eval()


def remark(net: nn.Module, mode: str, *, given: bool, new: Container[str] = ()) -> str:
    """What a reader of the card should know of the norms; empty where there is nothing to say.

    Args:
        net: the network as it begins.
        mode: `rest` or `train`.
        given: whether weights were given.
        new: names of parameters that no weights were given for.
    """
    own, identity = norms(net), folded(net, new)
    if not given or not own:
        return ""
    count = (
        f"{len(identity)} of {len(own)} batch norms have identity statistics (mean 0, variance 1): they were folded "
    )
    if identity and mode == IN_TRAINING:
        return count + "into the weights, and --norms train makes other features of them; use --norms rest"
    return count + "into the weights; they stay at rest" if identity else ""


def _is_identity(norm: nn.Module) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    return not bool(torch.any(mean)) and bool((variance == 1).all())  # type: ignore[arg-type,union-attr]


def _is_new(path: str, new: Container[str]) -> bool:
    return f"{path}.weight" in new or f"{path}.bias" in new
