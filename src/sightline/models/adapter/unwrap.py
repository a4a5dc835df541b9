"""The plain module inside whatever a user holds, or a refusal: hooks do not fire in compiled or traced code."""

from __future__ import annotations

import torch
from torch import nn

from sightline.common.threads import tree
from sightline.errors import ModelError


def unwrap(model: nn.Module) -> nn.Module:
    """The module that runs eagerly and can be listened to; weights are shared, nothing is copied.

    `torch.compile`, `DataParallel` and `DistributedDataParallel` are unwrapped.

    Raises:
        ModelError: it is no module, or of a kind whose inside cannot be read (scripted, traced, exported, sharded).
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"a torch.nn.Module was expected, but {type(model).__name__} was given")
    kind = type(model).__name__
    if kind == "OptimizedModule":
        return unwrap(model._orig_mod)  # type: ignore[arg-type]
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrap(model.module)
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(f"{kind} is scripted or traced, so its layers cannot be read; pass the original module")
    if "FullyShardedDataParallel" in kind or kind.startswith("FSDP"):
        raise ModelError(f"{kind} is sharded, so its layers cannot be read whole; pass the gathered module")
    if isinstance(model, torch.fx.GraphModule) and not _has_layers(model):
        raise ModelError(f"{kind} is an exported graph without layers; pass the original module")
    if any(map(_closed, {*map(type, tree(model))})):
        path = next(path for path, part in model.named_modules() if _closed(type(part)))
        raise ModelError(
            f"the part {path!r} of the model is compiled or scripted on its own, so its layers cannot be read; "
            "build the model without that, or explain it before it is compiled"
        )
    return model


def _closed(kind: type[nn.Module]) -> bool:
    return kind.__name__ == "OptimizedModule" or issubclass(kind, torch.jit.ScriptModule)


def _has_layers(model: nn.Module) -> bool:
    return any(next(child.parameters(), None) is not None for child in model.children())
