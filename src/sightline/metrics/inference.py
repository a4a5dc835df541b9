"""A private copy of a model that does nothing but forwards, quicker: normalisation folded, channels last.

Masking metrics run thousands of forwards of a model that never changes. It must not know what they are for, and it
never touches the model that it copies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sightline.common.chunks import out_of_memory
from sightline.common.modes import evaluating
from sightline.common.threads import exclusive

log = logging.getLogger(__name__)
TOLERANCE = 1e-4
"""How far the copy may be from the model, relative to the largest output."""
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True, eq=False)
class InferenceCopy:
    """What forwards are run through, and why.

    Args:
        model: the copy, or the model itself.
        fused: whether it is the copy.
        difference: largest difference of the outputs, relative to the largest output; NaN where none was taken.
        reason: which of the two is run, in words.
    """

    model: Callable[[Tensor], Tensor]
    fused: bool
    difference: float
    reason: str


@exclusive  # hooks are looked for, and those of another thread that explains the model are not its own
def inference_copy(
    model: Callable[[Tensor], Tensor], inputs: Float[Tensor, "b ..."], *, tolerance: float = TOLERANCE
) -> InferenceCopy:
    """A quicker copy of a model, if it says the same on these inputs; else the model itself.

    Batch normalisation is folded into the convolution before it, and weights and inputs are laid out with channels
    last. The copy takes as much memory as the model's parameters. A model that cannot be traced is copied as it is.

    Args:
        model: any callable; only a module that takes pictures and has convolutions can be copied with profit.
        inputs: what both are run on once.
        tolerance: largest relative difference of the outputs.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> inference_copy(net, torch.rand(2, 3, 8, 8)).fused
        True
    """
    refusal = _refusal(model, inputs)
    if refusal or not isinstance(model, nn.Module):
        return InferenceCopy(model, False, float("nan"), f"the model itself: {refusal}")
    try:
        with evaluating(model):
            copy = _Copy(model)
            difference = _difference(model, copy, inputs)
    except Exception as problem:  # whatever a stranger's model does when it is copied, itself still works
        if isinstance(problem, (MemoryError, RuntimeError)) and out_of_memory(problem):
            log.warning("no memory for a copy of the model")
        log.debug("the model could not be copied", exc_info=True)
        return InferenceCopy(model, False, float("nan"), "the model itself: it could not be copied")
    if not difference <= tolerance:
        why = f"the model itself: a copy with folded normalisation differs by {difference:.1g} of the largest output"
        return InferenceCopy(model, False, difference, why)
    how = "with folded normalisation and channels last" if copy.folded else "with channels last"
    return InferenceCopy(copy, True, difference, f"a copy {how}, within {difference:.1g} of the model")


def _refusal(model: object, inputs: Tensor) -> str:
    """Why there will be no copy; empty if there may be one."""
    if not isinstance(model, nn.Module):
        return "it is not a module"
    if inputs.ndim != 4 or not inputs.is_floating_point():
        return "its inputs are not images"
    if not any(isinstance(part, nn.Conv2d) for part in model.modules()):
        return "it has no convolutions"
    if any(getattr(part, name, None) for part in model.modules() for name in HOOKS):
        return "it has hooks"
    return ""


class _Copy(nn.Module):
    """The copy; it keeps inputs in the layout of its weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        plain = deepcopy(model).eval().requires_grad_(False)
        traced = _folded(plain)
        self.folded = traced is not None
        self.body = (traced or plain).to(memory_format=torch.channels_last)

    def forward(self, inputs: Float[Tensor, "b c h w"]) -> Tensor:
        """What the model says."""
        out: Tensor = self.body(inputs.contiguous(memory_format=torch.channels_last))
        return out


def _folded(model: nn.Module) -> nn.Module | None:
    """The model as a graph in which no batch normalisation follows a convolution; None if it cannot be traced."""
    try:
        graph = fx.symbolic_trace(model)
    except Exception:  # control flow on values, unknown types: tracing fails in many ways
        log.debug("the model cannot be traced", exc_info=True)
        return None
    for conv, norm in _pairs(graph):
        first, second = graph.get_submodule(str(conv.target)), graph.get_submodule(str(norm.target))
        if not isinstance(first, nn.Conv2d) or not isinstance(second, nn.BatchNorm2d):
            continue
        fused = fuse_conv_bn_eval(first, second)
        parent, _, name = str(conv.target).rpartition(".")
        setattr(graph.get_submodule(parent), name, fused)
        norm.replace_all_uses_with(conv)
        graph.graph.erase_node(norm)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _pairs(graph: fx.GraphModule) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Convolutions whose output goes to one batch normalisation with statistics, and both are called once."""
    calls: dict[object, int] = {}
    for node in graph.graph.nodes:
        if node.op == "call_module":
            module = graph.get_submodule(node.target)
            calls[module] = calls.get(module, 0) + 1
    for norm in list(graph.graph.nodes):
        if norm.op != "call_module" or not norm.args or not isinstance(norm.args[0], fx.Node):
            continue
        conv, module = norm.args[0], graph.get_submodule(norm.target)
        if conv.op != "call_module" or len(conv.users) != 1 or type(module) is not nn.BatchNorm2d:
            continue
        first = graph.get_submodule(str(conv.target))
        once = calls[first] == calls[module] == 1
        if type(first) is nn.Conv2d and once and module.running_mean is not None:
            yield conv, norm


def _difference(model: nn.Module, copy: nn.Module, inputs: Tensor) -> float:
    """Largest difference of two models' outputs, on all inputs and on one alone, relative to the largest output."""
    with torch.inference_mode():
        gaps = [_gap(model(part), copy(part)) for part in (inputs, inputs[:1])]
    return max(gaps)


def _gap(one: object, other: object) -> float:
    """Difference relative to the largest output; infinite where the two do not compare."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape:
        return float("inf")
    scale = one.abs().max().double()
    gap = (one.double() - other.double()).abs().max()
    relative = gap / scale if scale > 0 else torch.where(gap == 0, 0.0, torch.inf)
    return float(relative) if bool(torch.isfinite(relative)) else float("inf")
