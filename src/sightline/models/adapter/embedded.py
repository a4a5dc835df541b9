"""A model seen as an encoder: the same modules and weights, read where its embedding is.

The user's model is not edited. What is handed back is a second root over the same parts: either its classifier is
passed over, or the forward ends at a named module. It knows nothing of what is done with the embedding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

from sightline.errors import ModelError, near
from sightline.models.adapter.layers import Side

AUTO, NONE = "auto", "none"
HEADS = ("fc", "classifier", "head", "heads", "class_head", "logits", "last_linear", "head_dist")
"""Names under which classifiers are kept."""


def embedded(model: nn.Module, where: str = AUTO) -> nn.Module:
    """The model as an encoder.

    Args:
        model: the plain module; it is not changed.
        where: `auto` for the input of its last classifier (its pooled features), or its output if it has none;
            `none` for its output as it is; or the path of a module whose output is the embedding.

    Raises:
        ModelError: there is no module of that path.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> embedded(net)(torch.ones(1, 3, 8, 8)).shape
        torch.Size([1, 4])
    """
    if where == AUTO:
        return _without(model, classifiers(model))
    if where == NONE:
        return model
    paths = [path for path, _ in model.named_modules() if path]
    if where not in paths:
        raise ModelError(
            f"{type(model).__name__} has no module {where!r} to read the embedding at; {near(where, paths)}"
        )
    return ended(model, where)


def place_of(model: nn.Module, where: str = AUTO) -> str:
    """Where the embedding is read, in words.

    Example:
        >>> place_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
        "input of '1'"
    """
    if where not in (AUTO, NONE):
        return f"output of {where!r}"
    paths = classifiers(model) if where == AUTO else ()
    return "input of " + " and ".join(map(repr, paths)) if paths else "output of the model"


def classifiers(model: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that make class scores of the embedding; none for an encoder.

    What the model says of itself (timm's models do) goes first, and an attribute `logits_at` with a path; then heads
    by their usual names; then the last module of a plain sequence, if it is linear.
    """
    if isinstance(known := getattr(model, "logits_at", None), str):
        return (known,)
    declared = _declared_classifiers(model)
    if declared is not None:
        return declared
    paths = [path for name, child in model.named_children() if name in HEADS for path in _last_layer(child, name)]
    if not paths and isinstance(model, nn.Sequential) and len(model):
        name, last = list(model.named_children())[-1]
        paths = [name] if isinstance(last, nn.Linear) else _in_head(last, name)
    return tuple(paths)


def _declared_classifiers(model: nn.Module) -> tuple[str, ...] | None:
    """What `get_classifier()` hands out, by path; None where there is no such thing."""
    try:
        answer = cast(Any, model).get_classifier()
    except Exception:  # noqa: BLE001 - absent, or a model's own code failed; there are other ways to know
        return None
    parts = answer if isinstance(answer, tuple | list) else (answer,)
    paths_of = {part: path for path, part in model.named_modules()}
    paths = tuple(paths_of[part] for part in parts if isinstance(part, nn.Linear | nn.Conv2d) and part in paths_of)
    return paths if paths or all(isinstance(part, nn.Identity) for part in parts) else None


def _in_head(module: nn.Module, path: str) -> list[str]:
    """The classifier inside a part that has one by its usual name."""
    heads = [(name, child) for name, child in module.named_children() if name in HEADS]
    return [own for name, child in heads for own in _last_layer(child, f"{path}.{name}")]


def _last_layer(head: nn.Module, path: str) -> list[str]:
    """The last linear layer of a head, or its last convolution if it has none."""
    for kind in (nn.Linear, nn.Conv2d):
        hits = [name for name, part in head.named_modules() if isinstance(part, kind)]
        if hits:
            return [f"{path}.{hits[-1]}".rstrip(".")]
    return []


def _without(model: nn.Module, paths: tuple[str, ...]) -> nn.Module:
    """The model with some modules passed over; those on the way to them are copied, the rest is shared."""
    for path in paths:
        model = _passed_over(model, path.split("."))
    return model


def _passed_over(module: nn.Module, path: list[str]) -> nn.Module:
    if not path:
        return nn.Identity().train(module.training)
    twin = twin_of(module)
    twin._modules[path[0]] = _passed_over(cast(nn.Module, module._modules[path[0]]), path[1:])
    return twin


def ended(model: nn.Module, path: str, side: Side = "output") -> nn.Module:
    """The model whose forward ends at a module, and gives what that gave, or took.

    Args:
        model: the plain module; it is not changed.
        path: the module, which runs.
        side: whether its output or its first input is wanted.
    """
    kind = type(model)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        part = self.get_submodule(path)
        handle = part.register_forward_hook(_stop) if side == "output" else part.register_forward_pre_hook(_begin)
        try:
            kind.forward(self, *args, **kwargs)
        except _Reached as reached:
            return reached.output
        finally:
            handle.remove()
        raise ModelError(f"the module {path!r} did not run for this input, so there is no embedding; choose another")

    return with_forward(model, forward)


def with_forward(model: nn.Module, forward: Callable[..., Any]) -> nn.Module:
    """Another root over the same parts, which runs otherwise."""
    twin, kind = twin_of(model), type(model)
    twin.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return twin


class _Reached(Exception):  # noqa: N818 - no error: the forward has come to where it was to go
    """Carries the output of the module where the embedding is read."""

    def __init__(self, output: Any) -> None:
        super().__init__("reached")
        self.output = output


def _stop(module: nn.Module, args: Any, output: Any) -> Tensor:
    raise _Reached(output)


def _begin(module: nn.Module, args: Any) -> None:
    raise _Reached(args[0])


def twin_of(module: nn.Module) -> nn.Module:
    """Another root over the same parts."""
    twin = copy.copy(module)
    for name, value in vars(module).items():
        if isinstance(value, dict) and name.startswith("_"):
            vars(twin)[name] = copy.copy(value)
    return twin
