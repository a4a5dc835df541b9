"""What a tape must know of an operation before it runs, read off its schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sightline.errors import UnfollowedError
from sightline.models.adapter.operations import SHAPE_ONLY

PLAIN = frozenset(
    {bool, float, int, str, type(None), torch.device, torch.dtype, torch.layout, torch.memory_format}
)  # fmt: skip
"""Types of arguments that hold no tensor."""

SAME = frozenset({"detach", "alias", "lift_fresh"})
"""Operations whose result is the tensor itself."""


@dataclass(frozen=True)
class Schema:
    """What the recording must know of an operation before it runs.

    Args:
        shape_only: it reads a tensor's shape only, so its result does not depend on the input.
        same: its result is the tensor itself.
        quantized: it works on quantized numbers.
        written: position of the argument that it writes to.
    """

    shape_only: bool
    same: bool
    quantized: bool
    written: int | None

    @classmethod
    def of(cls, func: Any) -> Schema:
        """The facts of one operation, read off its schema."""
        name = str(func.overloadpacket).removeprefix("aten.")
        aliases = [argument.alias_info for argument in func._schema.arguments]
        writes = [i for i, alias in enumerate(aliases) if alias is not None and alias.is_write]
        return cls(name in SHAPE_ONLY, name in SAME, "quantize" in str(func), writes[0] if writes else None)


_SCHEMAS: dict[Any, Schema] = {}


def schema_of(func: Any) -> Schema:
    """The facts of an operation, read once."""
    return _SCHEMAS.get(func) or _SCHEMAS.setdefault(func, Schema.of(func))


def out_of_place(func: Any) -> Any:
    """The operation that returns what this one writes."""
    packet = str(func.overloadpacket).removeprefix("aten.")
    twin = getattr(torch.ops.aten, packet.removesuffix("_"), None)
    overload = getattr(twin, func._overloadname, None) if packet.endswith("_") else None
    if overload is None:
        raise UnfollowedError(f"the model uses {func}, which writes in place in a way that a flow cannot follow")
    return overload
