"""NAFlow as a method: its modes, its options, and what a result says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import MethodError, UnfollowedError
from sightline.explainers.flow.naflow import calls as calls  # imported so that its inverses are registered
from sightline.explainers.flow.naflow import maps as affine_maps  # noqa: F401 - for the same reason
from sightline.explainers.flow.naflow.abandoning import RULES, Abandoning
from sightline.explainers.flow.naflow.cascade import Cascade, DropStats, fed_back
from sightline.explainers.flow.naflow.forward import forward
from sightline.explainers.flow.naflow.inverse import Anchor, Setting
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.naflow.notes import FlowNotes, Note
from sightline.explainers.flow.naflow.published import walk_published
from sightline.explainers.flow.naflow.tikhonov import cache_of
from sightline.explainers.flow.read import Reading, read
from sightline.explainers.flow.samples import Samples
from sightline.explainers.flow.tape import Node
from sightline.explainers.method import LayerMaps, Outcome, Request, own_pass

DAMPING = 0.1
ITERATIONS = 5


@own_pass(
    name="naflow",
    title="NAFlow",
    family="Flow",
    needs="gradient",
    equation="sum_c relu( B[c,i] G[c,i] ),  B = A + delta, delta walked back by each layer's inverse",
    source="liao2026naflow",
    cost="about 5 forward + backward per target; 1 in the mode forward",
    options={
        "mode": "anchored (default), forward (the published behaviour), lsq or published",
        "damping": f"weight of a change in the inverse, relative to the mean eigenvalue; {DAMPING} by default",
        "iterations": f"of the solver, at most; {ITERATIONS} by default, twice as many for windows beyond 3x3",
        "rule": "who is abandoned: zero (gradient exactly zero), threshold, contribution, mass; auto by default",
        "threshold": "the number that the rule compares with",
        "signed": "true sums over channels first, so that the map keeps its sign",
    },
)
def naflow(request: Request) -> Outcome:
    """Attention at every layer, freed from neurons that took no part in the decision [liao2026naflow].

    Raises:
        MethodError: an unknown mode or rule, a damping or a number of iterations below zero, or the mode `published`
            for a network or an input that it cannot take.
    """
    settings = Settings.of(request)
    return MODES[settings.mode](request, settings)


@dataclass(frozen=True)
class Settings:
    """The options, checked.

    Args:
        mode, damping, iterations, rule, threshold, signed: as in the method's table.
    """

    mode: str
    damping: float
    iterations: int
    rule: Any
    threshold: float | None
    signed: bool

    @classmethod
    def of(cls, request: Request) -> Settings:
        """The options of a request.

        Raises:
            MethodError: one that cannot be.
        """
        level = request.option("threshold", None)
        settings = cls(
            mode=str(request.option("mode", "anchored")),
            damping=request.number("damping", DAMPING),
            iterations=request.count("iterations", ITERATIONS),
            rule=request.option("rule", "auto"),
            threshold=None if level is None else request.number("threshold", 0.0),
            signed=bool(request.option("signed", False)),
        )
        if settings.mode not in MODES:
            raise MethodError(f"naflow has no mode {settings.mode!r}; its modes are {', '.join(MODES)}")
        if settings.rule not in RULES:
            raise MethodError(f"there is no rule {settings.rule!r} for abandoning; the rules are {', '.join(RULES)}")
        if settings.damping < 0 or settings.iterations < 1:
            raise MethodError(
                f"naflow takes a damping of at least 0 and at least 1 iteration, not {settings.damping:g} and "
                f"{settings.iterations}"
            )
        return settings

    def words(self) -> str:
        """What was done, in a sentence."""
        level = "" if self.threshold is None else f" {self.threshold:g}"
        undamped = "; undamped inverses amplify what the layers carry least" if self.damping == 0 else ""
        return (
            f"NAFlow, mode {self.mode}, rule {self.rule}{level}, damping {self.damping:g}, at most {self.iterations} "
            f"iterations, {'signed' if self.signed else 'positive per neuron'}{undamped}."
        )


@torch.no_grad()
def walk_back(request: Request, settings: Settings) -> Outcome:
    """The modes `anchored`, `lsq` and `published`: a walk back along the tape for each decision."""
    reading = read(request)
    if any(value is not None and value.is_complex() for value in reading.tape.values):
        raise UnfollowedError(
            "the model computes with complex numbers (a Fourier transform, say), which NAFlow cannot invert; "
            "the method lrp follows them"
        )
    each = [_Flow.of(reading, request, settings, k) for k in range(len(reading.starts))]
    layers = tuple(
        LayerMaps(
            layer.name,
            torch.stack([flow.maps[i] for flow in each], 1),
            {name: torch.stack([flow.notes[i][name] for flow in each], 1) for name in each[0].notes[i]},
            settings.signed,
        )
        for i, layer in enumerate(reading.layers)
    )
    names = [layer.name for layer in reading.layers]
    remarks = tuple(
        tuple(
            flow.account.remarks(b, dict(zip(names, flow.notes, strict=True)), settings.words(), flow.unknown)
            + _missing_maps(reading, flow, settings)
            for flow in each
        )
        for b in range(len(request.inputs))
    )
    return Outcome(reading.readout, layers, remarks)


def _missing_maps(reading: Reading, flow: _Flow, settings: Settings) -> tuple[str, ...]:
    """What is said of layers that the walk did not come by."""
    pairs = zip(reading.nodes, reading.layers, strict=True)
    names = [layer.name for node, layer in pairs if node not in flow.account.notes]
    if not names:
        return ()
    why = "their layers were made one with others" if settings.mode == "published" else "no gradient reaches them"
    return (f"There is no map at {', '.join(names)}: {why}.",)


@dataclass(eq=False)
class _Flow:
    """Maps and notes of one decision, in forward order."""

    maps: list[Float[Tensor, "b h w"]]
    notes: list[Note]
    account: FlowNotes
    unknown: set[str]

    @classmethod
    def of(cls, reading: Reading, request: Request, settings: Settings, k: int) -> _Flow:
        """Walk back from decision `k`."""
        b, device = len(request.inputs), request.inputs.device
        anchor: Anchor = "lsq" if settings.mode == "lsq" else "anchored"
        shelf = cache_of(request.adapter.model)
        at = Setting(reading.tape, reading.facts, anchor, settings.damping, settings.iterations, shelf=shelf)
        samples = Samples.of(request.adapter.structure(request.inputs), b)
        reader = _Reader(reading, at, FlowNotes(samples, settings.damping), settings.signed)
        if settings.mode == "published":
            for node, message in walk_published(reading, at, k).items():
                reader(node, message, DropStats())
        else:
            abandoning = Abandoning(reading.tape, reading.facts, samples, settings.rule, settings.threshold)
            Cascade(reading, at, abandoning, reader).run(k, last=k + 1 == len(reading.starts))
        blank = reader.account.blank(device)
        pairs = list(zip(reading.nodes, reading.layers, strict=True))
        maps = [
            reader.maps.get(n, torch.zeros(b, *layer.grid, dtype=torch.float32, device=device)) for n, layer in pairs
        ]
        return cls(maps, [reader.account.notes.get(n, blank) for n, _ in pairs], reader.account, at.unknown)


@dataclass(eq=False)
class _Reader:
    """Reads maps and notes off the layers as the cascade reaches them."""

    reading: Reading
    at: Setting
    account: FlowNotes
    signed: bool
    maps: dict[Node, Float[Tensor, "b h w"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._layouts = {n: s.layout for n, s in zip(self.reading.nodes, self.reading.layers, strict=True)}

    def __call__(self, node: Node, message: Message, tally: DropStats) -> None:
        """The map of one layer, and its notes."""
        if node not in self._layouts:
            return
        A = self.reading.tape.value(node)
        evidence = self._layouts[node].to_grid(fed_back(A, message) * message.G).float()
        self.maps[node] = evidence.sum(1) if self.signed else evidence.relu().sum(1)
        self.account.note(node, A, message, tally, self.at.solves)
        tally.clear()
        self.at.solves.clear()


MODES: dict[str, Callable[[Request, Settings], Outcome]] = {
    "anchored": walk_back,
    "forward": lambda request, settings: forward(request),
    "lsq": walk_back,
    "published": walk_back,
}
"""How each mode is run."""
