"""The catalogue of gates by name: ours, those of timm, and whatever a user makes of a number of channels.

It knows nothing of models; a gate is made for so many channels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from sightline.errors import GateError
from sightline.gates.modules.dia import DIA
from sightline.gates.modules.stateless import Constant, SpatialGroups, SqueezeExcite
from sightline.registry import Registry

Factory = Callable[..., nn.Module]

TIMM = (
    "se", "ese", "eca", "ecam", "ceca", "ge", "gc", "gca", "cbam", "lcbam", "coord", "scoord", "ela", "strip", "sk",
    "splat", "lambda", "bottleneck", "halo", "nl", "bat",
)  # fmt: skip
"""Names that timm's `create_attn` knows."""

MOST_AT_FOUR = 512
"""Widest network for which the DIA unit's reduction is 4; above it is 20, because 4 would add half a network."""


@dataclass(frozen=True)
class Kind:
    """A kind of gate.

    Args:
        make: makes one for a number of channels and options.
        about: one line.
        source: citation key.
    """

    make: Factory
    about: str
    source: str


GATES: Registry[Kind] = Registry("gate", group="sightline.gates", error=GateError)


def timm_gate(name: str, channels: int, **options: Any) -> nn.Module:
    """A gate of timm, by the name that timm gives it.

    Raises:
        GateError: the installed timm cannot make it, or not with these options.
    """
    from timm.layers import create_attn

    try:
        gate: nn.Module = create_attn(name, channels, **options)
    except Exception as problem:
        import timm

        raise GateError(
            f"timm {timm.__version__} cannot make its gate {name!r} for {channels} channels"
            f"{_with(options)}: {_first_line(problem)}; choose another gate or other options"
        ) from problem
    return gate


def _timm(name: str) -> Factory:
    def make(channels: int, *, reduction: int | None = None, **options: Any) -> nn.Module:
        if reduction is not None:
            if not _takes(name, "rd_ratio"):
                raise GateError(f"the gate {name!r} of timm has no reduction; leave it out")
            options["rd_ratio"] = 1 / reduction
        return timm_gate(name, channels, **options)

    return make


def _takes(name: str, option: str) -> bool:
    from timm.layers.create_attn import get_attn

    return option in inspect.signature(get_attn(name)).parameters


def make_gate(gate: str | Factory, channels: int, options: dict[str, Any]) -> nn.Module:
    """A gate for maps of so many channels.

    Args:
        gate: a name of the catalogue, or a callable that makes a module of a number of channels.
        channels: number of channels of the maps.
        options: keyword arguments for the maker.

    Raises:
        GateError: the name is unknown, the options do not fit, or what is made is no module.
    """
    make = GATES[gate].make if isinstance(gate, str) else gate
    if isinstance(make, nn.Module) or not callable(make):
        raise GateError(
            f"a gate is a name or something that makes a module of a number of channels, not {_short(gate)}; "
            "for an existing module, write lambda channels: module and share='width'"
        )
    try:
        module = make(channels, **options)
    except TypeError as problem:
        raise GateError(
            f"the gate {_name(gate)} cannot be made for {channels} channels{_with(options)}: {problem}; "
            f"it takes {inspect.signature(make)}"
        ) from problem
    if not isinstance(module, nn.Module):
        raise GateError(f"the gate {_name(gate)} made a {type(module).__name__} of {channels} channels, not a module")
    return module


def settle(gate: str | Factory, widths: Sequence[int], options: dict[str, Any]) -> dict[str, Any]:
    """Options as they hold for a whole network: the DIA unit's reduction goes by its widest block."""
    settings = {name: value for name, value in options.items() if name != "reduction" or value is not None}
    return {"widest": max(widths), **settings} if gate == "dia" and "reduction" not in settings else settings


def _dia(channels: int, *, reduction: int | None = None, widest: int = 0, **options: Any) -> nn.Module:
    """The DIA unit with its published reduction: 4, or 20 in networks wider than 512; less in very narrow blocks."""
    published = 4 if widest <= MOST_AT_FOUR else 20
    return DIA(channels, reduction=min(published, channels) if reduction is None else reduction, **options)


def _squeeze(channels: int, *, reduction: int | None = None) -> nn.Module:
    """SE with its published reduction of 16, or one channel between where there are fewer."""
    return SqueezeExcite(channels, reduction=min(16, channels) if reduction is None else reduction)


GATES.add("dia", Kind(_dia, "recurrent over depth: an LSTM that the blocks of a stage share", "huang2020dianet"))
GATES.add("se", Kind(_squeeze, "one number per channel, from its mean", "hu2018squeeze"))
GATES.add("sge", Kind(SpatialGroups, "one map per group of channels", "li2019spatial"))
GATES.add("constant", Kind(Constant, "the same number everywhere: a control", "huang2020dianet"))
for _name_of in TIMM:
    _key = f"timm:{_name_of}" if _name_of in GATES else _name_of
    GATES.add(_key, Kind(_timm(_name_of), f"{_name_of} as timm has it", "wightman2019timm"))


def _name(gate: object) -> str:
    return repr(gate) if isinstance(gate, str) else getattr(gate, "__name__", type(gate).__name__)


def _short(gate: object) -> str:
    return f"a {type(gate).__name__}"


def _with(options: dict[str, Any]) -> str:
    return f" with {', '.join(f'{k}={v!r}' for k, v in options.items())}" if options else ""


def _first_line(problem: Exception) -> str:
    return next(iter(str(problem).splitlines()), "") or type(problem).__name__
