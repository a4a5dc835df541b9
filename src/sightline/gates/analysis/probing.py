"""Reading gates while a model runs, and putting other values in their place; the model is left as it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.threads import alone
from sightline.errors import GateError
from sightline.gates.modules.stateless import Eased
from sightline.gates.surgery.block import GatedBlock
from sightline.gates.surgery.plug import plugged
from sightline.gates.surgery.site import Site
from sightline.models.adapter.unwrap import unwrap

Factor = Float[Tensor, "..."]
"""What a branch is multiplied with: `[b, c, 1, 1]`, or maps `[b, n, h, w]` of groups of channels."""

Change = Callable[[str, Factor], Factor]
"""Path of a block and its gate's factor in, the factor to use out."""


def gated_sites(model: nn.Module) -> tuple[Site, ...]:
    """The sites at which a gate works now, in forward order.

    Raises:
        GateError: nothing is plugged, or the scheme in use is empty.
    """
    record = plugged(model)
    active = tuple(site for site, bit in zip(record.sites, record.scheme.flat(), strict=True) if bit)
    if not active:
        raise GateError(
            "the scheme in use is empty, so no gate does anything; choose one with use_scheme(model, ...)"
        )
    return active


def recurrent(model: nn.Module) -> bool:
    """Whether the gates that work in a model carry a state from block to block."""
    return cast(GatedBlock, unwrap(model).get_submodule(gated_sites(model)[0].path))._socket.recurrent


def factor_of(gate: nn.Module, inputs: tuple[Any, ...], out: Tensor) -> Factor:
    """What a gate multiplies its input with.

    Read off the gate where it has `places` or `factor`; fitted where it has neither, per channel, as the number by
    which the input comes closest to the output.
    """
    if isinstance(gate, Eased):
        inner: Factor = (
            factor_of(gate.inner, inputs, out) if hasattr(gate.inner, "factor") else _fitted(inputs[0], out)
        )
        return 1 + gate.opening * (inner - 1) if hasattr(gate.inner, "factor") else inner
    if hasattr(gate, "places"):
        return cast(Tensor, gate.places(inputs[0]))  # type: ignore[operator]
    if not hasattr(gate, "factor"):
        return _fitted(inputs[0], out)
    answer = gate.factor(*inputs)  # type: ignore[operator]
    factor: Tensor = answer[0] if isinstance(answer, tuple) else answer
    return factor.expand(len(out), out.shape[1] if factor.shape[1] == 1 else -1, -1, -1)


def _fitted(x: Tensor, out: Tensor) -> Factor:
    power = (x * x).sum((2, 3), keepdim=True)
    return (out * x).sum((2, 3), keepdim=True) / power.clamp_min(torch.finfo(x.dtype).tiny)


@contextmanager
def at_gates(model: nn.Module, act: Callable[[str, nn.Module, tuple[Any, ...], Any], Any]) -> Iterator[None]:
    """Call `act(path, gate, inputs, output)` at every pass through a gate; what it gives replaces the output.

    A gate that several blocks share passes once for each; which block it is, the block itself says.
    """
    plain, now = unwrap(model), [""]
    paths = [site.path for site in gated_sites(model)]

    def enter(path: str) -> Callable[..., None]:
        def note(*_: Any) -> None:
            now[0] = path

        return note

    def passed(gate: nn.Module, inputs: tuple[Any, ...], out: Any) -> Any:
        return act(now[0], gate, inputs, out)

    with alone(plain), ExitStack() as stack:
        gates: dict[int, nn.Module] = {}
        for path in paths:
            block = cast(GatedBlock, plain.get_submodule(path))
            stack.callback(block.register_forward_pre_hook(enter(path)).remove)
            gates[id(block.shared_gate())] = block.shared_gate()
        for gate in gates.values():
            stack.callback(gate.register_forward_hook(passed).remove)
        yield


@contextmanager
def read_gates(model: nn.Module, into: dict[str, Factor]) -> Iterator[None]:
    """Note each block's factor in one forward."""

    def act(path: str, gate: nn.Module, inputs: tuple[Any, ...], out: Any) -> None:
        into[path] = factor_of(gate, inputs, out[0] if isinstance(out, tuple) else out)

    with at_gates(model, act):
        yield


@contextmanager
def changed_gates(model: nn.Module, change: Change) -> Iterator[None]:
    """Multiply branches with other factors; the state of a recurrent gate goes on as if nothing had changed."""

    def act(path: str, gate: nn.Module, inputs: tuple[Any, ...], out: Any) -> Any:
        gated = out[0] if isinstance(out, tuple) else out
        x, factor = inputs[0], change(path, factor_of(gate, inputs, gated))
        wide = factor.repeat_interleave(x.shape[1] // factor.shape[1], 1) if factor.shape[1] < x.shape[1] else factor
        return (x * wide, *out[1:]) if isinstance(out, tuple) else x * wide

    with at_gates(model, act):
        yield
