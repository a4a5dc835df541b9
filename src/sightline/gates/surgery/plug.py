"""`plug`, `unplug`, `bake`: gates into a model and out again, in place; weights and their names stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from sightline.common.modes import evaluating
from sightline.common.threads import exclusive
from sightline.errors import GateError
from sightline.gates.modules.catalog import Factory, make_gate, settle
from sightline.gates.modules.stateless import Eased
from sightline.gates.scheme import Scheme, scheme_of
from sightline.gates.sharing import Share, keys_of
from sightline.gates.surgery.block import GatedBlock, GateSlot, close_block, open_block
from sightline.gates.surgery.site import Site, Sites, find_sites
from sightline.gates.surgery.state_passing import close_stages, open_stage
from sightline.gates.surgery.trace import Recipe
from sightline.gates.validation import choice
from sightline.models.adapter.unwrap import unwrap

Model = TypeVar("Model", bound=nn.Module)
SchemeLike = Scheme | str | Sequence[int] | None
STARTS = ("default", "identity")
RECORD = "_sightline_gates"
TRIALS = ((8, 8), (7, 7), (14, 14))
"""Heights and widths on which a gate is tried until it takes one: some take multiples of 7 or 8 only."""


class NewGate(NamedTuple):
    """A new gate, and whether a block gets a copy of its output; see `GateSlot`."""

    gate: nn.Module
    copied: bool


@dataclass(frozen=True)
class Plugged:
    """What is plugged into a model.

    Args:
        gate: its name.
        share: which blocks share one: `block`, `stage`, `width` or `custom`.
        start: `default` or `identity`.
        options: keyword arguments of the gate.
        sites: all places that the model has.
        scheme: at which of them a gate works now.
    """

    gate: str
    share: str
    start: str
    options: dict[str, Any]
    sites: Sites
    scheme: Scheme


@exclusive
def plug(
    model: Model,
    gate: str | Factory = "dia",
    *,
    share: Share = "stage",
    scheme: SchemeLike = None,
    start: str = "default",
    reduction: int | None = None,
    **options: Any,
) -> Model:
    """Plug a gate into a model, in place: y = gate(branch(x)) + shortcut(x) at each site of the scheme.

    Args:
        model: any residual or dense network; see `sites`. Its own parameters, buffers and their names stay.
        gate: a name of `GATES`, or a callable that makes a module of a number of channels; a module with
            `recurrent = True` takes and gives a state besides the maps.
        share: `stage` for one gate per stage [huang2020dianet], `block` for one each, `width` for one per number of
            channels, or a callable from a site to a key.
        scheme: at which sites; all by default. A `Scheme`, a text such as `110|0011|110010|011` or `every-2`, or the
            authors' integers [huang2021ean].
        start: `identity` leaves a trained model's outputs as they are, bit for bit, and opens the gate in training.
        reduction: how many times narrower the gate's inner width is, where it has one.
        options: further ones of the gate.

    Returns:
        The model that was given.

    Raises:
        GateError: no site, a scheme that does not fit, an unknown gate or option, a gate that changes the shape of
            its input, or a model that is plugged already.

    Example:
        >>> from torchvision.models import resnet18
        >>> net = plug(resnet18(), "dia", scheme="10|11|00|01")
        >>> [name for name in net.state_dict() if ".gate." in name][0]
        'layer1.0.gate.read.0.0.weight'
        >>> type(unplug(net).layer1[0]).__name__
        'BasicBlock'
    """
    plain = unwrap(model)
    _refuse_twice(plain)
    choice("start", start, STARTS)
    places, recipes = find_sites(plain)
    chosen = scheme_of(scheme, places.lengths)
    keys = keys_of(share, places)
    settings = settle(gate, [site.channels for site in places], {"reduction": reduction, **options})
    gated = [site for site, bit in zip(places, chosen.flat(), strict=True) if bit]
    gates = _make_gates(plain, gate, settings, {keys[site.path]: site for site in reversed(gated)}, start)
    name = gate if isinstance(gate, str) else getattr(gate, "__name__", type(gate).__name__)
    shared = share if isinstance(share, str) else "custom"
    try:
        _open(plain, gated, keys, gates, recipes)
        vars(plain)[RECORD] = Plugged(name, shared, start, settings, places, chosen)
    except GateError:
        _close(plain)
        raise
    return model


@exclusive
def unplug(model: Model) -> Model:
    """Take all gates out, in place; what is left is the model that was plugged, with its weights as they are now.

    Raises:
        GateError: nothing is plugged.
    """
    plugged(model)
    _close(unwrap(model))
    return model


@exclusive
def bake(model: Model) -> Model:
    """Make the scheme in use final, in place: unused gates and what leads around them are taken out.

    A baked model is as one that was plugged with this scheme; one whose scheme is empty is plain again.

    Raises:
        GateError: nothing is plugged.
    """
    record, plain = plugged(model), unwrap(model)
    blocks = _gated(plain)
    gates = {block._socket.key: block.shared_gate() for block in blocks}
    used = [(block, block._socket, block._recipe) for block in blocks if block._plugged]
    for block in blocks:
        close_block(block)
    close_stages(plain)
    owners: dict[str, nn.Module] = dict(gates)
    for block, socket, recipe in used:
        opened = open_block(block, socket, recipe, owners[socket.key])
        owners[socket.key] = _first_owner(owners[socket.key], opened)
    threaded = {id(block) for block, socket, _ in used if socket.recurrent}
    open_stage(plain, [path for path, module in plain.named_modules() if id(module) in threaded])
    if used:
        vars(plain)[RECORD] = record
    else:
        vars(plain).pop(RECORD)
    return model


@exclusive
def use_scheme(model: Model, scheme: SchemeLike) -> Model:
    """Let gates work at these sites only, from now on, in place; all weights stay.

    Raises:
        GateError: nothing is plugged, the scheme does not fit, or asks for a site that was left out in `plug`.
    """
    record, plain = plugged(model), unwrap(model)
    chosen = scheme_of(scheme, record.sites.lengths)
    for site, bit in zip(record.sites, chosen.flat(), strict=True):
        block = plain.get_submodule(site.path)
        if isinstance(block, GatedBlock):
            block._plugged = bit
        elif bit:
            raise GateError(
                f"the scheme {chosen} asks for a gate at {site.path!r}, where none was plugged; plug the model with "
                "scheme='dense' to choose among all sites afterwards"
            )
    return model


def plugged(model: nn.Module) -> Plugged:
    """What is plugged into a model, and the scheme in use.

    Raises:
        GateError: nothing is.
    """
    plain = unwrap(model)
    record = vars(plain).get(RECORD)
    if record is None:
        raise GateError(f"no gate is plugged into this {type(plain).__name__}; plug one with plug(model, gate)")
    bits = iter(getattr(plain.get_submodule(site.path), "_plugged", False) for site in record.sites)
    now = Scheme(tuple(tuple(next(bits) for _ in range(length)) for length in record.sites.lengths))
    return replace(cast(Plugged, record), scheme=now)


def _refuse_twice(model: nn.Module) -> None:
    if _gated(model):
        what = f"the gate {vars(model)[RECORD].gate!r}" if RECORD in vars(model) else "a gate in a part of it"
        raise GateError(
            f"this {type(model).__name__} is plugged already, with {what}; take it out with unplug(model) first, "
            "or change its scheme with use_scheme"
        )


def _gated(model: nn.Module) -> list[GatedBlock]:
    return [module for module in model.modules() if isinstance(module, GatedBlock)]


def _make_gates(
    model: nn.Module, gate: str | Factory, options: dict[str, Any], firsts: dict[str, Site], start: str
) -> dict[str, NewGate]:
    """A gate for each key, where its first block is: of its type, on its device, in its mode; tried on zeros."""
    gates: dict[str, NewGate] = {}
    for key, site in reversed(firsts.items()):
        block = model.get_submodule(site.path)
        one = make_gate(gate, site.channels, options)
        if any(one is other.gate for other in gates.values()):
            raise GateError(
                "the gate's maker gave the same module twice, for gates that are not shared; let it make a new one "
                "each time, and choose with share which blocks share it"
            )
        home = next((p for p in block.parameters() if p.is_floating_point()), torch.zeros(()))
        one = (Eased(one) if start == "identity" else one).to(home.device, home.dtype).train(block.training)
        gates[key] = NewGate(one, copied=_needs_output(one, _try_gate(one, gate, site, home)))
    return gates


def _try_gate(one: nn.Module, gate: str | Factory, site: Site, home: Tensor) -> Tensor:
    """Maps that a gate takes; one that cannot take a site's, or gives others, is refused."""
    name = repr(gate) if isinstance(gate, str) else getattr(gate, "__name__", type(gate).__name__)
    problems = []
    for places in TRIALS:
        maps = torch.zeros(1, site.channels, *places, device=home.device, dtype=home.dtype)
        try:
            with torch.no_grad():
                out = _evaluated(one, maps)
        except Exception as problem:  # noqa: BLE001 - a stranger's gate may raise anything
            problems.append(problem)
            continue
        if isinstance(out, Tensor) and out.shape == maps.shape:
            return maps
        result = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise GateError(
            f"the gate {name} makes {result} of the maps of {site.path!r}, {tuple(maps.shape)}; a gate keeps "
            "the shape, because its output is added to the shortcut"
        )
    raise GateError(
        f"the gate {name} cannot take the maps of {site.path!r}, tried with {site.channels} channels on "
        f"{' and '.join(f'{h}x{w}' for h, w in TRIALS)} places: {problems[0] or type(problems[0]).__name__}"
    ) from problems[0]


def _needs_output(gate: nn.Module, maps: Tensor) -> bool:
    """Whether a gate's backward fails once something was added to its output in place, as many blocks do."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            leaf = maps.clone().requires_grad_()
            out = cast(Tensor, _evaluated(gate, leaf * 1)).add_(1)
            learnt = [p for p in gate.parameters() if p.requires_grad]
            torch.autograd.grad(out.sum(), [leaf, *learnt], allow_unused=True)
    except Exception:  # noqa: BLE001 - a stranger's gate may raise anything; a copy is always right
        return True
    return False


def _evaluated(gate: nn.Module, maps: Tensor) -> object:
    """What a gate gives in evaluation mode."""
    with evaluating(gate):
        return gate(maps, None)[0] if getattr(gate, "recurrent", False) else gate(maps)


def _open(
    model: nn.Module,
    gated: list[Site],
    keys: dict[str, str],
    gates: dict[str, NewGate],
    recipes: dict[str, Recipe],
) -> None:
    """Open the blocks, and for recurrent gates what calls them."""
    owners: dict[str, nn.Module] = {key: one.gate for key, one in gates.items()}
    threaded = []
    for site in gated:
        key, block = keys[site.path], model.get_submodule(site.path)
        recurrent = bool(getattr(gates[key].gate, "recurrent", False))
        threaded += [site.path] if recurrent and site.path else []
        thread = f"{key} in stage {site.stage}" if site.path else ""
        socket = GateSlot(key, _free_name(block), recurrent, thread, site.behind, gates[key].copied)
        if isinstance(owners[key], GatedBlock):
            socket = replace(socket, name=cast(GatedBlock, owners[key])._socket.name)
        owners[key] = _first_owner(owners[key], open_block(block, socket, recipes[site.path], owners[key]))
    open_stage(model, threaded)


def _first_owner(owner: nn.Module, opened: GatedBlock) -> nn.Module:
    """The block that owns a gate: the one that was opened first."""
    return owner if isinstance(owner, GatedBlock) else opened


def _free_name(block: nn.Module) -> str:
    """`gate`, with underscores behind it where the block has one of its own."""
    name = "gate"
    while hasattr(block, name):
        name += "_"
    return name


def _close(model: nn.Module) -> None:
    for block in _gated(model):
        close_block(block)
    close_stages(model)
    vars(model).pop(RECORD, None)
